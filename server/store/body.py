"""The body of a hot-log row: a batch of readings as columns.

Byte 0 is the version; a zstd frame (level 1, with checksum) of msgpack columns follows.

Version 1, of the gateway's own links:

    [signals, first_time_ns, times, received, values, states]

`times` are nanoseconds since the reading before (the first: since `first_time_ns`), `received`
nanoseconds after the reading's own time, `values` little-endian float64 bytes, `states` one byte
each. Values are kept bit for bit, -0.0 and NaN included.

Version 2, of remote devices: columns as they came, so that no reading becomes an object on its
way in:

    [received_ns, [[place, signal, first_time_ns, steps_ns, values, state], …]]

`place` is the number of the column's first reading within the row: numbers may be left out, where
a reading was refused. `steps_ns` lead from each reading to the next; one element stands for all.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, compress, pairwise, repeat

import msgspec
import zstandard

from server.errors import BodyError
from server.readings import Reading, State

VERSION = 1
COLUMNS_VERSION = 2
MAX_READINGS = 65_536
"""Readings in one body, at most; bounds what a damaged body can ask for."""
_MAX_PLAIN_BYTES = MAX_READINGS * 64
_STATES: tuple[State, ...] = tuple(State)
_MISFITS = (zstandard.ZstdError, msgspec.DecodeError, IndexError, OverflowError)


class Column(msgspec.Struct, array_like=True, gc=False):
    """Readings of one signal, as version 2 keeps them.

    Attributes:
        place: number of the first reading within the row, from 0; the others follow.
        signal: id from the signal catalogue.
        first_time_ns: instant of the first reading.
        steps_ns: from each reading to the next; one element: for all of them.
        values: float64, little endian.
        state: how the values came about.
    """

    place: int
    signal: int
    first_time_ns: int
    steps_ns: list[int]
    values: bytes
    state: int = 0

    @property
    def size(self) -> int:
        """How many readings."""
        return len(self.values) // 8

    @property
    def times_ns(self) -> list[int]:
        """The instant of each reading."""
        steps = self.steps_ns
        following = repeat(steps[0], self.size - 1) if len(steps) == 1 else steps
        return list(accumulate(following, initial=self.first_time_ns))

    def part(self, first: int, size: int) -> Column:
        """Give `size` of the readings, from the one with index `first`."""
        steps = self.steps_ns
        return Column(
            self.place + first,
            self.signal,
            self.times_ns[first],
            steps if len(steps) == 1 else steps[first : first + size - 1],
            self.values[8 * first : 8 * (first + size)],
            self.state,
        )


class _Columns(msgspec.Struct, array_like=True, gc=False):
    signals: list[int]
    first_time_ns: int
    times: list[int]
    received: list[int]
    values: bytes
    states: bytes


class _Batch(msgspec.Struct, array_like=True, gc=False):
    received_ns: int
    columns: Sequence[Column]


Part = tuple[int, "array[int]", "array[float]", bytes]
"""Readings of one signal: its id, instants, values, states."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Columns)
_batch_decoder = msgspec.msgpack.Decoder(_Batch)
_compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
_decompressor = zstandard.ZstdDecompressor()


def encode_body(readings: Sequence[Reading]) -> bytes:
    """Give the body of 1 to MAX_READINGS readings.

    Raises:
        BodyError: none, too many, or a number outside of 64 bits.
    """
    if not 0 < len(readings) <= MAX_READINGS:
        raise BodyError(f"expected 1 to {MAX_READINGS} readings in a body, got {len(readings)}")
    times = [reading.time_ns for reading in readings]
    columns = _Columns(
        [reading.signal for reading in readings],
        times[0],
        [0, *(later - sooner for sooner, later in pairwise(times))],
        [reading.received_ns - reading.time_ns for reading in readings],
        little_endian(array("d", [reading.value for reading in readings])),
        bytes([reading.state for reading in readings]),
    )
    return _packed(VERSION, columns)


def encode_columns(received_ns: int, columns: Sequence[Column]) -> bytes:
    """Give the body of columns, ascending by place; 0 to MAX_READINGS readings.

    Raises:
        BodyError: too many, or a number outside of 64 bits.
    """
    size = sum(column.size for column in columns)
    if size > MAX_READINGS:
        raise BodyError(f"expected at most {MAX_READINGS} readings in a body, got {size}")
    return _packed(COLUMNS_VERSION, _Batch(received_ns, columns))


def _packed(version: int, content: _Columns | _Batch) -> bytes:
    try:
        plain = _encoder.encode(content)
    except OverflowError as error:
        raise BodyError(f"expected numbers of 64 bits in a reading: {error}") from error
    return bytes((version,)) + _compressor.compress(plain)


def decode_body(body: bytes) -> list[Reading]:
    """Give the readings of a body, equal to those that were encoded.

    Raises:
        BodyError: unknown version, damaged, or columns of different lengths.
    """
    return [reading for _, reading in decode_places(body)]


def decode_places(body: bytes) -> list[tuple[int, Reading]]:
    """Give the readings of a body, each with its number within the row, from 0.

    Raises:
        BodyError: unknown version, damaged, or columns of different lengths.
    """
    version = body[0] if body else 0
    if version == VERSION:
        return list(enumerate(_decode_readings(body)))
    if version == COLUMNS_VERSION:
        return _decode_columns(body)
    found = body[:1].hex() or "nothing"
    raise BodyError(f"expected a body of version {VERSION} or {COLUMNS_VERSION}, got {found}")


