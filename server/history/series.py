"""A signal as a line: all readings, or at most so many points with every peak in place."""

from __future__ import annotations

import asyncio
from array import array
from contextlib import aclosing

import asyncpg
import msgspec

import server.history.errors as limits
from server.catalogue import by_id
from server.errors import CatalogueError
from server.history.decimation import Decimator
from server.history.errors import TooMuch
from server.history.figures import Figures
from server.history.reader import WINDOW_NS, find_extent
from server.history.reader import windows as read_windows
from server.history.rollups import WINDOW_NS as ROLLUP_NS
from server.history.rollups import read_rollups, rollup_extent
from server.history.wanted import Column, Wanted, merge_boots
from server.readings import State

SERIES_READINGS = 1_000_000
"""Readings of one answer, where no number of points is asked for."""
FEW_SIGNALS = 4
HOUR_NS = 3600 * 10**9
_LOST = int(State.LOST)


class Series(msgspec.Struct, frozen=True):
    """One signal over some time.

    Attributes:
        signal: short name, or the id where it has none.
        id: of the signal.
        unit: of the values.
        count: readings that there are; those below may be fewer.
        resolution_s: 300 where the answer comes from windows of 5 minutes that were kept, of which
            the smallest and the greatest value are known, but not when they were; None where it
            comes from the readings.
        times_ns: instants, ascending.
        values: one for each instant; null where it is no number.
    """

    signal: str
    id: int
    unit: str
    count: int
    resolution_s: int | None
    times_ns: list[int]
    values: list[float]


async def read_series(
    connection: asyncpg.Connection, wanted: Wanted, points: int | None = None
) -> list[Series]:
    """Give the signals, by id; with `points`, the extremes of that many halves of buckets.

    The buckets divide the time from the first reading (or `wanted.start_ns`) to the last one, so
    that peaks stay where they were. Values that are lost are left out, predictions are not.

    Raises:
        TooMuch: more readings than one question may have.
    """
    lines: dict[int, _Line] = {}
    start_ns, end_ns = wanted.start_ns, wanted.end_ns
    kept: tuple[int, int] | None = None
    if points is not None:
        raw = await find_extent(connection, wanted)
        kept = await rollup_extent(connection, wanted)
        if raw is not None:
            start_ns, end_ns = max(start_ns, raw[0]), min(end_ns, raw[1] + 1)
        if kept is not None:
            begin_ns = max(wanted.start_ns, kept[0])
            is_coarse = 2 * (end_ns - start_ns) >= points * ROLLUP_NS
            if raw is None or is_coarse or begin_ns < start_ns - ROLLUP_NS:
                return await _of_rollups(connection, wanted, points)
        wanted = msgspec.structs.replace(wanted, end_ns=end_ns)
    # Of few signals few statements: what they take is the larger part of such an answer.
    is_few = wanted.signals is not None and len(wanted.signals) <= FEW_SIGNALS
    length_ns = HOUR_NS if is_few else WINDOW_NS
    first_ns = None if points is None else start_ns
    read_parts = read_windows(connection, wanted, length_ns=length_ns, first_ns=first_ns)
    seen = 0
    limit = limits.READINGS_LIMIT if points is not None else SERIES_READINGS
    async with aclosing(read_parts) as read:  # type: ignore[type-var]
        async for window in read:
            seen += sum(map(len, window))
            if seen > limit and points is not None and kept is not None:
                return await _of_rollups(connection, wanted, points)
            if seen > limit:
                raise TooMuch("readings", limit)
            for column in merge_boots(window):
                line = lines.get(column.signal)
                if line is None:
                    line = lines[column.signal] = _Line(points, start_ns, end_ns)
                line.add(column)
                await asyncio.sleep(0)
    return [_series(signal, lines[signal]) for signal in sorted(lines)]


async def _of_rollups(connection: asyncpg.Connection, wanted: Wanted, points: int) -> list[Series]:
    found = await read_rollups(connection, wanted, ROLLUP_NS)
    by_signal: dict[int, list[Figures]] = {}
    for key in sorted(found):
        if found[key].count:
            by_signal.setdefault(key[1], []).append(found[key])
    made = []
    for signal in sorted(by_signal):
        windows = by_signal[signal]
        line = _Line(points, windows[0].first_ns, windows[-1].last_ns + 1)
        for window in windows:
            line.add(
                Column(
                    wanted.device,
                    0,
                    signal,
                    array("q", (window.first_ns, window.last_ns)),
                    array("d", (window.minimum, window.maximum)),
                    bytes(2),
                )
            )
        line.count = sum(window.count for window in windows)
        made.append(_series(signal, line, round(ROLLUP_NS / 1e9)))
    return made


class _Line:
    """One signal while it is read; decimated from the first reading that is too many."""

    def __init__(self, points: int | None, start_ns: int, end_ns: int) -> None:
        self._points = points
        self._start_ns, self._end_ns = start_ns, end_ns
        self._decimator: Decimator | None = None
        self.count = 0
        self.times_ns: array[int] = array("q")
        self.values: array[float] = array("d")

    def add(self, column: Column) -> None:
        """Take a column, later than those before."""
        times_ns, values = column.times_ns, column.values
        if column.states.count(_LOST):
            kept = [place for place, state in enumerate(column.states) if state != _LOST]
            times_ns = array("q", [times_ns[place] for place in kept])
            values = array("d", [values[place] for place in kept])
        self.count += len(times_ns)
        if self._points is not None and self._decimator is None and self.count > self._points:
            self._decimator = Decimator(self._points, self._start_ns, self._end_ns)
            self._decimator.add(self.times_ns, self.values)
        if self._decimator is not None:
            self._decimator.add(times_ns, values)
        else:
            self.times_ns.extend(times_ns)
            self.values.extend(values)

    def result(self) -> tuple[array[int], array[float]]:
        """Give the line."""
        if self._decimator is not None:
            return self._decimator.result()
        return self.times_ns, self.values


def _series(signal: int, line: _Line, resolution_s: int | None = None) -> Series:
    try:
        known = by_id(signal)
        name, unit = known.name, known.unit
    except CatalogueError:
        name, unit = str(signal), ""
    times_ns, values = line.result()
    return Series(name, signal, unit, line.count, resolution_s, times_ns.tolist(), values.tolist())
