"""The keys that name an interface; the same for `kind = "can"` and for OBD over CAN.

interface = "socketcand"    # or slcan, socketcan, virtual, pcan, …: any of python-can's
channel = "can0"            # slcan: the serial port
host = "127.0.0.1"          # socketcand alone
port = 29536
bitrate = 500000            # where the interface sets it
options = {…}               # slcan: tty_baudrate, listen_only, timestamps, status_s;
                            # others: further keywords of python-can's bus
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from server.config_section import Section, describe

SOCKETCAND_PORT = 29536

SLCAN_BITRATES: Mapping[int, str] = {
    10_000: "S0",
    20_000: "S1",
    50_000: "S2",
    100_000: "S3",
    125_000: "S4",
    250_000: "S5",
    500_000: "S6",
    800_000: "S7",
    1_000_000: "S8",
}
"""Lawicel's letters (CANUSB and CAN232 manuals); S7 is 800 kbit/s, not python-can's 750."""


@dataclass(frozen=True, slots=True)
class PortOptions:
    """Which interface, and how it is set.

    Attributes:
        interface: python-can's name of its kind.
        channel: of the interface; a serial port for slcan.
        host: of a socketcand server.
        port: of a socketcand server.
        bitrate: bits per second on the bus, where the interface sets it; None: as it is.
        options: further keywords of the interface.
    """

    interface: str
    channel: str | int
    host: str = "127.0.0.1"
    port: int = SOCKETCAND_PORT
    bitrate: int | None = 500_000
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it."""
        place = f" at {self.host}:{self.port}" if self.interface == "socketcand" else ""
        return f"{self.interface} {self.channel}{place}"


def port_options(section: Section) -> PortOptions:
    """Read the keys of an interface out of a link's table.

    Raises:
        ConfigError: with file, line, what was expected and what was found.
    """
    interface: str = section.text("interface")
    _check_interface(section, interface)
    options = PortOptions(
        interface=interface,
        channel=_channel(section),
        host=section.text("host", "127.0.0.1"),
        port=section.integer("port", SOCKETCAND_PORT, minimum=1, maximum=65_535),
        bitrate=section.integer("bitrate", 500_000, minimum=1_000, maximum=1_000_000),
        options=dict(section.section("options").table),
    )
    if interface != "socketcand":
        for key in ("host", "port"):
            if key in section.table:
                raise section.where.error(key, f"no such key with {interface}", "one")
    if interface == "slcan":
        _check_slcan(section, options)
    elif interface == "socketcand":
        Section(options.options, section.where.at("options")).done()
    return options


def _channel(section: Section) -> str | int:
    channel = section.table.get("channel")
    if isinstance(channel, int) and not isinstance(channel, bool):
        section.has("channel")
        return channel
    text: str = section.text("channel")
    return text


def _check_interface(section: Section, interface: str) -> None:
    if importlib.util.find_spec("can") is None:
        expected = "an interface of python-can (pip install 'telerig[can]')"
        raise section.where.error("interface", expected, f"{describe(interface)}, no module can")
    from can.interfaces import VALID_INTERFACES

    section.choice("interface", sorted(VALID_INTERFACES))


def _check_slcan(section: Section, options: PortOptions) -> None:
    if options.bitrate not in SLCAN_BITRATES:
        rates = ", ".join(str(rate) for rate in SLCAN_BITRATES)
        raise section.where.error("bitrate", f"one of {rates} with slcan", str(options.bitrate))
    if not isinstance(options.channel, str):
        raise section.where.error("channel", "a serial port", describe(options.channel))
    further = Section(options.options, section.where.at("options"))
    further.integer("tty_baudrate", 115_200, minimum=1_200, maximum=12_000_000)
    further.flag("listen_only", False)
    further.flag("timestamps", False)
    further.number("status_s", 1.0, minimum=0.0, maximum=3600.0)
    further.done()
