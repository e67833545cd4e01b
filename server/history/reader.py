"""Reads a device's readings as columns, window by window, wherever they are stored.

    async for column in columns(connection, Wanted("car-1", start_ns, end_ns, frozenset({12}))):
        column.signal, column.boot, column.times_ns, column.values, column.states

Windows come in the order of time; within one, columns by signal and boot, each ascending. What came
late stands at its place. A window is read by one statement, so it is a consistent view of
hot log and segments, whatever is moved from one to the other between two windows; and no lock
is held while the caller works. Memory is bounded by one window.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import asyncpg

from server.history.wanted import INT64_MAX, Column, Wanted, in_order, join_columns, to_steps
from server.store.body import decode_parts
from server.store.segment import DAY_NS, MS_NS, catalogue_steps, decode_column, places

__all__ = ["Column", "Wanted", "columns", "stored_extent", "windows"]

WINDOW_NS = 600 * 10**9
DENSE_READINGS = 1_000_000
"""So many readings in a window, and the next one is half as long."""
MOST_PARTS = 32
PAUSE_BODIES = 32
"""Others get their turn after so many bodies: a long question must not hold up the ingest."""

STEP_NS = MS_NS
"""An instant may be so far from what a hot row says of it: it is given in the steps of its signal,
as a segment keeps it, and stays the same when its row becomes part of one."""

# $1 device, $2 start, $3 end, $4 boot. A segment lies within one UTC day.
HOT = f"""
    FROM hot_live WHERE device = $1
      AND time_max_ns >= $2::bigint - {STEP_NS} AND time_min_ns - {STEP_NS} < $3::bigint
      AND ($4::bigint IS NULL OR boot = $4)
"""
SEGMENTS = f"""
    FROM segments WHERE device = $1 AND t1_ns >= $2 AND t0_ns < $3
      AND t0_ns >= $2::bigint - $2::bigint % {DAY_NS}
      AND ($4::bigint IS NULL OR boot = $4)
"""
_EXTENT = f"""
    SELECT least((SELECT min(time_min_ns) - {STEP_NS} {HOT}), (SELECT min(t0_ns) {SEGMENTS})),
           greatest((SELECT max(time_max_ns) + {STEP_NS} {HOT}), (SELECT max(t1_ns) {SEGMENTS}))
"""
_FIRST = f"SELECT least((SELECT min(time_min_ns) {HOT}), (SELECT min(t0_ns) {SEGMENTS}))"
# Where the next window can begin ($3: end of this one, $5: of all): whatever reaches over that end
# is read with this window, and tells by itself. It is asked in the same statement: a row may become
# part of a segment between two.
_NEXT = """
    least((SELECT min(time_min_ns) FROM hot_live WHERE device = $1 AND time_min_ns >= $3
             AND time_min_ns < $5 AND ($4::bigint IS NULL OR boot = $4)),
          (SELECT min(t0_ns) FROM segments WHERE device = $1 AND t0_ns >= $3
             AND t0_ns < $5 AND ($4::bigint IS NULL OR boot = $4)))
"""
# Of segments whole rows, or of each wanted signal its two streams; hot rows as they are.
_ALL = f"""
    SELECT next_ns, boot, data, signals, time_streams, ends FROM (
        SELECT boot, data, signals, time_streams, ends, 0 AS place, id AS rank, 0 AS seq,
               NULL::bigint AS next_ns {SEGMENTS}
        UNION ALL SELECT boot, body, NULL, NULL, NULL, 1, written_ns, seq_first, NULL {HOT}
        UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, 2, 0, 0, {_NEXT}
    ) AS stored ORDER BY place, rank, boot, seq
"""
_SOME = f"""
    SELECT next_ns, boot, signal, times, data FROM (
        SELECT boot, signal, 0 AS place, id AS rank, 0 AS seq,
            substr(data, coalesce(ends[t], 0) + 1, ends[t + 1] - coalesce(ends[t], 0)) AS times,
            substr(data, coalesce(ends[v], 0) + 1, ends[v + 1] - coalesce(ends[v], 0)) AS data,
            NULL::bigint AS next_ns
        FROM (
            SELECT boot, id, data, ends, signal, time_streams[number] AS t,
                   cardinality(ends) - cardinality(signals) + number - 1 AS v
            FROM (SELECT * {SEGMENTS}) AS segments
            CROSS JOIN LATERAL unnest($6::int[]) AS asked(signal)
            CROSS JOIN LATERAL array_position(signals, signal) AS number
            WHERE number IS NOT NULL
        ) AS streams
        UNION ALL SELECT boot, NULL, 1, written_ns, seq_first, NULL, body, NULL {HOT}
        UNION ALL SELECT NULL, NULL, 2, 0, 0, NULL, NULL, {_NEXT}
    ) AS stored ORDER BY place, rank, boot, seq
