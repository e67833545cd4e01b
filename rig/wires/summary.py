"""What stands on the wires of a record, link by link: for a table, or for a script."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rig.record.reader import RecordReader
from rig.record.streams import CAN, CAN_ERROR, CanRow, WireChunk, link_of_wire
from rig.scenario.model import OBD
from rig.wires.exchanges import TO_HOST, conversation, is_hex
from rig.wires.source import BUS, ESP32, GPS, NOT_PLAYED, outages, playable_links, wire_info

IDENTITIES = ("ATI", "AT@1", "STI")


@dataclass(frozen=True, slots=True)
class WireSummary:
    """One wire.

    Attributes:
        wire: its name.
        what: what it is, as far as its bytes tell.
        to_host_bytes, to_device_bytes: that passed.
        messages: sentences, exchanges or frames; else chunks.
        rate_hz: of the messages, between the first and the last.
        first_s, last_s: since the record's start.
        gone: how often its device was away.
        plays: whether `telerig wires play` can use it; `why` not.
    """

    wire: str
    what: str
    to_host_bytes: int
    to_device_bytes: int
    messages: int
    rate_hz: float
    first_s: float
    last_s: float
    gone: int
    plays: bool
    why: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def summaries(record: RecordReader) -> list[WireSummary]:
    """Return a summary of each wire of `record`, and of its CAN bus."""
    playable = playable_links(record)
    found = [_of_wire(record, name, playable) for name in record.links]
    if (record.folder / CAN.file_name).exists():
        found.append(_of_bus(record, playable))
    return found


def _of_wire(record: RecordReader, name: str, playable: list[str]) -> WireSummary:
    chunks = record.wire(name)
    link = link_of_wire(name)
    what, messages = _meaning(record, name, chunks)
    times = [chunk.time_ns for chunk in chunks]
    plays = link in playable and not name.endswith(".http") and name != BUS
    return WireSummary(
        wire=name,
        what=what,
        to_host_bytes=sum(len(c.text) for c in chunks if c.direction == TO_HOST),
        to_device_bytes=sum(len(c.text) for c in chunks if c.direction != TO_HOST),
        messages=messages,
        plays=plays,
        why="" if plays else _why_not(name, link),
        gone=len(outages(record, name)),
        **_span(record, times, messages),
    )


def _why_not(name: str, link: str) -> str:
    if link == BUS:
        return "the frames on the bus are played instead"
    if name.endswith(".http"):
        return NOT_PLAYED["esp32.http"]
    return NOT_PLAYED.get(link, "a door to the bus, no adapter" if link == OBD else "unknown link")


def _span(record: RecordReader, times_ns: list[int], messages: int) -> dict[str, Any]:
    if not times_ns:
        return {"first_s": 0.0, "last_s": 0.0, "rate_hz": 0.0}
    seconds = record.manifest.seconds
    first_s, last_s = seconds(times_ns[0]), seconds(times_ns[-1])
    length_s = last_s - first_s
    return {
        "first_s": first_s,
        "last_s": last_s,
        "rate_hz": messages / length_s if length_s > 0 else 0.0,
    }


def _of_bus(record: RecordReader, playable: list[str]) -> WireSummary:
    rows: list[CanRow] = record.can
    errors = sum(1 for row in rows if row.flags & CAN_ERROR)
    ids = {row.id for row in rows if not row.flags & CAN_ERROR}
    what = f"CAN bus: {len(ids)} identifiers" + (f", {errors} error frames" if errors else "")
    info = record.manifest.can
    if info is not None:
        what += f", {info.bitrate_bps // 1000} kbit/s"
    return WireSummary(
        wire="(bus)",
        what=what,
        to_host_bytes=sum(len(row.data) for row in rows),
        to_device_bytes=0,
        messages=len(rows),
        plays=BUS in playable,
        gone=len(outages(record, BUS)),
        **_span(record, [row.time_ns for row in rows], len(rows)),
    )


def _meaning(record: RecordReader, name: str, chunks: list[WireChunk]) -> tuple[str, int]:
    link = link_of_wire(name)
    said = "".join(c.text for c in chunks if c.direction == TO_HOST)
    baud = wire_info(record, name).baud
    at = f" at {baud} baud" if baud else ""
    if link == OBD and "AT" in "".join(c.text for c in chunks[:50] if c.direction != TO_HOST):
        return _adapter(chunks) + at, len(conversation(chunks).exchanges)
    if link == GPS:
        kinds = {line[3:6] for line in said.splitlines() if line.startswith("$") and len(line) > 6}
        sentences = ", ".join(sorted(k for k in kinds if k.isalnum())) or "none"
        return f"NMEA 0183 ({sentences}){at}", said.count("$")
    if link == ESP32:
        what = "bodies of HTTP requests" if name.endswith(".http") else f"console of a board{at}"
        return what, len(chunks)
    return f"bytes{at}", len(chunks)


def _adapter(chunks: list[WireChunk]) -> str:
    """Return what an adapter said of itself."""
    talk = conversation(chunks)
    for exchange in talk.exchanges:
        if exchange.request in (*IDENTITIES, "ATZ"):
            text = b"".join(data for _, data in exchange.answer).decode("latin-1")
            lines = [line.strip("> ") for line in text.replace("\n", "\r").split("\r")]
            named = [line for line in lines if line and line.upper() != exchange.request]
            if named:
                asked = sum(1 for e in talk.exchanges if is_hex(e.request))
                return f"{named[0]}: {asked} requests to the vehicle"
    return "adapter for OBD"
