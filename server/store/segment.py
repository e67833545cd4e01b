"""Column segments: readings of one start of a device, every signal a compressed column.

    encode_segment(columns) -> Segment -> a row of the table `segments`
    decode_column(times, values) -> the readings of one signal

`Segment.data` is streams, one after the other: those of times, which signals that were read
together share, then one of values for each signal (`places` says where). A reader fetches the two
of the signal that it wants by `substr`, which of uncompressed TOAST reads nothing else.

Instants are kept in the whole steps that the catalogue gives the signal (a millisecond by default),
as differences less the usual one. Values come back bit for bit (`server.store.scaling`).
Readings are in the order of their instants; those with equal instants in the order in which they
came. What is here is pure: no database, no clock.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, repeat
from operator import add, floordiv, le, mul, sub
from typing import NamedTuple, TypeVar

import msgspec
import zstandard

from server.errors import BodyError
from server.store.packing import MISFITS, Packed, pack, unpack
from server.store.scaling import Scaler, decode_values

VERSION = 1
MS_NS = 1_000_000
DAY_NS = 86_400_000_000_000
COUNTED = (0, 1)
"""States that statistics count: measured, bounded."""
MOST_READINGS = 1 << 22
"""Of a column; bounds what a damaged one can ask for."""


_N = TypeVar("_N", int, float)


class Readings(NamedTuple):
    """The readings of one signal, by their instants.

    Attributes:
        times_ns: UTC nanoseconds since 1970.
        values: in the signal's unit.
        states: one byte each (`server.readings.State`).
    """

    times_ns: array[int]
    values: array[float]
    states: bytes


class Column(NamedTuple):
    """Readings of one signal on their way into a segment, in any order of instants."""

    signal: int
    times_ns: array[int]
    values: array[float]
    states: bytes


class Segment(msgspec.Struct, frozen=True):
    """A row of `segments`, but for device, boot and id; see the migration for its columns.

    Attributes:
        t0_ns: instant of the earliest reading, as it is decoded.
        t1_ns: of the latest.
        samples: readings of all signals.
        signals: ids, ascending.
        counts: readings of each signal.
        counted: those of them that statistics count.
        mins: smallest value counted; None where there is none.
        maxs: greatest.
        sums: their sum.
        time_streams: which stream has the times of each signal.
        ends: where each stream ends.
        data: the streams.
    """

    t0_ns: int
    t1_ns: int
    samples: int
    signals: list[int]
    counts: list[int]
    counted: list[int]
    mins: list[float | None]
    maxs: list[float | None]
    sums: list[float | None]
    time_streams: list[int]
    ends: list[int]
    data: bytes


class Places(NamedTuple):
    """Where the two streams of a signal lie in `data`: bytes from 0, and how many."""

    times_at: int
    times_size: int
    values_at: int
    values_size: int


COLUMN_SQL = """
    substr(data, coalesce(ends[{times}], 0) + 1, ends[{times} + 1] - coalesce(ends[{times}], 0)),
    substr(data, coalesce(ends[{values}], 0) + 1,
           ends[{values} + 1] - coalesce(ends[{values}], 0))
"""
"""Both streams of a signal in SQL; `times` and `values` are the numbers of the streams, from 0
(SQL counts elements from 1, so ends[k] is the end of the stream before stream k)."""


def places(time_streams: Sequence[int], ends: Sequence[int], index: int) -> Places:
    """Tell where the streams of the signal with this index lie."""
    times = time_streams[index]
    values = len(ends) - len(time_streams) + index
    times_at = ends[times - 1] if times else 0
    values_at = ends[values - 1] if values else 0
    return Places(times_at, ends[times] - times_at, values_at, ends[values] - values_at)


class Encoder:
    """Encodes segments; remembers how the values of each signal are scaled.

    Args:
        steps: gives a signal's step of values (None where it has none) and of instants in
            nanoseconds; default: the signal catalogue.
    """

    def __init__(self, steps: Callable[[int], tuple[float | None, int]] | None = None) -> None:
        self._steps = steps if steps is not None else catalogue_steps
        self._scaler = Scaler()

    def encode(self, columns: Iterable[Column]) -> Segment:
        """Give the segment of columns, of which no two have the same signal."""
        building = Building(self)
        for column in sorted(columns):
            building.add(column)
        return building.segment()

    def time_step_ns(self, signal: int) -> int:
        """Give the steps of a signal's instants."""
        return self._steps(signal)[1]

    @property
    def scaler(self) -> Scaler:
        """What knows how values are scaled."""
        return self._scaler

    def values(self, signal: int, values: array[float], states: bytes) -> bytes:
        """Give the stream of values and their states."""
        return self._scaler.encode(signal, self._steps(signal)[0], values, states)


