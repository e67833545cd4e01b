"""Links: serial ports, the right to open them, who has them; interfaces of the CAN bus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from server.can.options import PortOptions
from server.operation.checks import ports
from server.operation.checks.finding import FAIL, OK, WARN, Finding

if TYPE_CHECKING:
    from server.config import GatewayConfig

NETWORK = Path("/sys/class/net")
IFF_UP = 0x1
"""netdevice(7)."""


def links(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look at the port of each link."""
    for link in config.links:
        backend = getattr(link.options, "backend", None)
        port = getattr(link.options, "port", None) or getattr(backend, "port", None)
        yield _port(f"link {link.name}", link.kind, port)
    if not config.links:
        found = f"none configured; serial ports here: {', '.join(ports.candidates()) or 'none'}"
        yield Finding("links", WARN, found, "add [links.obd] and [links.gps], see telerig serve -h")


def _port(name: str, kind: str, port: object) -> Finding:
    """Look at what a link's options name: a serial port, or an interface of the CAN bus."""
    if isinstance(port, str):
        return _serial(name, port)
    if isinstance(port, PortOptions):
        if port.interface == "slcan":
            return _serial(name, str(port.channel))
        if port.interface == "socketcan":
            return _interface(name, str(port.channel), port.bitrate)
        return Finding(name, OK, f"{port.name}: nothing of this machine to look at")
    return Finding(name, OK, f"{kind}: has no serial port to look at")


def _interface(name: str, channel: str, bitrate: int | None) -> Finding:
    """Look whether the kernel has an interface, and whether it is up."""
    folder = NETWORK / channel
    try:
        flags = int((folder / "flags").read_text(encoding="ascii"), 16)
    except (OSError, ValueError):
        return Finding(name, FAIL, f"no network interface {channel}", "ip link show type can")
    if not flags & IFF_UP:
        speed = f" type can bitrate {bitrate}" if bitrate else ""
        return Finding(name, FAIL, f"{channel} is down", f"ip link set {channel} up{speed}")
    return Finding(name, OK, f"{channel} is up")


def _serial(name: str, port: str) -> Finding:
    if "://" in port:
        return Finding(name, OK, f"{port} is no device of this machine")
    path = Path(port)
    if not path.exists():
        near = ports.candidates()
        advice = f"plug it in, or choose one of: {', '.join(near)}" if near else "plug it in"
        return Finding(name, FAIL, f"no {port}", advice)
    if not ports.may_open(path):
        advice = ports.permission_advice(path)
        return Finding(name, FAIL, f"{port} may not be opened by this user", advice)
    held = ports.holders(path)
    if held:
        return Finding(name, WARN, f"{port} is held by {held[0]}", held[0].advice)
    if ports.NUMBERED.fullmatch(path.name):
        stable = ports.stable_name(path) or "/dev/serial/by-id/…"
        advice = f"name it {stable}: numbers change when adapters are plugged"
        return Finding(name, OK, f"{port} can be opened", advice)
    return Finding(name, OK, f"{port} can be opened")
