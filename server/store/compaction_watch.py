"""Whether somebody compacts, where this gateway does not (`[store] compactor = "elsewhere"`)."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from server.clock import Clock
from server.errors import StoreError
from server.store.compactor import Compacted
from server.store.config import StoreConfig
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.store")

LOOK_S = 60.0
PATIENCE_S = 120.0
"""So much longer than twice `compact_after_s` the oldest reading may wait before this is said."""

_OLDEST = """
    SELECT written_ns FROM hot, hot_progress
    WHERE slot = (compacted + 1) % 4 AND cycle = compacted + 1 LIMIT 1
"""


class CompactionWatch:
    """Stands where a gateway has its compactor; made without I/O.

    Args:
        pool: connections to look with.
        clock: for the age of what is there.
        config: when it should have been compacted.

    Attributes:
        failing: says that nobody compacts; empty while somebody does.
        counts: what this gateway has done: nothing.
    """

    def __init__(self, pool: asyncpg.Pool, clock: Clock, config: StoreConfig) -> None:
        self.failing = ""
        self.counts = Compacted()
        self._pool = pool
        self._clock = clock
        self._longest_s = 2 * config.compact_after_s + PATIENCE_S
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def committed(self, size_bytes: int) -> None:
        """Take note that rows were committed; called in the event loop."""
        if self._timer is None and self._task is None and not self._closing:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._begin)

    def look(self) -> None:
        """Do nothing: the store is never this gateway's."""

    async def close(self) -> None:
        """End."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> None:
        self._timer = None
        self._task = asyncio.create_task(self._run(), name="compaction watch")

    async def _run(self) -> None:
        try:
            oldest_ns = await self._pool.fetchval(_OLDEST)
        except (*DATABASE_ERRORS, StoreError) as error:
            log.debug("compaction not looked at", reason=first_line(error))
            oldest_ns = None
        else:
            age_s = 0.0 if oldest_ns is None else (self._clock.now_ns() - oldest_ns) / 1e9
            self._tell(age_s)
        self._task = None
        if oldest_ns is not None:
            self.committed(0)

    def _tell(self, age_s: float) -> None:
        was_failing = self.failing
        self.failing = ""
        if age_s > self._longest_s:
            self.failing = f"nobody compacts: the hot log has readings of {age_s:.0f} s ago"
            if not was_failing:
                log.error("nobody compacts", oldest_s=round(age_s), next="start telerig compact")
        elif was_failing:
            log.info("somebody compacts again")
