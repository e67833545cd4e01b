"""What an ESP32 says: HTTP bodies and serial frames, with the readings in their codec packets.

A packet goes on from those before it, so all of a board's messages are unpacked once, by the same
code that computes the compression (`rig.measures.uplinks`), and found again by their instants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from google.protobuf.message import DecodeError

from reports.runs.names import Names
from reports.runs.wire.message import TO_HOST, Field, Message, message
from rig.measures.uplinks import Uplinks
from rig.record.reader import RecordReader
from rig.record.streams import WireChunk
from server.wire import frame
from server.wire.codec.decoder import Decoded
from server.wire.codec.profile import Profile
from server.wire.telemetry_pb2 import Downlink, TimeBase, Uplink

MOST_FIELDS = 60
_MS_NS = 1_000_000


class Packet(NamedTuple):
    """A codec packet at its first sending: its readings as (instant or 0, signal id, value)."""

    seq: int
    kind: str
    transmitted: int
    suppressed: int
    readings: list[tuple[int, int, float]]


class PacketLog:
    """Every packet of a run's boards that can be unpacked, by board and instant of sending."""

    def __init__(self, record: RecordReader) -> None:
        self._devices = list(record.manifest.devices)
        self.sent: dict[tuple[str, int], list[Packet]] = {}
        self.first_sent_ns: dict[tuple[str, int, int], int] = {}
        self._bases: dict[tuple[int, int], TimeBase] = {}
        Uplinks(record, self._take).follow()

    def _take(
        self, device: int, boot: int, sent_ns: int, base: TimeBase, profile: Profile, found: Decoded
    ) -> None:
        if base.utc_ms:
            self._bases[device, boot] = base
        known = self._bases.get((device, boot))
        readings = []
        for number, row in enumerate(found.rows, found.first_row):
            time_ns = 0
            if known is not None:
                time_ns = (known.utc_ms + (number - known.row) * profile.period_ms) * _MS_NS
            for index, steps in zip(profile.due(number), row, strict=True):
                if steps is not None:
                    plan = profile.signals[index]
                    readings.append((time_ns, plan.id, plan.value(steps)))
        name = self._devices[device - 1]
        packet = Packet(found.seq, found.kind, found.transmitted, found.suppressed, readings)
        self.sent.setdefault((name, sent_ns), []).append(packet)
        self.first_sent_ns.setdefault((name, boot, found.seq), sent_ns)


class Board:
    """Reads one board's messages."""

    def __init__(self, device: str, names: Names, packets: PacketLog | None) -> None:
        self._device = device
        self._names = names
        self._packets = packets

    def http(self, chunks: Iterable[WireChunk]) -> Iterator[Message]:
        """Yield the bodies of requests and answers."""
        for chunk in chunks:
            yield self._body(chunk.time_ns, chunk.time_ns, chunk.direction, chunk.data, chunk.data)

    def serial(self, chunks: Iterable[WireChunk]) -> Iterator[Message]:
        """Yield the frames and the text on a console; frames that began earlier are left out."""
        readers: dict[str, frame.Decoder] = {}
        for chunk in chunks:
            place = chunk.time_ns, chunk.time_ns, chunk.direction
            reader = readers.setdefault(chunk.direction, frame.Decoder())
            found = list(reader.feed(chunk.data))
            for kind, payload in found:
                if kind in (frame.UPLINK, frame.DOWNLINK):
                    yield self._body(*place, payload, payload)
                else:
                    word = "HELLO" if kind == frame.HELLO else "text"
                    said = payload[1:] if kind == frame.HELLO else payload
                    yield message(*place, payload, word, said.decode("utf-8", "replace"))
            if not found:
                text = chunk.data.decode("utf-8", "replace").strip()
                is_text = text.isprintable() or "\n" in text
                yield message(*place, chunk.data, "text" if is_text else "bytes", text[:400])

    def _body(self, from_ns: int, at_ns: int, direction: str, body: bytes, data: bytes) -> Message:
        place = from_ns, at_ns, direction, data
        said: Uplink | Downlink = Uplink() if direction == TO_HOST else Downlink()
        try:
            said.ParseFromString(body)
        except DecodeError:
            return message(*place, "body", body[:200].decode("utf-8", "replace"))
        if isinstance(said, Uplink):
            return message(*place, "Uplink", _uplink_text(said), self._fields(at_ns, said))
        return message(*place, "Downlink", _downlink_text(said))

    def _fields(self, at_ns: int, said: Uplink) -> list[Field]:
        fields = [Field("boot", float(said.boot))]
        if said.HasField("counters"):
            fields.append(Field("packets waiting", float(said.counters.queue_packets)))
        packets: Sequence[Packet] = ()
        if self._packets is not None:
            packets = self._packets.sent.get((self._device, at_ns), ())
        for packet in packets:
            text = f"{packet.kind}: {packet.transmitted} sent, {packet.suppressed} as predicted"
            fields.append(Field(f"packet {packet.seq}", text=text))
            for time_ns, number, value in packet.readings[:MOST_FIELDS]:
                info = self._names.signals.get(number)
                signal = self._names.of_key((self._device, number))
                unit = info.unit if info else ""
                text = f"at {time_ns / 1e9:.3f}" if time_ns else ""
                fields.append(Field(signal, value, unit, text, signal))
            more = len(packet.readings) - MOST_FIELDS
            if more > 0:
                fields.append(Field("", text=f"and {more} more readings"))
        return fields


def _uplink_text(said: Uplink) -> str:
    parts = []
    if said.HasField("hello"):
        parts.append(f"hello of {said.hello.firmware}, start: {said.hello.reset_reason}")
    if said.packets:
        size = sum(len(packet) for packet in said.packets)
        parts.append(f"{len(said.packets)} codec packet{'s'[: len(said.packets) > 1]}, {size} B")
    parts += [f"{len(found)} {what}" for what, found in (("void", said.voids),
              ("command result", said.results), ("log line", said.logs)) if found]  # fmt: skip
    return ", ".join(parts) or "nothing new"


def _downlink_text(said: Downlink) -> str:
    parts = [f"committed below {said.ack}"]
    if said.acked:
        parts.append(f"and {len(said.acked)} more")
    if said.need_key:
        parts.append(f"needs a key packet ({len(said.need_key)})")
    if said.need_hello:
        parts.append("needs a hello")
    if said.need_profile:
        parts.append("needs the profile")
    parts += [f"refused {one.seq}: {one.reason}" for one in said.refused]
    parts += [f"command {command.name}" for command in said.commands]
    return ", ".join(parts)