"""


async def columns(connection: asyncpg.Connection, wanted: Wanted) -> AsyncIterator[Column]:
    """Give what is stored of what is wanted.

    Raises:
        BodyError: a row is damaged.
    """
    async for window in windows(connection, wanted):
        for column in window:
            yield column


async def windows(
    connection: asyncpg.Connection,
    wanted: Wanted,
    *,
    length_ns: int = WINDOW_NS,
    first_ns: int | None = None,
) -> AsyncIterator[list[Column]]:
    """Give the same, the columns of a window together; empty windows are left out.

    Args:
        length_ns: of a window; they begin at whole multiples of it.
        first_ns: an instant before which there is nothing, if one is known.

    Raises:
        BodyError: a row is damaged.
    """
    if first_ns is None:
        first_ns = await connection.fetchval(_FIRST, *bounds_of(wanted))
    done_ns, parts = wanted.start_ns, 1
    while first_ns is not None and first_ns < wanted.end_ns:
        part_ns = length_ns // parts
        begin_ns = max(done_ns, first_ns - first_ns % part_ns)
        end_ns = min(wanted.end_ns, begin_ns - begin_ns % part_ns + part_ns)
        window = _Window(wanted, begin_ns, end_ns)
        await window.read(connection)
        found = window.columns()
        done_ns = end_ns
        # A device that sends very much is read in shorter windows from then on.
        size = sum(map(len, found))
        if size > DENSE_READINGS and parts < MOST_PARTS:
            parts *= 2
        elif size < DENSE_READINGS // 4 and parts > 1:
            parts //= 2
        if found:
            yield found
        first_ns = window.next_ns


async def stored_extent(connection: asyncpg.Connection, wanted: Wanted) -> tuple[int, int]:
    """Give the earliest and the latest instant that rows with what is wanted may hold.

    It is as exact as rows tell without being read. Where there are none: two equal instants.
    """
    found = await find_extent(connection, wanted)
    return found if found is not None else (wanted.start_ns, wanted.start_ns)


async def find_extent(connection: asyncpg.Connection, wanted: Wanted) -> tuple[int, int] | None:
    """Give the same; None where there are no rows."""
    row = await connection.fetchrow(_EXTENT, *bounds_of(wanted))
    return None if row[0] is None else (row[0], row[1])


def bounds_of(wanted: Wanted) -> tuple[str, int, int, int | None]:
    """Give the first four arguments of `HOT` and `SEGMENTS`."""
    return wanted.device, wanted.start_ns, wanted.end_ns, wanted.boot


def columns_of_row(wanted: Wanted, row: Sequence[Any]) -> Iterator[Column]:
    """Give the wanted signals of (boot, data, signals, time_streams, ends) of a segment, or of
    (boot, body, None, None, None) of the hot log, ascending by time."""
    boot, data, signals, time_streams, ends = row
    if signals is None:
        yield from _columns_of_body(wanted, boot, data)
        return
    for index, signal in enumerate(signals):
        if wanted.takes(signal):
            place = places(time_streams, ends, index)
            times = data[place.times_at : place.times_at + place.times_size]
            values = data[place.values_at : place.values_at + place.values_size]
            yield Column(wanted.device, boot, signal, *decode_column(times, values))


def _columns_of_streams(wanted: Wanted, row: Sequence[Any]) -> Iterator[Column]:
    boot, signal, times, data = row
    if signal is None:
        yield from _columns_of_body(wanted, boot, data)
    else:
        yield Column(wanted.device, boot, signal, *decode_column(times, data))


def _columns_of_body(wanted: Wanted, boot: int, body: bytes) -> Iterator[Column]:
    for signal, times_ns, values, states in decode_parts(body):
        if wanted.takes(signal):
            step_ns = catalogue_steps(signal)[1]
            if step_ns > 1:
                times_ns = to_steps(times_ns, step_ns)
            yield in_order(Column(wanted.device, boot, signal, times_ns, values, states))


class _Window:
    """Readings of [start_ns, end_ns)."""

    def __init__(self, wanted: Wanted, start_ns: int, end_ns: int) -> None:
        self._wanted = wanted
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._parts: dict[tuple[int, int], list[Column]] = {}
        self._later_ns = INT64_MAX

    async def read(self, connection: asyncpg.Connection) -> None:
        """Fetch and decode what overlaps with the window, and see what comes after it."""
        wanted = self._wanted
        bounds = wanted.device, self._start_ns, self._end_ns, wanted.boot, wanted.end_ns
        if wanted.signals is None:
            rows = await connection.fetch(_ALL, *bounds)
        elif wanted.signals:
            rows = await connection.fetch(_SOME, *bounds, sorted(wanted.signals))
        else:
            return
        decode = columns_of_row if wanted.signals is None else _columns_of_streams
        if rows[-1]["next_ns"] is not None:
            self._later_ns = rows[-1]["next_ns"]
        for number, row in enumerate(rows[:-1], 1):
            for column in decode(wanted, row[1:]):
                self._add(column)
            if number % PAUSE_BODIES == 0:
                await asyncio.sleep(0)

    def _add(self, column: Column) -> None:
        kept = column.within(self._start_ns, self._end_ns)
        if kept is not None:
            self._parts.setdefault((column.signal, column.boot), []).append(kept)
        times_ns = column.times_ns
        if times_ns[-1] >= self._end_ns:
            later_ns = times_ns[bisect_left(times_ns, self._end_ns)]
            self._later_ns = min(self._later_ns, later_ns)

    def columns(self) -> list[Column]:
        """Give what was found, by signal and boot."""
        return [join_columns(self._parts[key]) for key in sorted(self._parts)]

    @property
    def next_ns(self) -> int | None:
        """Where the next window begins: at the next reading that may be wanted."""
        return self._later_ns if self._later_ns < INT64_MAX else None
