"""Sentences of a GNSS receiver, read by pynmea2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pynmea2  # type: ignore[import-untyped]

from reports.runs.names import LOCAL, Names
from reports.runs.wire.lines import lines
from reports.runs.wire.message import Field, Message, message
from rig.record.streams import WireChunk

KPH_PER_KNOT = 1.852
_UBX = b"\xb5\x62"
_NUMBERS: dict[str, tuple[tuple[str, str, str, float], ...]] = {
    # sentence: (attribute, signal, unit, factor)
    "RMC": (
        ("latitude", "LAT", "°", 1.0),
        ("longitude", "LON", "°", 1.0),
        ("spd_over_grnd", "GPS_SPEED", "km/h", KPH_PER_KNOT),
        ("true_course", "GPS_HEADING", "°", 1.0),
    ),
    "GGA": (
        ("latitude", "LAT", "°", 1.0),
        ("longitude", "LON", "°", 1.0),
        ("altitude", "ALT", "m", 1.0),
        ("num_sats", "SATS", "", 1.0),
        ("horizontal_dil", "HDOP", "", 1.0),
    ),
    "GLL": (("latitude", "LAT", "°", 1.0), ("longitude", "LON", "°", 1.0)),
    "VTG": (
        ("spd_over_grnd_kmph", "GPS_SPEED", "km/h", 1.0),
        ("true_track", "GPS_HEADING", "°", 1.0),
    ),
    "GSA": (("hdop", "HDOP", "", 1.0), ("pdop", "", "", 1.0)),
}
ABOUT = {
    "RMC": "position, speed and date",
    "GGA": "position and quality of the fix",
    "GLL": "position",
    "VTG": "course and speed",
    "GSA": "satellites used, dilution",
    "GSV": "satellites in view",
    "ZDA": "date and time",
    "TXT": "text of the receiver",
}
_NO_FIX = {"RMC": ("status", "V"), "GLL": ("status", "V"), "GGA": ("gps_qual", 0)}


def messages(chunks: Iterable[WireChunk], names: Names) -> Iterator[Message]:
    """Yield sentences, and what is none."""
    for line in lines(chunks, b"\n"):
        place = line.from_ns, line.at_ns, line.direction, line.data
        if line.data.startswith(_UBX):
            yield message(*place, "UBX", "binary message of the receiver")
            continue
        text = line.data.decode("latin-1").strip()
        if text:
            yield _sentence(place, text, names)


def _sentence(place: tuple[int, int, str, bytes], text: str, names: Names) -> Message:
    try:
        found: Any = pynmea2.parse(text, check=True)
    except (pynmea2.ParseError, ValueError, IndexError, TypeError) as error:
        reason = str(error.args[0][0]) if error.args and isinstance(error.args[0], tuple) else error
        return message(*place, "?", text, error=f"no whole sentence: {reason}")
    kind = str(getattr(found, "sentence_type", "") or "?")
    fields = []
    for attribute, signal, unit, factor in _NUMBERS.get(kind, ()):
        value = _number(found, attribute)
        if value is not None:
            fields.append(
                Field(
                    attribute,
                    value * factor,
                    unit,
                    signal=names.of(LOCAL, signal) if signal else None,
                )
            )
    time = getattr(found, "timestamp", None)
    if time is not None:
        fields.insert(0, Field("time", text=str(time)))
    attribute, none = _NO_FIX.get(kind, ("", None))
    no_fix = bool(attribute) and str(getattr(found, attribute, "")) == str(none)
    return message(*place, kind, "no fix" if no_fix else ABOUT.get(kind, ""), fields)


def _number(found: Any, attribute: str) -> float | None:
    try:
        value = getattr(found, attribute, None)
        return None if value in (None, "") else float(value)
    except (ValueError, TypeError, AttributeError):
        return None
