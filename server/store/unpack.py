"""Segments back into rows of the hot log, for a step back to a version without segments.

Readings get numbers out of the ranges that are stored of their boot, in the order of their
instants, so that a repeated request is still known as one. Where a device does not count (boot 0),
numbers are new ones: what it sends again after this is stored again.
"""

from __future__ import annotations

from itertools import pairwise

import asyncpg

from server.store.body import Column as BodyColumn
from server.store.body import encode_columns, little_endian
from server.store.segment import Column, Segment, decode_segment

ROW_READINGS = 10_000
PAGE = 8
_STARTS = "SELECT DISTINCT device, boot FROM segments ORDER BY device, boot"
_SEGMENTS = """
    SELECT t0_ns, t1_ns, samples, signals, counts, counted, mins, maxs, sums, time_streams, ends,
           data
    FROM segments WHERE device = $1 AND boot = $2 ORDER BY t0_ns, id
"""
_RANGES = """
    SELECT lower(part) AS first, upper(part) - 1 AS last
    FROM (SELECT unnest(numbers) AS part FROM stored_numbers WHERE device = $1 AND boot = $2)
    ORDER BY 1
"""
_SESSION = """
    SELECT coalesce(
        (SELECT session_id FROM device_boots WHERE device = $1 AND boot = $2),
        (SELECT max(id) FROM sessions WHERE device = $1 AND boot = $2)
    )
"""
_OPEN = """
    INSERT INTO sessions (device, boot, opened_ns, closed_ns, closed_how)
    VALUES ($1, $2, $3, $3, 'recovered') RETURNING id
"""
_ROW = """
    INSERT INTO hot (device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns,
                     written_ns, body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def unpack_segments(connection: asyncpg.Connection) -> None:
    """Turn all segments into rows of `hot`, and empty them; in the caller's transaction."""
    # Compacted rows lie beside their segments until nobody reads them any more.
    await connection.execute(
        "DELETE FROM hot WHERE cycle <= (SELECT compacted FROM hot_progress)", timeout=None
    )
    for start in await connection.fetch(_STARTS, timeout=None):
        await _unpack(connection, start["device"], start["boot"])
    await connection.execute("TRUNCATE segments, rollups_10s, rollups_5min, stored_numbers")


async def _unpack(connection: asyncpg.Connection, device: str, boot: int) -> None:
    ranges = [(row["first"], row["last"]) for row in await connection.fetch(_RANGES, device, boot)]
    numbers = _Numbers(ranges)
    session = await connection.fetchval(_SESSION, device, boot)
    async for row in connection.cursor(_SEGMENTS, device, boot, prefetch=PAGE, timeout=None):
        segment = Segment(**dict(row))
        if session is None:
            session = await connection.fetchval(_OPEN, device, boot, segment.t0_ns)
        for column in decode_segment(segment):
            for part in _parts(column):
                for first, last, begin, end in numbers.take(len(part.times_ns)):
                    await _store(connection, (device, boot, first, last, session), part, begin, end)


class _Numbers:
    """Numbers that are stored, given out in their order; then new ones."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self._ranges = ranges[::-1]
        self._next = ranges[-1][1] + 1 if ranges else 1

    def take(self, count: int) -> list[tuple[int, int, int, int]]:
        """Give ranges with `count` numbers: first, last, and of which readings they are."""
        given = []
        begin = 0
        while begin < count:
            if not self._ranges:
                self._ranges.append((self._next, self._next + count - begin - 1))
                self._next += count - begin
            first, last = self._ranges.pop()
            size = min(last - first + 1, count - begin)
            if first + size <= last:
                self._ranges.append((first + size, last))
            given.append((first, first + size - 1, begin, begin + size))
            begin += size
        return given


def _parts(column: Column) -> list[Column]:
    """Cut a column into such as one row takes, each of one state."""
    cuts = [0]
    for index in range(1, len(column.states)):
        if column.states[index] != column.states[index - 1] or index - cuts[-1] == ROW_READINGS:
            cuts.append(index)
    cuts.append(len(column.states))
    return [
        Column(
            column.signal,
            column.times_ns[begin:end],
            column.values[begin:end],
            column.states[begin:end],
        )
        for begin, end in pairwise(cuts)
    ]


async def _store(
    connection: asyncpg.Connection,
    key: tuple[str, int, int, int, int],
    column: Column,
    begin: int,
    end: int,
) -> None:
    times = column.times_ns[begin:end]
    steps = [later - sooner for sooner, later in pairwise(times)]
    values = little_endian(column.values[begin:end])
    body = encode_columns(
        times[-1],
        [BodyColumn(0, column.signal, times[0], steps or [0], values, column.states[begin])],
    )
    await connection.execute(_ROW, *key, times[0], times[-1], times[-1], body)
