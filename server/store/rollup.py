"""Rollups: count, minimum, maximum, sum, first and last of what was measured in a window.

Windows of 5 min are rows of arrays, windows of 10 s compressed streams, one a signal. Windows begin
at whole multiples of their length since 1970; predictions and lost values do not count.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress, pairwise
from operator import sub
from typing import NamedTuple

import msgspec

from server.errors import BodyError
from server.store.packing import MISFITS, Packed, pack, unpack
from server.store.scaling import Scaler, decode_values
from server.store.segment import COUNTED, Readings

VERSION = 1
SHORT_NS = 10_000_000_000
LONG_NS = 300_000_000_000
DENSE = 32
"""Readings in a short window, on average, from which on a signal has a rollup of them."""
MOST_WINDOWS = 1 << 20


class Window(NamedTuple):
    """One signal in one window."""

    t_ns: int
    n: int
    min: float
    max: float
    sum: float
    first_ns: int
    first: float
    last_ns: int
    last: float


class Short(NamedTuple):
    """The windows of 10 s of one signal, ascending; a window without a reading is not there."""

    times_ns: array[int]
    counts: Sequence[int]
    mins: array[float]
    maxs: array[float]
    means: array[float]


class _Short(msgspec.Struct, array_like=True, gc=False):
    version: int
    size: int
    first: int
    gaps: Packed | None
    counts: Packed
    mins: bytes
    maxs: bytes
    means: bytes


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(_Short)


def windows(readings: Readings, length_ns: int) -> list[Window]:
    """Give the windows of readings that are in the order of their instants."""
    times, values = readings.times_ns, readings.values
    if readings.states.translate(None, bytes(COUNTED)):
        kept = [state in COUNTED for state in readings.states]
        times = array("q", compress(times, kept))
        values = array("d", compress(values, kept))
    if math.isnan(sum(values)):  # a NaN, or both infinities
        kept = [value == value for value in values]
        times = array("q", compress(times, kept))
        values = array("d", compress(values, kept))
    found = []
    begin, size = 0, len(times)
    while begin < size:
        start_ns = times[begin] - times[begin] % length_ns
        end = bisect_left(times, start_ns + length_ns, begin)
        part = values[begin:end]
        found.append(
            Window(
                start_ns,
                end - begin,
                min(part),
                max(part),
                sum(part),
                times[begin],
                part[0],
                times[end - 1],
                part[-1],
            )
        )
        begin = end
    return found


def joined(short: Sequence[Window], length_ns: int) -> list[Window]:
    """Put short windows together to longer ones, of which they are whole parts."""
    found: list[Window] = []
    for window in short:
        start_ns = window.t_ns - window.t_ns % length_ns
        if found and found[-1].t_ns == start_ns:
            before = found[-1]
            found[-1] = Window(
                start_ns,
                before.n + window.n,
                min(before.min, window.min),
                max(before.max, window.max),
                before.sum + window.sum,
                before.first_ns,
                before.first,
                window.last_ns,
                window.last,
            )
        else:
            found.append(window._replace(t_ns=start_ns))
    return found


def may_be_dense(times_ns: array[int]) -> bool:
    """Tell whether windows of 10 s of these ascending instants can be dense: else they need not be
    made."""
    return any(map(SHORT_NS.__gt__, map(sub, times_ns[DENSE - 1 :], times_ns)))


def is_dense(short: Sequence[Window]) -> bool:
    """Tell whether windows have so many readings that a rollup is quicker than they are."""
    return bool(short) and sum(window.n for window in short) >= DENSE * len(short)


def encode_short(scaler: Scaler, signal: int, step: float | None, found: Sequence[Window]) -> bytes:
    """Give the stream of the windows of 10 s of a signal."""
    numbers = [window.t_ns // SHORT_NS for window in found]
    gaps = [later - sooner for sooner, later in pairwise(numbers)]
    states = bytes(len(found))

    def stream(values: list[float]) -> bytes:
        return scaler.encode(signal, step, array("d", values), states)

    # Means need no more than float32 has: the exact sums are in the windows of 5 min.
    means = array("f", [min(3e38, max(-3e38, w.sum / w.n)) for w in found])
    return _encode(
        _Short(
            VERSION,
            len(found),
            numbers[0],
            pack(gaps) if gaps and set(gaps) != {1} else None,
            pack([window.n for window in found]),
            stream([window.min for window in found]),
            stream([window.max for window in found]),
            scaler.encode(signal, None, array("d", means), states, has_steps=False),
        )
    )


def decode_short(data: bytes) -> Short:
    """Give the windows of 10 s of a signal.

    Raises:
        BodyError: damaged, or of another version.
    """
    try:
        found = _decoder.decode(data)
        if found.version != VERSION or not 0 < found.size <= MOST_WINDOWS:
            raise BodyError(f"expected a rollup of version {VERSION}, got {found.version}")
        size = found.size
        gaps = unpack(found.gaps, size - 1) if found.gaps is not None else [1] * (size - 1)
        number = found.first
        times = array("q", [number * SHORT_NS])
        for gap in gaps:
            number += gap
            times.append(number * SHORT_NS)
        short = Short(
            times,
            unpack(found.counts, size),
            decode_values(found.mins)[0],
            decode_values(found.maxs)[0],
            decode_values(found.means)[0],
        )
    except MISFITS as error:
        raise BodyError(f"expected a rollup of version {VERSION}: {error}") from error
    if {len(short.mins), len(short.maxs), len(short.means)} != {size}:
        raise BodyError(f"expected {size} windows of a rollup, got columns of other lengths")
    return short
