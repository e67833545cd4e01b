"""What a real device said on a wire that the rig tapped, as samples: nobody knows what was true.

* OBD: a value counts as taken when the last byte of its reply came out of the adapter, which is its
  prompt ">". What the ECU and the adapter took before is no affair of the gateway.
* GPS: a value counts as taken at the UTC that its sentence gives, plus the stated offset of this
  machine's clock from UTC. Epochs without a fix have no value.

So latency and coverage are known of a real link that is tapped. Where it is not, its readings count
as measured when the gateway says so.
"""

from __future__ import annotations

import calendar
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from rig.meaning.elm_reply import payloads
from rig.meaning.obd import parameters
from rig.measures.matching import Samples, samples_by_signal
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import Sample, WireChunk

OBD, GPS = "obd", "gps"
PROMPT = ">"
TO_HOST = ">"
LONGEST_REPLY_CHARACTERS = 16_384
_SENTENCE = re.compile(r"\$..(RMC|GGA),([^*\r\n]*)\*([0-9A-Fa-f]{2})")
_TIME = re.compile(r"(\d\d)(\d\d)(\d\d(?:\.\d+)?)")
_DATE = re.compile(r"(\d\d)(\d\d)(\d\d)")
_CENTURY = 2000
_KNOT_KPH = 1.852
# Place of each field in its sentence, after the name.
_RMC_STATUS, _RMC_LAT, _RMC_LON, _RMC_KNOTS, _RMC_COURSE, _RMC_DATE = 1, 2, 4, 6, 7, 8
_RMC_FIELDS = 9
_GGA_QUALITY, _GGA_SATELLITES, _GGA_HDOP, _GGA_ALTITUDE = 5, 6, 7, 8
_GGA_FIELDS = 9


def wire_samples(record: RecordReader) -> dict[tuple[str, str], Samples]:
    """Return (link, signal) -> what real devices said of it, for the links that were tapped."""
    manifest = record.manifest
    rows: list[Sample] = []
    for link, read in ((OBD, _replies), (GPS, _epochs)):
        if link in manifest.real_links and link in record.links:
            rows += read(record.wire(link))
    return shifted(samples_by_signal(rows), clock_offset_ns(manifest, GPS))


def clock_offset_ns(manifest: Manifest, link: str) -> int:
    """Return how far this machine's clock is ahead of the one that a real link's device tells."""
    place = manifest.bench.get("links", {}).get(link, {})
    return int(place.get("clock_offset_ns", 0)) if link in manifest.real_links else 0


def shifted(
    samples: dict[tuple[str, str], Samples], offset_ns: int
) -> dict[tuple[str, str], Samples]:
    """Return samples with the receiver's instants on this machine's clock."""
    return {
        (link, signal): Samples(rows.time_ns + offset_ns, rows.true, rows.wire)
        if link == GPS
        else rows
        for (link, signal), rows in samples.items()
    }


def _replies(chunks: Iterable[WireChunk]) -> Iterator[Sample]:
    """Yield the values in an adapter's replies, at the instants of their last bytes."""
    text = ""
    for chunk in chunks:
        if chunk.direction != TO_HOST:
            text = "" if text.endswith(PROMPT) else text
            continue
        text += chunk.text
        while PROMPT in text:
            reply, _, text = text.partition(PROMPT)
            told: set[str] = set()
            for payload in payloads(reply):
                for found in parameters(payload):
                    if found.value is not None and found.name not in told:
                        told.add(found.name)  # of several ECUs the gateway takes the first
                        yield Sample(chunk.time_ns, OBD, found.name, None, found.value)
        text = text[-LONGEST_REPLY_CHARACTERS:]


def _epochs(chunks: Iterable[WireChunk]) -> Iterator[Sample]:
    """Yield what a receiver told of each instant at which it had a fix."""
    text = "".join(chunk.text for chunk in chunks if chunk.direction == TO_HOST)
    positions: dict[str, list[str]] = {}
    others: dict[str, list[list[str]]] = defaultdict(list)
    for kind, body, _ in filter(_is_sound, _sentences(text)):
        fields = body.split(",")
        if kind == "GGA":
            others[fields[0]].append(fields)
        elif len(fields) >= _RMC_FIELDS and fields[_RMC_STATUS] == "A":
            positions.setdefault(fields[0] + fields[_RMC_DATE], fields)
    for fields in positions.values():
        time_ns = _utc_ns(fields[0], fields[_RMC_DATE])
        if time_ns is not None:
            told = _motion(fields) | _quality(next(iter(others[fields[0]]), []))
            for signal, value in told.items():
                yield Sample(time_ns, GPS, signal, None, value)


def _sentences(text: str) -> Iterator[tuple[str, str, str]]:
    for match in _SENTENCE.finditer(text):
        yield match[1], match[2], match[0]


def _is_sound(sentence: tuple[str, str, str]) -> bool:
    _, _, whole = sentence
    body, _, said = whole[1:].partition("*")
    total = 0
    for character in body:
        total ^= ord(character)
    return total == int(said, 16)


def _motion(fields: list[str]) -> dict[str, float]:
    told = {
        "LAT": _degrees(fields[_RMC_LAT], fields[_RMC_LAT + 1] == "S"),
        "LON": _degrees(fields[_RMC_LON], fields[_RMC_LON + 1] == "W"),
        "GPS_SPEED": _number(fields[_RMC_KNOTS], _KNOT_KPH),
        "GPS_HEADING": _number(fields[_RMC_COURSE]),
    }
    return {signal: value for signal, value in told.items() if value is not None}


def _quality(fields: list[str]) -> dict[str, float]:
    if len(fields) < _GGA_FIELDS or fields[_GGA_QUALITY] in ("", "0"):
        return {}
    told = {
        "SATS": _number(fields[_GGA_SATELLITES]),
        "HDOP": _number(fields[_GGA_HDOP]),
        "ALT": _number(fields[_GGA_ALTITUDE]),
    }
    return {signal: value for signal, value in told.items() if value is not None}


def _number(text: str, factor: float = 1.0) -> float | None:
    try:
        return float(text) * factor
    except ValueError:
        return None


def _degrees(text: str, is_negative: bool) -> float | None:
    value = _number(text)
    if value is None:
        return None
    degrees = int(value / 100)
    degrees_all = degrees + (value - 100 * degrees) / 60
    return -degrees_all if is_negative else degrees_all


def _utc_ns(time: str, date: str) -> int | None:
    clock, day = _TIME.fullmatch(time), _DATE.fullmatch(date)
    if clock is None or day is None:
        return None
    parts = (_CENTURY + int(day[3]), int(day[2]), int(day[1]), int(clock[1]), int(clock[2]), 0)
    try:
        begin_s = calendar.timegm(parts)
    except ValueError:
        return None
    return begin_s * 1_000_000_000 + round(float(clock[3]) * 1e9)
