"""Segments and their rollups in the database: found, removed and written many at a time.

A statement for each of them costs several times what it does: most segments of a fleet are small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from server.store.partitions import BY_DAY, BY_MONTH, DAY_NS, Partitions
from server.store.rollup import LONG_NS, Window
from server.store.segment import Segment

# LATERAL with LIMIT: a look into the index of one day for each, whatever the planner believes.
_NEAR = """
    SELECT wanted.place, found.* FROM unnest(
        $1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::int[], $6::int[]
    ) WITH ORDINALITY AS wanted(device, boot, begin_ns, end_ns, room, room_of_signal, place),
    LATERAL (
        SELECT id, t0_ns, t1_ns, samples, signals, counts, counted, mins, maxs, sums, time_streams,
               ends, data
        FROM segments
        WHERE device = wanted.device AND boot = wanted.boot
          AND t0_ns >= wanted.begin_ns AND t0_ns < wanted.end_ns
          AND samples <= wanted.room AND wanted.room_of_signal >= ALL (counts)
        ORDER BY t0_ns DESC, id DESC LIMIT 1
    ) AS found
"""
_NUMBERS = "SELECT nextval('segment_ids') FROM generate_series(1, $1)"
_REMOVE_LONG = f"""
    DELETE FROM {BY_MONTH}
    WHERE device = $1 AND t_ns > $2 AND t_ns <= $3 AND boot = $4 AND id = $5
"""
_SEGMENT = """
    INSERT INTO segments (device, boot, id, t0_ns, t1_ns, samples, signals, counts, counted, mins,
                          maxs, sums, time_streams, ends, data)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""
_SHORT = """
    INSERT INTO rollups_10s (device, boot, t0_ns, t1_ns, id, signals, ends, data)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_LONG = """
    INSERT INTO rollups_5min (device, boot, t_ns, id, signals, counts, mins, maxs, sums, firsts,
                              lasts, first_ms, last_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

Row = tuple[object, ...]


class Wanted(NamedTuple):
    """What a stored segment has to be like to be put together with something.

    Attributes:
        begin_ns, end_ns: of its window.
        room: readings that it may have at most.
        room_of_signal: and of each signal.
    """

    device: str
    boot: int
    begin_ns: int
    end_ns: int
    room: int
    room_of_signal: int


class Key(NamedTuple):
    """Which segment."""

    device: str
    boot: int
    number: int


class Written(NamedTuple):
    """What is written of one segment."""

    key: Key
    segment: Segment
    short: Row | None
    long: list[Row]


async def near(
    connection: asyncpg.Connection, wanted: Sequence[Wanted], timeout_s: float
) -> dict[int, tuple[Key, Segment]]:
    """Give the newest segment that fits, by the place of what it is wanted for."""
    found = {}
    columns = list(zip(*wanted, strict=True)) if wanted else []
    for row in await connection.fetch(_NEAR, *columns, timeout=timeout_s) if columns else ():
        fields = dict(row)
        place = fields.pop("place") - 1
        key = Key(wanted[place].device, wanted[place].boot, fields.pop("id"))
        found[place] = key, Segment(**fields)
    return found


async def numbers(connection: asyncpg.Connection, count: int) -> list[int]:
    """Give the numbers of so many new segments."""
    return [row[0] for row in await connection.fetch(_NUMBERS, count)]


async def remove(
    connection: asyncpg.Connection, segments: Sequence[tuple[Key, Segment]], timeout_s: float
) -> None:
    """Remove segments and their rollups."""
    if not segments:
        return
    for table in BY_DAY:
        await connection.executemany(
            f"DELETE FROM {table} WHERE device = $1 AND t0_ns = $2 AND boot = $3 AND id = $4",
            [(key.device, segment.t0_ns, key.boot, key.number) for key, segment in segments],
            timeout=timeout_s,
        )
    rows = [
        (key.device, segment.t0_ns - LONG_NS, segment.t1_ns, key.boot, key.number)
        for key, segment in segments
    ]
    await connection.executemany(_REMOVE_LONG, rows, timeout=timeout_s)


async def write(
    connection: asyncpg.Connection,
    segments: Sequence[Written],
    partitions: Partitions,
    timeout_s: float,
) -> None:
    """Write segments and their rollups."""
    days_ns = _days_ns(one.segment for one in segments)
    for parent in ("segments", BY_MONTH):
        await partitions.ensure(connection, parent, days_ns)
    rows = [(*one.key, *msgspec.structs.astuple(one.segment)) for one in segments]
    await connection.executemany(_SEGMENT, rows, timeout=timeout_s)
    dense = [one for one in segments if one.short is not None]
    if dense:
        await partitions.ensure(connection, "rollups_10s", _days_ns(one.segment for one in dense))
        await connection.executemany(_SHORT, [one.short for one in dense], timeout=timeout_s)
    await connection.executemany(
        _LONG, [row for one in segments for row in one.long], timeout=timeout_s
    )


def _days_ns(segments: Iterable[Segment]) -> list[int]:
    """Give an instant of each day on which segments begin."""
    return list({segment.t0_ns // DAY_NS: segment.t0_ns for segment in segments}.values())


def long_rows(key: Key, long: dict[int, list[Window]]) -> list[Row]:
    """Give the rows of the windows of 5 min of a segment's signals."""
    by_time: dict[int, list[tuple[int, Window]]] = {}
    for signal, windows in long.items():
        for window in windows:
            by_time.setdefault(window.t_ns, []).append((signal, window))
    return [
        (
            key.device,
            key.boot,
            t_ns,
            key.number,
            [signal for signal, _ in found],
            [window.n for _, window in found],
            [window.min for _, window in found],
            [window.max for _, window in found],
            [window.sum for _, window in found],
            [window.first for _, window in found],
            [window.last for _, window in found],
            [(window.first_ns - t_ns) // 1_000_000 for _, window in found],
            [(window.last_ns - t_ns) // 1_000_000 for _, window in found],
        )
        for t_ns, found in sorted(by_time.items())
    ]
