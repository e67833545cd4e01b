"""Which ways to a device this machine has: addresses, serial ports, Bluetooth."""

from __future__ import annotations

import glob
import importlib.util
import ipaddress
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from server.answers import BadParameter
from server.provisioning.config import ProvisioningConfig
from server.provisioning.transport_http import parse_address

if TYPE_CHECKING:
    from server.provisioning.transport import Transport

BLE_NAME_LIMIT = 64
PORTS_LIMIT = 64
_MISSING = "the gateway's machine lacks the library {0}: pip install 'telerig[provision]'"


class Way(msgspec.Struct, frozen=True):
    """A way to a device; `problem` says why it is not there, empty where it is."""

    name: str
    problem: str


class SerialPort(msgspec.Struct, frozen=True):
    """A serial port of the gateway's machine, and what is said to be plugged in."""

    path: str
    name: str


def ways() -> list[Way]:
    """Give the ways to a device."""
    sealed = "" if _has("cryptography") else _MISSING.format("cryptography")
    radio = "" if _has("bleak") else _MISSING.format("bleak")
    return [Way("http", sealed), Way("serial", sealed), Way("ble", sealed or radio)]


def serial_ports(config: ProvisioningConfig, links: Iterable[str]) -> list[SerialPort]:
    """Give the ports that may be opened: USB, and those of the configuration.

    Args:
        config: names further ones.
        links: tables of the gateway's links as text; a port that stands there is theirs.
    """
    from serial.tools import list_ports  # type: ignore[import-untyped]

    found = {port.device: port.description or "" for port in list_ports.comports() if port.vid}
    for pattern in config.serial:
        for path in sorted(glob.glob(pattern))[:PORTS_LIMIT]:
            found.setdefault(path, "")
    tables = "\n".join(links)
    return [SerialPort(path, name) for path, name in sorted(found.items()) if path not in tables]


def check_address(way: str, address: str, config: ProvisioningConfig, ports: list[str]) -> None:
    """Refuse an address that the gateway may not reach.

    Raises:
        BadParameter: says what may be reached.
    """
    if way == "http":
        _check_http(address, config)
    elif way == "serial":
        if address not in ports:
            expected = f"one of {', '.join(ports)}" if ports else "a serial port; none is here"
            raise BadParameter("address", expected, repr(address))
    elif not (0 < len(address) <= BLE_NAME_LIMIT and address.isprintable()):
        raise BadParameter("address", "a Bluetooth name or address", repr(address[:80]))


def _check_http(address: str, config: ProvisioningConfig) -> None:
    networks = ", ".join(map(str, config.networks)) or "none"
    expected = f"an address as 192.168.4.1, in a network of [provisioning] networks ({networks})"
    try:
        host, _ = parse_address(address)
        found = ipaddress.ip_address(host)
    except ValueError:
        raise BadParameter("address", expected, repr(address[:80])) from None
    if not any(found in network for network in config.networks):
        raise BadParameter("address", expected, str(found))


def transport_to(way: str, address: str, baud: int) -> Transport:
    """Open the way to a device.

    Raises:
        DeviceUnreachable: the serial port cannot be opened.
    """
    if way == "http":
        from server.provisioning.transport_http import HttpTransport

        return HttpTransport(*parse_address(address))
    if way == "ble":
        from server.provisioning.transport_ble import BleTransport

        return BleTransport(address)
    from server.provisioning.transport_console import ConsoleTransport, open_port

    return ConsoleTransport(open_port(address, baud), 1 + secrets.randbelow(2**31 - 1))


def _has(library: str) -> bool:
    return importlib.util.find_spec(library) is not None
