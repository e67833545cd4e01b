"""A look at a port before anything is opened: is it there, is it free, may it be opened."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from rig.bench import power
from rig.bench.model import Place
from server.operation.checks import ports
from server.operation.checks.finding import FAIL, OK, WARN, Finding

CONNECT_S = 3.0
SLCAN = "slcan"


def look_at_ports(places: Mapping[str, Place]) -> str:
    """Look whether devices still stand there; say what does not, or "". It asks nobody."""
    for link, place in places.items():
        path = device_of(place)
        findings = [] if path is None else list(look_at_device(link, place, path))
        for finding in findings:
            if finding.state == FAIL:
                return f"{link}: {finding.found}; {finding.advice}"
    return ""


def is_slcan(place: Place) -> bool:
    return place.can is not None and place.can.interface == SLCAN


def device_of(place: Place) -> Path | None:
    """Return the device file behind a place; slcan has one too."""
    if place.device is not None:
        return Path(place.device)
    if is_slcan(place) and place.can is not None and str(place.can.channel).startswith("/"):
        return Path(str(place.can.channel).partition("@")[0])
    return None


def look_at_switch(link: str, place: Place) -> Iterator[Finding]:
    if place.power is None:
        return
    for words in (place.power.off, place.power.on):
        if not power.is_there(words):
            found = f"{place.power.place}: expected the program {words[0]!r}, found none"
            yield Finding(link, FAIL, found, f"install {words[0]}, or leave 'power' out")
            return


def look_at_device(link: str, place: Place, path: Path) -> Iterator[Finding]:
    if not path.exists() and place.power is not None:
        try:
            power.switch_on(place.power)
        except power.PowerError as error:
            yield Finding(link, FAIL, str(error))
            return
        yield Finding(link, OK, f"{path} was not there; its power was switched on")
    if not path.exists():
        here = ", ".join(ports.candidates()) or "none"
        found = f"{place.place}: expected a serial port {path}, found none"
        yield Finding(link, FAIL, found, f"plug it in; serial ports here: {here}")
        return
    if not path.is_char_device():
        found = f"{place.place}: expected a serial port at {path}, found a file that is none"
        yield Finding(link, FAIL, found, "name a device: /dev/serial/by-id/…")
        return
    if not ports.may_open(path):
        found = f"{place.place}: {path} may not be opened by this user"
        yield Finding(link, FAIL, found, ports.permission_advice(path))
        return
    held = ports.holders(path)
    if held:
        found = f"{place.place}: expected {path} to be free, found it held by {held[0]}"
        yield Finding(link, FAIL, found, held[0].advice)
        return
    stable = ports.stable_name(path)
    if place.is_numbered:
        name = stable or "/dev/serial/by-id/…"
        found = f"{place.place}: {path} is another adapter when they are plugged in anew"
        yield Finding(link, WARN, found, f"write {name}")


def look_at_server(link: str, place: Place) -> Iterator[Finding]:
    assert place.address is not None
    try:
        socket.create_connection(place.address, CONNECT_S).close()
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        found = f"{place.place}: expected a server at {place.where}, found: {reason.lower()}"
        yield Finding(link, FAIL, found, "is it on, in this network, and its address right?")


def usb_of(path: Path) -> dict[str, str]:
    """Return what sysfs says of a USB adapter: maker, product, serial number, ids."""
    from serial.tools.list_ports_linux import SysFS  # type: ignore[import-untyped]

    try:
        info = SysFS(str(path.resolve()))
    except (OSError, ValueError, TypeError):
        return {}
    found = {
        "usb.manufacturer": info.manufacturer,
        "usb.product": info.product,
        "usb.serial": info.serial_number,
        "usb.id": None if info.vid is None else f"{info.vid:04x}:{info.pid:04x}",
    }
    return {name: str(value) for name, value in found.items() if value}
