"""Puts batches where they last: into the database, or into the journal until it is back.

    keep() -> database
           -> journal -> database, in order, as soon as it answers

While something is in the journal, what comes goes behind it: batches of a run reach the database in
their order. A commit whose answer was lost is tried again, with the same batch: none is doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

import structlog

from server.clock import Clock
from server.journal import Journal
from server.store.connection import STORE_ERRORS, first_line
from server.store.hotlog import Batch

log = structlog.get_logger("telerig.pipeline")

RETRY_FIRST_S = 0.25
RETRY_LAST_S = 5.0


class Store(Protocol):
    """Where batches go."""

    async def append(self, batch: Batch) -> None:
        """Commit a batch, or raise one of STORE_ERRORS; the same batch again changes nothing."""


class Keeping:
    """Keeps the batches of one run, and those that an earlier one left in the journal.

    Args:
        store: the database.
        journal: None: a batch waits in memory until its commit.
        clock: for the instants of writing.
        vin: gives the vehicle, where it is known.
        on_stored: called after each commit of this run, with the last number in the database.
        on_failing: called when commits begin to fail, with the reason; "" when they succeed again.

    Attributes:
        stored: every reading of this run up to this number is in the database.
        kept: every reading of this run up to this number is in the database or in the journal.
        failing: why commits fail; "" while they succeed.
        commits: that succeeded.
        commits_failed: that did not, tries included.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal | None,
        clock: Clock,
        *,
        vin: Callable[[], str],
        on_stored: Callable[[int], None],
        on_failing: Callable[[str], None],
    ) -> None:
        self.stored = 0
        self.kept = 0
        self.failing = ""
        self.commits = 0
        self.commits_failed = 0
        self._store = store
        self._journal = journal
        self._clock = clock
        self._vin = vin
        self._on_stored = on_stored
        self._on_failing = on_failing
        self._stopping = asyncio.Event()
        self._filled = asyncio.Event()
        self._settled = asyncio.Event()  # the journal is empty, or the database does not answer
        self._one_at_a_time = asyncio.Lock()  # what blocks on the disk runs in a thread
        self._drainer: asyncio.Task[None] | None = None

    @property
    def journaled(self) -> int:
        """Readings in the journal, those of earlier runs included."""
        return 0 if self._journal is None else self._journal.readings

    def start(self) -> asyncio.Task[None] | None:
        """Begin to empty the journal; the task ends by `stop` only."""
        if self._journal is None:
            return None
        if self._journal:
            log.warning("readings of an earlier run in the journal", readings=self.journaled)
            self._filled.set()
        self._drainer = asyncio.create_task(self._drain_forever(), name="journal")
        return self._drainer

    async def keep(self, batch: Batch) -> None:
        """Return once the batch lasts."""
        if self._journal is None:
            await self._commit(batch)
        elif self._journal or not await self._try(batch):
            await self._put(batch, self._journal)
            return
        self._committed(batch)

    def hurry(self) -> None:
        """From now on waits are short: the gateway stops."""
        self._stopping.set()

    async def stop(self, timeout_s: float) -> None:
        """Empty the journal while the database answers; what stays is for the next run."""
        self.hurry()
        if self._drainer is None or self._journal is None:
            return
        if self._journal and not self.failing:
            self._settled.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._settled.wait()
        self._drainer.cancel()
        await asyncio.gather(self._drainer, return_exceptions=True)
        self._drainer = None
        async with self._one_at_a_time:
            if self._journal:
                log.warning("readings in the journal for the next start", readings=self.journaled)
            self._journal.close()

    # -- the database ----------------------------------------------------------------------------
    async def _commit(self, batch: Batch) -> None:
        """Write until it is committed; the batch stays the same, so that none is doubled."""
        retry_s = RETRY_FIRST_S
        while not await self._try(batch):
            await self._pause(retry_s)
            retry_s = min(retry_s * 2, RETRY_LAST_S)

    async def _try(self, batch: Batch) -> bool:
        try:
            await self._store.append(batch)
        except STORE_ERRORS as error:
            self.commits_failed += 1
            self._fail(first_line(error))
            return False
        self.commits += 1
        self._fail("")
        return True

    def _committed(self, batch: Batch) -> None:
        if batch.boot is None:
            self.stored = batch.seq_last
            self.kept = max(self.kept, self.stored)
            self._on_stored(self.stored)

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try; a stop cuts the first such wait short."""
        if self._stopping.is_set():
            await asyncio.sleep(min(seconds, RETRY_FIRST_S))
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _fail(self, reason: str) -> None:
        if reason == self.failing:
            return
        if reason and not self.failing:
            log.error("commit failed", reason=reason, next="tried again until it succeeds")
        elif reason:
            log.warning("commit still fails", reason=reason)
        else:
            log.info("commits succeed again", failed=self.commits_failed)
        self.failing = reason
        if reason:
            self._settled.set()
        self._on_failing(reason)

    # -- the journal -----------------------------------------------------------------------------
    async def _put(self, batch: Batch, journal: Journal) -> None:
        """Put a batch behind the others; wait for room where there is none."""
        told = False
        while True:
            try:
                async with self._one_at_a_time:
                    now_ns = self._clock.now_ns()
                    await asyncio.to_thread(journal.put, batch, self._vin(), now_ns)
            except OSError as error:
                if not told:
                    log.error("journal not written", reason=first_line(error), next="tried again")
                    told = True
            else:
                self.kept = batch.seq_last
                self._filled.set()
                return
            await self._pause(RETRY_FIRST_S)
            if not journal and await self._try(batch):
                self._committed(batch)
                return

    async def _drain_forever(self) -> None:
        journal = self._journal
        assert journal is not None
        while True:
            await self._filled.wait()
            async with self._one_at_a_time:
                batch = await asyncio.to_thread(journal.oldest)
                if batch is None:
                    self._filled.clear()
                    continue
            await self._commit(batch)
            async with self._one_at_a_time:
                await asyncio.to_thread(journal.done)
                if not journal:
                    self._filled.clear()
                    self._settled.set()
                    log.info("journal is empty again")
            self._committed(batch)