class Building:
    """A segment that is put together signal by signal, ascending, so that others get turns."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._t0_ns, self._t1_ns = 2**63 - 1, 0
        self._signals: list[int] = []
        self._counts: list[int] = []
        self._figures: list[tuple[int, float | None, float | None, float | None]] = []
        self._known: dict[tuple[int, bytes], tuple[list[int] | None, array[int], bytes]] = {}
        self._times: dict[bytes, int] = {}
        self._time_streams: list[int] = []
        self._values: list[bytes] = []

    def add(self, column: Column) -> Readings:
        """Encode a column; give its readings as they will be decoded."""
        values, states = column.values, bytes(column.states)
        step_ns = self._encoder.time_step_ns(column.signal)
        # Signals that were read together are many, so the work for their times is done once.
        key = step_ns, column.times_ns.tobytes()
        known = self._known.get(key)
        if known is None:
            order = _order(column.times_ns)
            ascending = column.times_ns if order is None else _taken(column.times_ns, order)
            known = self._known[key] = order, *_encode_times(ascending, step_ns)
        order, times_ns, times = known
        if order is not None:
            values, states = _taken(values, order), bytes(map(states.__getitem__, order))
        readings = Readings(times_ns, values, states)
        encoded = self._encoder.values(column.signal, values, states)
        self._t0_ns = min(self._t0_ns, readings.times_ns[0])
        self._t1_ns = max(self._t1_ns, readings.times_ns[-1])
        self._signals.append(column.signal)
        self._counts.append(len(readings.values))
        self._figures.append(figures(readings))
        self._time_streams.append(self._times.setdefault(times, len(self._times)))
        self._values.append(encoded)
        return readings

    def segment(self) -> Segment:
        """Give the whole."""
        streams = [*self._times, *self._values]
        counted, mins, maxs, sums = zip(*self._figures, strict=True)
        return Segment(
            self._t0_ns,
            self._t1_ns,
            sum(self._counts),
            self._signals,
            self._counts,
            list(counted),
            list(mins),
            list(maxs),
            list(sums),
            self._time_streams,
            list(accumulate(map(len, streams))),
            b"".join(streams),
        )


def encode_segment(columns: Iterable[Column]) -> Segment:
    """Give the segment of columns by the signal catalogue."""
    return Encoder().encode(columns)


def decode_column(times: bytes, values: bytes) -> Readings:
    """Give the readings of a signal from its two streams.

    Raises:
        BodyError: damaged, of another version, or of different lengths.
    """
    times_ns = _decode_times(times)
    decoded, states = decode_values(values)
    if len(times_ns) != len(decoded):
        raise BodyError(f"expected {len(times_ns)} values of a column, got {len(decoded)}")
    return Readings(times_ns, decoded, states)


def decode_segment(segment: Segment) -> Iterator[Column]:
    """Give the columns of a segment.

    Raises:
        BodyError: damaged, or of another version.
    """
    for index, signal in enumerate(segment.signals):
        place = places(segment.time_streams, segment.ends, index)
        times = segment.data[place.times_at : place.times_at + place.times_size]
        values = segment.data[place.values_at : place.values_at + place.values_size]
        yield Column(signal, *decode_column(times, values))


def figures(readings: Readings) -> tuple[int, float | None, float | None, float | None]:
    """Give count, minimum, maximum and sum of what was measured or bounded, and is a number."""
    values: Sequence[float] = counted_values(readings)
    if math.isnan(sum(values)):  # a NaN, or both infinities
        values = [value for value in values if value == value]
    if not values:
        return 0, None, None, None
    try:
        total = math.fsum(values)
    except (OverflowError, ValueError):  # beyond float64, or of both infinities
        total = sum(values)
    return len(values), min(values), max(values), total


def counted_values(readings: Readings) -> Sequence[float]:
    """Give the values that statistics count."""
    if not readings.states.translate(None, bytes(COUNTED)):
        return readings.values
    return [
        value
        for value, state in zip(readings.values, readings.states, strict=True)
        if state in COUNTED
    ]


def catalogue_steps(signal: int) -> tuple[float | None, int]:
    """Give the steps of a signal's values and instants that the catalogue has."""
    from server.catalogue import by_id
    from server.errors import CatalogueError

    try:
        found = by_id(signal)
    except CatalogueError:
        return None, MS_NS
    return found.resolution, found.time_step_ns