def decode_parts(body: bytes) -> list[Part]:
    """Give the readings of a body by signal, in the order of the row; none becomes an object.

    Raises:
        BodyError: unknown version, damaged, or columns of different lengths.
    """
    version = body[0] if body else 0
    if version == VERSION:
        return _parts_of_readings(_read_columns(body))
    if version == COLUMNS_VERSION:
        return [
            (
                column.signal,
                array("q", column.times_ns),
                floats(column.values),
                bytes((column.state,)) * column.size,
            )
            for column in _batch(body).columns
        ]
    found = body[:1].hex() or "nothing"
    raise BodyError(f"expected a body of version {VERSION} or {COLUMNS_VERSION}, got {found}")


def decode_columns(body: bytes) -> Sequence[Column]:
    """Give the columns of a body of version 2, ascending by place.

    Raises:
        BodyError: damaged, or of another version.
    """
    if body[:1] != bytes((COLUMNS_VERSION,)):
        found = body[:1].hex() or "nothing"
        raise BodyError(f"expected a body of version {COLUMNS_VERSION}, got {found}")
    return _batch(body).columns


def trim_body(body: bytes, first: int, size: int) -> tuple[bytes, list[Reading]]:
    """Cut a body of version 2 down to `size` places from `first` on; give it and its readings.

    Places are counted from the new first one.

    Raises:
        BodyError: damaged, or of another version.
    """
    batch = _batch(body)
    kept = []
    for column in batch.columns:
        begin = max(0, first - column.place)
        end = min(column.size, first + size - column.place)
        if begin < end:
            part = column.part(begin, end - begin)
            part.place -= first
            kept.append(part)
    trimmed = encode_columns(batch.received_ns, kept)
    return trimmed, decode_body(trimmed)


def little_endian(values: array[float]) -> bytes:
    """Give float64 as bytes."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def floats(data: bytes) -> array[float]:
    """Give float64 of little-endian bytes, whose number is a multiple of 8."""
    values = array("d", data)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _plain(body: bytes) -> bytes:
    # The library allocates what the frame claims, whatever `max_output_size` says.
    claimed_bytes = zstandard.frame_content_size(body[1:])
    if claimed_bytes > _MAX_PLAIN_BYTES:
        raise BodyError(f"expected at most {_MAX_PLAIN_BYTES} bytes, got {claimed_bytes}")
    return _decompressor.decompress(body[1:], max_output_size=_MAX_PLAIN_BYTES)


def _decode_readings(body: bytes) -> list[Reading]:
    columns = _read_columns(body)
    return [
        Reading(signal, time_ns, value, time_ns + delay_ns, _STATES[state])
        for signal, time_ns, value, delay_ns, state in zip(
            columns.signals,
            _times(columns),
            floats(columns.values),
            columns.received,
            columns.states,
            strict=True,
        )
    ]


def _read_columns(body: bytes) -> _Columns:
    try:
        columns = _decoder.decode(_plain(body))
    except _MISFITS as error:
        raise BodyError(f"expected a body of version {VERSION}: {error}") from error
    size = len(columns.signals)
    lengths = (len(columns.times), len(columns.received), len(columns.states))
    if lengths != (size, size, size) or len(columns.values) != 8 * size:
        raise BodyError(f"expected columns of {size} readings, got {lengths}")
    if size and max(columns.states) >= len(_STATES):
        raise BodyError(f"expected states below {len(_STATES)}, got {max(columns.states)}")
    return columns


def _times(columns: _Columns) -> list[int]:
    return list(accumulate(columns.times, initial=columns.first_time_ns))[1:]


def _parts_of_readings(columns: _Columns) -> list[Part]:
    times, values = _times(columns), floats(columns.values)
    parts: list[Part] = []
    for signal in dict.fromkeys(columns.signals):
        mask = [each == signal for each in columns.signals]
        parts.append(
            (
                signal,
                array("q", compress(times, mask)),
                array("d", compress(values, mask)),
                bytes(compress(columns.states, mask)),
            )
        )
    return parts


def _batch(body: bytes) -> _Batch:
    try:
        batch = _batch_decoder.decode(_plain(body))
    except _MISFITS as error:
        raise BodyError(f"expected a body of version {COLUMNS_VERSION}: {error}") from error
    for column in batch.columns:
        size = column.size
        if not size or len(column.values) % 8 or not _fits(column):
            found = f"{len(column.values)} bytes of values, {len(column.steps_ns)} steps"
            raise BodyError(f"expected a column of whole readings and their steps, got {found}")
    return batch


def _fits(column: Column) -> bool:
    steps = len(column.steps_ns)
    return steps in (1, column.size - 1) and 0 <= column.state < len(_STATES)


def _decode_columns(body: bytes) -> list[tuple[int, Reading]]:
    batch = _batch(body)
    received_ns = batch.received_ns
    return [
        (place, Reading(column.signal, time_ns, value, received_ns, _STATES[column.state]))
        for column in batch.columns
        for place, (time_ns, value) in enumerate(
            zip(column.times_ns, floats(column.values), strict=True), column.place
        )
    ]
