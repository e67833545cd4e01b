"""The streams of a record: name, row, and whether it belongs to the trace.

A stream is one file of JSON lines, one array a row. The bytes are canonical: integers as integers,
floats in their shortest form, never NaN (it becomes null), no spaces. So the same run gives the
same bytes on every Python, and the trace hash is a hash of these bytes.

zstandard level 1 packs them: on 600,000 wire rows (35 MB) it took 0.08 us a row and left 6.6 MB,
gzip level 1 took 0.26 us and left 8.6 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

SUFFIX = ".jsonl.zst"
WIRE_PREFIX = "wire."


class Sample(NamedTuple):
    """The instant at which the world took a value.

    `wire` is the value as the link carries it (quantised, with the receiver's error), in the
    signal's unit; None where the device had none, as a GNSS receiver without a fix.
    """

    time_ns: int
    source: str
    signal: str
    true: float | None
    wire: float | None


class WireChunk(NamedTuple):
    """Bytes at the instant they arrived. `direction` is ">" to the host, "<" to the device."""

    time_ns: int
    direction: str
    text: str

    @property
    def data(self) -> bytes:
        """The bytes themselves: `text` is their latin-1 reading, one character a byte."""
        return self.text.encode("latin-1")


class Published(NamedTuple):
    """A reading at the instant at which it reached a WebSocket client.

    `device` and `boot` are those of a device of its own; a reading that came over the gateway's own
    links has neither column.
    """

    arrived_ns: int
    seq: int
    signal: int
    time_ns: int
    value: float | None
    received_ns: int
    state: int
    device: str = ""
    boot: int = 0


class Stored(NamedTuple):
    """A reading as the store gives it back; `boot` only for a device of its own.

    Of a reading that stands in a segment `seq`, `received_ns` and `written_ns` are 0, because
    segments do not keep them, and `time_ns` is in the steps that its signal has there.
    """

    device: str
    seq: int
    signal: int
    time_ns: int
    value: float | None
    received_ns: int
    state: int
    written_ns: int
    boot: int = 0


class StoredAt(NamedTuple):
    """The instant at which every reading of `boot` up to `upto_seq` was committed.

    Of a device of its own: those from `first_seq` to `upto_seq`.
    """

    boot: int
    upto_seq: int
    time_ns: int
    device: str = ""
    first_seq: int = 0


class Transmission(NamedTuple):
    """A frame that a radio began to send.

    `kind` is "own", "retry" (own, again), "relay" or "ack". `text` is the packet as the mesh
    carries it (latin-1, as `WireChunk.text`) where the radio sends it as its own the first time.
    """

    time_ns: int
    node: int
    kind: str
    sender: int
    to: int
    id: int
    frame_bytes: int
    airtime_us: int
    text: str = ""

    @property
    def data(self) -> bytes:
        """The packet's bytes."""
        return self.text.encode("latin-1")


class Reception(NamedTuple):
    """What became of a frame at a radio in earshot, at its end.

    `outcome` is "ok", "weak" (noise), "collision", "busy" (it was sending itself) or "off".
    """

    time_ns: int
    node: int
    transmitter: int
    sender: int
    id: int
    outcome: str
    snr_db: float


class CanRow(NamedTuple):
    """A frame at the instant at which it ended on the car's CAN bus.

    `flags` adds up `CAN_EXTENDED`, `CAN_REMOTE` and `CAN_ERROR`. `text` is its data (latin-1, as
    `WireChunk.text`); of an error frame the kind of error, and `id` and `sender` are those of the
    frame that it destroyed. `bits` is how long the bus was busy with it, intermission excluded.
    """

    time_ns: int
    sender: str
    id: int
    flags: int
    text: str
    bits: int = 0

    @property
    def data(self) -> bytes:
        """The frame's data; none of an error frame."""
        return b"" if self.flags & CAN_ERROR else self.text.encode("latin-1")


CAN_EXTENDED = 1
CAN_REMOTE = 2
CAN_ERROR = 4


class Event(NamedTuple):
    """Something worth a line: a fault's start, a link's state, a trouble code."""

    time_ns: int
    kind: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream.

    Attributes:
        name: the file's name without suffix.
        row: the type of a row.
        time_column: the column that places a row in time.
        in_trace: True where its bytes belong to the trace hash.
        other_column: places those rows in time that have a 0 there.
    """

    name: str
    row: Any
    time_column: int
    in_trace: bool
    other_column: int = 0

    def time_ns(self, row: Sequence[Any]) -> int:
        """Return the instant at which a row stands."""
        time_ns: int = row[self.time_column] or row[self.other_column]
        return time_ns

    @property
    def file_name(self) -> str:
        """The file inside the run's folder."""
        return self.name + SUFFIX


# The gateway's boot id stands in `stored_at` alone, which is no part of the trace: it is random.
TRUTH = Stream("truth", list[float | None], 0, in_trace=True)
SAMPLES = Stream("samples", Sample, 0, in_trace=True)
PUBLISHED = Stream("published", Published, 0, in_trace=True)
STORED = Stream("stored", Stored, 5, in_trace=True, other_column=3)
STORED_AT = Stream("stored_at", StoredAt, 2, in_trace=False)
EVENTS = Stream("events", Event, 0, in_trace=False)
FIXED_STREAMS = (TRUTH, SAMPLES, PUBLISHED, STORED, STORED_AT, EVENTS)

# Of runs with radios only: the trace of any other knows nothing of them.
AIR = Stream("air", Transmission, 0, in_trace=True)
HEARD = Stream("heard", Reception, 0, in_trace=True)
RADIO_STREAMS = (AIR, HEARD)

# Likewise of runs that have the CAN link.
CAN = Stream("can", CanRow, 0, in_trace=True)
SOME_STREAMS = (*RADIO_STREAMS, CAN)
"""Streams that not every record has."""

MANIFEST_FILE = "run.json"
VERDICT_FILE = "verdict.json"
LOG_FILE = "gateway.log"
CAN_LOG_FILE = "can.blf"


def wire_stream(link: str) -> Stream:
    """Return the stream of the bytes of `link`."""
    return Stream(WIRE_PREFIX + link, WireChunk, 0, in_trace=True)


def http_stream_name(board: str) -> str:
    """Return the name of the wire stream of a board's HTTP bodies; its console has its own name."""
    return f"{board}.http"


def link_of_wire(name: str) -> str:
    """Return the link that a wire stream or a source of samples belongs to.

    A link of several boards has a stream for each: "esp32", "esp32-2", "esp32.http".
    """
    return name.split(".", 1)[0].split("-", 1)[0]