def _order(times_ns: array[int]) -> list[int] | None:
    """Give the places of instants in ascending order; None where they are ascending."""
    if all(map(le, times_ns, memoryview(times_ns)[1:])):
        return None
    return sorted(range(len(times_ns)), key=times_ns.__getitem__)


def _taken(numbers: array[_N], order: list[int]) -> array[_N]:
    return array(numbers.typecode, map(numbers.__getitem__, order))


# -- instants --------------------------------------------------------------------------------------
class _Times(msgspec.Struct, array_like=True, gc=False):
    """A stream of times; `residuals` are differences less `usual`, in steps."""

    version: int
    count: int
    step_ns: int
    first: int
    usual: int
    residuals: Packed | None


_encode = msgspec.msgpack.Encoder().encode
_times_decoder = msgspec.msgpack.Decoder(_Times)


def _encode_times(times_ns: array[int], step_ns: int) -> tuple[array[int], bytes]:
    first = times_ns[0] // step_ns
    count = len(times_ns)
    if step_ns == 1:
        steps, kept_ns = list(times_ns), times_ns
    else:
        # Whole steps, downwards: a reading stays in its window, and on its day. Counted from the
        # first one, because small numbers are quick.
        steps = list(map(floordiv, map(sub, times_ns, repeat(first * step_ns)), repeat(step_ns)))
        kept_ns = array("q", map(add, map(mul, steps, repeat(step_ns)), repeat(first * step_ns)))
    differences = list(map(sub, steps[1:], steps))
    usual = _usual(differences) if differences else 0
    residuals = None
    if differences and differences.count(usual) != len(differences):
        residuals = pack(list(map(sub, differences, repeat(usual))))
    stream = _Times(VERSION, count, step_ns, first, usual, residuals)
    return kept_ns, _encode(stream)


def _usual(differences: list[int]) -> int:
    """Give about the median."""
    probe = sorted(differences[:: max(1, len(differences) // 64)])
    return probe[len(probe) // 2]


def _decode_times(stream: bytes) -> array[int]:
    try:
        found = _times_decoder.decode(stream)
        _check_version(found.version)
        count = found.count
        if not 0 < count <= MOST_READINGS or not 0 < found.step_ns <= DAY_NS:
            raise BodyError(f"expected 1 to {MOST_READINGS} readings in a column, got {count}")
        if found.residuals is None:
            last = found.first + found.usual * (count - 1)
            if not found.usual:
                steps: Iterable[int] = repeat(found.first, count)
            else:
                steps = range(found.first, last + (1 if found.usual > 0 else -1), found.usual)
        else:
            residuals = unpack(found.residuals, count - 1)
            steps = accumulate(map(add, residuals, repeat(found.usual)), initial=found.first)
        if found.step_ns == 1:
            return array("q", steps)
        return array("q", map(mul, steps, repeat(found.step_ns)))
    except (*MISFITS, zstandard.ZstdError) as error:
        raise BodyError(f"expected a stream of times, version {VERSION}: {error}") from error


def _check_version(version: int) -> None:
    if version != VERSION:
        raise BodyError(f"expected a stream of version {VERSION}, got {version}")


__all__ = [
    "COLUMN_SQL",
    "Building",
    "Column",
    "Encoder",
    "Places",
    "Readings",
    "Segment",
    "counted_values",
    "decode_column",
    "decode_segment",
    "encode_segment",
    "figures",
    "places",
]
