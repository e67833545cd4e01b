"""Records -> messages for the far gateway's ingest.

A reading's number there is decided by its record alone, however records are put together: then
the same record again, in whatever message, is a duplicate. Within a record of local readings, which
stand there as they came, they are numbered column by column; messages hold columns whose numbers
follow each other.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

import msgspec

from server.catalogue import by_id
from server.disk_queue import Record
from server.errors import CatalogueError
from server.store.body import COLUMNS_VERSION, decode_columns, decode_parts, little_endian
from server.wire import telemetry_pb2

COLUMNS_MOST = 256
"""The far ingest takes 512 fields; half of that is some milliseconds of work at a time."""
READINGS_MOST = 18_000
MESSAGE_BYTES = 700_000
COLUMN_READINGS = 8_000
"""A longer column is sent in parts."""
OWN_SIGNALS = 0x1000_0000
"""Ids from here on are this gateway's own: the far one knows the signal by name, if at all."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """Readings of one signal with successive numbers."""

    seq: int
    signal: int
    first_time_ns: int
    steps_ns: Sequence[int]
    values: bytes
    state: int
    readings: int

    @property
    def size_bytes(self) -> int:
        """How much of a message it takes, about."""
        return len(self.values) + 6 * len(self.steps_ns) + 48


def parts_of(record: Record) -> list[Part]:
    """Give the readings of a record, ascending by number.

    Raises:
        BodyError: the body is damaged.
    """
    return list(_pieces(record))


def _pieces(record: Record) -> Iterator[Part]:
    if record.body[:1] == bytes((COLUMNS_VERSION,)):
        for column in decode_columns(record.body):
            yield from _cut(
                record.seq_first + column.place,
                column.signal,
                column.times_ns,
                column.values,
                column.state,
            )
        return
    seq = record.seq_first
    for signal, times, values, states in decode_parts(record.body):
        # Two links may bring the same signal: the far ingest wants instants that do not go back.
        order = sorted(range(len(times)), key=times.__getitem__)
        for state, places in groupby(order, key=states.__getitem__):
            chosen = list(places)
            data = little_endian(array("d", [values[place] for place in chosen]))
            yield from _cut(seq, signal, [times[place] for place in chosen], data, state)
            seq += len(chosen)


def _cut(seq: int, signal: int, times: Sequence[int], values: bytes, state: int) -> Iterator[Part]:
    for begin in range(0, len(times), COLUMN_READINGS):
        part = times[begin : begin + COLUMN_READINGS]
        steps = [later - sooner for sooner, later in pairwise(part)]
        if steps and min(steps) == max(steps):
            del steps[1:]
        data = values[8 * begin : 8 * (begin + len(part))]
        yield Part(seq + begin, signal, part[0], steps, data, state, len(part))


class Message:
    """What goes into one request: parts with successive numbers of one boot.

    Args:
        columns_most: no more parts than these.
    """

    def __init__(self, columns_most: int = COLUMNS_MOST) -> None:
        self.parts: list[Part] = []
        self.readings = 0
        self._most = columns_most
        self._size_bytes = 0
        self._record: Record | None = None

    def take(self, record: Record, part: Part) -> bool:
        """Take a part, or leave it for the next message."""
        if self.parts:
            first, last = self._record, self.parts[-1]
            assert first is not None
            is_other = (
                (first.boot, first.vin) != (record.boot, record.vin)
                or part.seq != last.seq + last.readings
                # Without a boot the content of the whole message is the number.
                or (not record.boot and record is not first)
            )
            if (
                is_other
                or len(self.parts) >= self._most
                or self.readings + part.readings > READINGS_MOST
                or self._size_bytes + part.size_bytes > MESSAGE_BYTES
            ):
                return False
        else:
            self._record = record
        self.parts.append(part)
        self.readings += part.readings
        self._size_bytes += part.size_bytes
        return True

    def encode(self) -> bytes:
        """Give the protobuf message `Readings`."""
        record = self._record
        assert record is not None
        message = telemetry_pb2.Readings(boot=record.boot, vin=record.vin)
        if record.boot:
            message.seq = self.parts[0].seq
        for part in self.parts:
            column = message.columns.add(
                first_time_ns=part.first_time_ns,
                step_ns=part.steps_ns,
                values=part.values,
                state=part.state,
            )
            name = _name(part.signal)
            if name:
                column.signal = name
            else:
                column.signal_id = part.signal
        return message.SerializeToString()


def _name(signal: int) -> str:
    """Give the name of a signal that has no number everywhere; else nothing."""
    if signal < OWN_SIGNALS:
        return ""
    try:
        return by_id(signal).name
    except CatalogueError:
        return ""
