"""What a gateway has stored, read back from its database when it has stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import asyncpg

from rig.record.streams import Stored
from server.store.body import decode_places
from server.store.connection import connect
from server.store.segment import Segment, decode_segment

PAGE_ROWS = 64
"""Rows fetched at a time: what is not decoded yet stays in the database."""

_HOT = """
    SELECT device, boot, seq_first, written_ns, body FROM hot_live
    ORDER BY device, written_ns, session_id, seq_first
"""
_SEGMENTS = """
    SELECT device, boot, t0_ns, t1_ns, samples, signals, counts, counted, mins, maxs, sums,
           time_streams, ends, data
    FROM segments ORDER BY device, t0_ns, boot, id
"""
_FIGURES = "SELECT compacted, (SELECT count(*) FROM segments) FROM hot_progress"


class StoredReadings(NamedTuple):
    """All readings of a database.

    Attributes:
        rows: those out of segments first, by device, segment, signal and instant; then those
            of the hot log in the order of writing. What segments do not keep is 0 in the former.
        cycles: finished cycles of the hot log of which segments were made.
        segments: how many there are now.
    """

    rows: list[Stored]
    cycles: int
    segments: int


async def fetch_stored(url: str, *, with_rows: bool = True) -> StoredReadings:
    """Give what is stored, hot log and segments in one snapshot; or the other figures alone.

    Raises:
        DatabaseUnreachable: the database does not answer; BodyError: a row is damaged.
    """
    connection = await connect(url)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows: list[Stored] = []
            if with_rows:
                rows = [row async for row in _compacted(connection)]
                rows += [row async for row in _hot(connection)]
            cycles, segments = await connection.fetchrow(_FIGURES)
    finally:
        await connection.close()
    return StoredReadings(rows, cycles, segments)


async def _compacted(connection: asyncpg.Connection) -> AsyncIterator[Stored]:
    async for row in connection.cursor(_SEGMENTS, prefetch=PAGE_ROWS):
        device, boot, *fields = row
        for signal, times_ns, values, states in decode_segment(Segment(*fields)):
            for time_ns, value, state in zip(times_ns, values, states, strict=True):
                yield Stored(device, 0, signal, time_ns, value, 0, state, 0, boot)


async def _hot(connection: asyncpg.Connection) -> AsyncIterator[Stored]:
    async for row in connection.cursor(_HOT, prefetch=PAGE_ROWS):
        device, boot, seq_first, written_ns, body = row
        for place, reading in decode_places(body):
            yield Stored(
                device,
                seq_first + place,
                reading.signal,
                reading.time_ns,
                reading.value,
                reading.received_ns,
                int(reading.state),
                written_ns,
                boot,
            )
