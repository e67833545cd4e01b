"""Figures from the windows of 5 minutes that are kept beside the readings, and longer than they.

What is in the hot log is in no window yet, and is read. Predictions and lost values are in no
figure, and not counted.
"""

from __future__ import annotations

import asyncio

import asyncpg

from server.history.figures import Figures, Key, add_windows
from server.history.reader import HOT, PAUSE_BODIES, bounds_of, columns_of_row
from server.history.wanted import Wanted
from server.store.rollup import LONG_NS

WINDOW_NS = LONG_NS

_ROLLUPS = """
    FROM rollups_5min
    CROSS JOIN LATERAL unnest(signals, counts, mins, maxs, sums, first_ms, last_ms)
        AS window_of(signal, count, smallest, greatest, total, first, last)
    WHERE device = $1 AND t_ns >= $2 AND t_ns < $3 AND ($4::bigint IS NULL OR boot = $4)
      AND ($5::int[] IS NULL OR signal = ANY ($5))
"""
_WINDOWS = f"""
    SELECT t_ns - t_ns % $6::bigint AS start_ns, signal, sum(count)::bigint,
           min(smallest), max(greatest), sum(total),
           min(t_ns + first * 1000000::bigint), max(t_ns + last * 1000000::bigint)
    {_ROLLUPS} GROUP BY 1, 2
"""
_HOT = f"SELECT boot, body, NULL, NULL, NULL {HOT}"
_EXTENT = """
    SELECT min(t_ns), max(t_ns) FROM rollups_5min
    WHERE device = $1 AND t_ns >= $2 - 300000000000 AND t_ns < $3
      AND ($4::bigint IS NULL OR boot = $4)
"""


async def rollup_extent(connection: asyncpg.Connection, wanted: Wanted) -> tuple[int, int] | None:
    """Give from when to when there are windows; None where there are none."""
    first_ns, last_ns = await connection.fetchrow(_EXTENT, *bounds_of(wanted))
    return None if first_ns is None else (first_ns, last_ns + WINDOW_NS)


async def read_rollups(
    connection: asyncpg.Connection, wanted: Wanted, window_ns: int | None
) -> dict[Key, Figures]:
    """Give the figures of windows that are whole multiples of 5 minutes long.

    A window of which only a part is wanted counts as a whole. Without a length there is one
    window, from `wanted.start_ns` on.
    """
    signals = None if wanted.signals is None else sorted(wanted.signals)
    device, start_ns, end_ns, boot = bounds_of(wanted)
    start_ns -= start_ns % WINDOW_NS
    # What is moved from the hot log into windows in between is seen once.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        rows = await connection.fetch(
            _WINDOWS, device, start_ns, end_ns, boot, signals, window_ns or 2**62
        )
        bodies = await connection.fetch(_HOT, *bounds_of(wanted))
    found: dict[Key, Figures] = {}
    for row in rows:
        start, signal, count, smallest, greatest, total, first_ns, last_ns = row
        key = (wanted.start_ns if window_ns is None else start, signal)
        found[key] = Figures(count, 0, 0, smallest, greatest, total, first_ns, last_ns)
    for number, row in enumerate(bodies, 1):
        for column in columns_of_row(wanted, row):
            part = column.within(wanted.start_ns, wanted.end_ns)
            if part is not None:
                add_windows(found, part, wanted.start_ns, window_ns)
        if number % PAUSE_BODIES == 0:
            await asyncio.sleep(0)
    return found
