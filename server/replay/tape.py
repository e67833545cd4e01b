"""Reads what is stored, in the order of time, a little ahead of where it is played.

Holds some seconds of readings, however long the drive is, and a database connection only while it
reads.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter

import asyncpg

from server.history.reader import stored_extent, windows
from server.history.wanted import Wanted, rows_of
from server.sessions.store import within

Row = tuple[int, int, int, float, int]
"""time_ns, signal, boot, value, state."""

FIRST_SPAN_NS = 5 * 10**9
LONGEST_SPAN_NS = 60 * 10**9
SHORTEST_SPAN_NS = 250_000_000
HELD_ROWS = 20_000
"""About so many readings are held."""
_time = itemgetter(0)


class Tape:
    """Readings of one device in the order of time; of equal instants, by signal and boot.

    Args:
        pool: connections.
        wanted: which readings.

    Attributes:
        start_ns: instant of the first one.
        end_ns: no reading is as late.
    """

    def __init__(self, pool: asyncpg.Pool, wanted: Wanted) -> None:
        self.start_ns = self.end_ns = wanted.start_ns
        self._pool = pool
        self._wanted = wanted
        self._span_ns = FIRST_SPAN_NS
        self._rows: list[Row] = []
        self._place = 0
        self._read_ns = 0
        self._is_at_end = True

    async def open(self) -> bool:
        """Find the beginning and the end; tell whether there is anything."""
        async with self._pool.acquire() as connection:
            first_ns, last_ns = await stored_extent(connection, self._wanted)
        start_ns = max(first_ns, self._wanted.start_ns)
        end_ns = min(last_ns + 1, self._wanted.end_ns)
        if end_ns <= start_ns:
            return False
        self.end_ns = end_ns
        await self.seek(start_ns)
        first = await self.next_ns()
        if first is None:
            return False
        self.start_ns = first
        return True

    async def seek(self, instant_ns: int) -> None:
        """Go on with the first reading that is not before an instant."""
        held = self._rows
        if held and held[0][0] <= instant_ns < self._read_ns:
            self._place = bisect_left(held, instant_ns, key=_time)
            return
        self._rows, self._place = [], 0
        self._read_ns = instant_ns
        self._is_at_end = instant_ns >= self.end_ns

    async def next_ns(self) -> int | None:
        """Give the instant of the next reading; None at the end."""
        while self._place >= len(self._rows):
            if self._is_at_end:
                return None
            await self._fill()
        return self._rows[self._place][0]

    async def take(self, until_ns: int, limit: int) -> list[Row]:
        """Give the next readings from before an instant, at most so many."""
        found: list[Row] = []
        while len(found) < limit:
            next_ns = await self.next_ns()
            if next_ns is None or next_ns >= until_ns:
                break
            end = bisect_left(self._rows, until_ns, lo=self._place, key=_time)
            end = min(end, self._place + limit - len(found))
            found += self._rows[self._place : end]
            self._place = end
        return found

    async def _fill(self) -> None:
        """Read the next span."""
        begin_ns = self._read_ns
        until_ns = min(begin_ns + self._span_ns, self.end_ns)
        async with self._pool.acquire() as connection:
            rows = await self._rows_of(connection, begin_ns, until_ns)
            if not rows and until_ns < self.end_ns:
                # A gap of any length is skipped at once.
                begin_ns = await self._first_from(connection, until_ns)
                until_ns = min(begin_ns + self._span_ns, self.end_ns)
                rows = await self._rows_of(connection, begin_ns, until_ns)
        self._rows, self._place = rows, 0
        self._read_ns = until_ns
        self._is_at_end = until_ns >= self.end_ns
        if rows:
            fitting_ns = (until_ns - begin_ns) * HELD_ROWS // len(rows)
            self._span_ns = max(SHORTEST_SPAN_NS, min(fitting_ns, LONGEST_SPAN_NS))

    async def _rows_of(
        self, connection: asyncpg.Connection, begin_ns: int, until_ns: int
    ) -> list[Row]:
        rows: list[Row] = []
        async for window in windows(connection, within(self._wanted, begin_ns, until_ns)):
            rows += rows_of(window)
        return rows

    async def _first_from(self, connection: asyncpg.Connection, begin_ns: int) -> int:
        """Give the instant of the first reading from an instant on; the end where there is none."""
        found = windows(connection, within(self._wanted, begin_ns, self.end_ns))
        try:
            async for window in found:
                return min(column.times_ns[0] for column in window)
        finally:
            await found.aclose()  # type: ignore[attr-defined]
        return self.end_ns
