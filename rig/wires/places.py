"""What stands on the command line of a capture: LINK=PLACE, with options behind commas.

obd=/dev/serial/by-id/usb-FTDI…        gps=/dev/ttyACM0,baud=9600
obd=socket://192.168.0.10:35000        mesh=192.168.7.2:4403
can=socketcan:can0                     can=slcan:/dev/ttyACM1,bitrate=500000
can=socketcand:can0,host=127.0.0.1,port=29536
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from rig.walltime.can_interfaces import DEFAULT_BITRATE_BPS, CanInterfaceSpec
from rig.wires.errors import WiresError
from rig.wires.source import BUS, USUAL_BAUD

LOWEST_BAUD, HIGHEST_BAUD = 50, 12_000_000
OTHER_BAUD = 115_200
EXAMPLE = "obd=/dev/ttyUSB0 or can=socketcan:can0"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_INTEGER = re.compile(r"\d{1,9}")


class PlaceError(WiresError):
    """A word of the command line that names no place."""

    usage = True


@dataclass(frozen=True, slots=True)
class SerialPlace:
    """A serial port: device path, URL of pyserial, or host:port."""

    link: str
    place: str
    baud: int


@dataclass(frozen=True, slots=True)
class CanPlace:
    """An interface of python-can."""

    link: str
    spec: CanInterfaceSpec


Place = SerialPlace | CanPlace


def read_place(word: str) -> Place:
    """Return what a word of the command line names.

    Raises:
        PlaceError: it is none; the message says what was expected.
    """
    link, equals, rest = word.partition("=")
    if not equals or not rest or _NAME.fullmatch(link) is None:
        raise PlaceError(f"expected LINK=PLACE such as {EXAMPLE}, found {word!r}")
    place, *words = rest.split(",")
    options: dict[str, str] = {}
    for option in words:
        key, equals, value = option.partition("=")
        if not key or not equals:
            raise PlaceError(f"{word!r}: expected KEY=VALUE behind a comma, found {option!r}")
        options[key] = value
    if link == BUS:
        return CanPlace(link, _can(word, place, options))
    text = options.pop("baud", str(USUAL_BAUD.get(link, OTHER_BAUD)))
    if options:
        raise PlaceError(
            f"{word!r}: expected only baud=N behind a serial port, found {', '.join(options)}"
        )
    if _INTEGER.fullmatch(text) is None or not LOWEST_BAUD <= int(text) <= HIGHEST_BAUD:
        raise PlaceError(
            f"{word!r}: expected a baud from {LOWEST_BAUD} to {HIGHEST_BAUD}, found {text!r}"
        )
    return SerialPlace(link, place, int(text))


def _can(word: str, place: str, options: dict[str, str]) -> CanInterfaceSpec:
    interface, colon, channel = place.partition(":")
    if not colon or not interface or not channel:
        raise PlaceError(
            f"{word!r}: expected INTERFACE:CHANNEL of python-can such as can=socketcan:can0 or "
            f"can=slcan:/dev/ttyACM0,bitrate=500000, found {place!r}"
        )
    bitrate = options.pop("bitrate", str(DEFAULT_BITRATE_BPS))
    if _INTEGER.fullmatch(bitrate) is None or int(bitrate) < 1:
        raise PlaceError(f"{word!r}: expected a bitrate in bit/s, found {bitrate!r}")
    return CanInterfaceSpec(
        interface=interface,
        channel=int(channel) if _INTEGER.fullmatch(channel) else channel,
        bitrate_bps=int(bitrate),
        options={key: _plain(value) for key, value in options.items()},
        place=word,
    )


def _plain(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else text
