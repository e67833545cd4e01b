"""From the links to the store and the live stream, bounded everywhere.

    links (any thread) -> offer() -> [fresh] -> publish tick -> live stream
                                             -> [waiting] -> flush -> hot log, one row per commit
                                                                   -> journal, while that is away

Every accepted reading gets the next sequence number of this run: 1, 2, 3, … without gaps. What
is accepted is stored: it stays queued until it is in the database, or in the journal on the disk
(`server.keeping`). The queue holds `queue_readings`; beyond that the newest readings are refused at
the door and counted (they have no number, and appear in no stream).

Both timers are armed by a reading; nothing ticks while nothing comes.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import structlog

from server.clock import Clock
from server.journal import Journal
from server.keeping import Keeping, Store
from server.readings import Reading, State
from server.store.hotlog import Batch

log = structlog.get_logger("telerig.pipeline")

MAX_BATCH_READINGS = 10_000
_TIME_LIMIT_NS = 2**62  # the year 2116
_SIGNAL_LIMIT = 2**31


class Publisher(Protocol):
    """Who is told; called in the event loop; never blocks."""

    def readings(self, seq_first: int, readings: Sequence[Reading]) -> None:
        """Take readings that were accepted, in order."""

    def stored(self, upto: int, time_ns: int) -> None:
        """Take note that everything up to this number is committed."""

    def store_failing(self, reason: str) -> None:
        """Take note that commits fail; empty when they succeed again."""


class PipelineCounts(msgspec.Struct, frozen=True):
    """Readings since the start.

    Attributes:
        accepted: stored, journaled or pending.
        refused: at the door, because the queue was full.
        malformed: with an impossible number.
        stored: committed to the database.
        pending: in memory; what a crash would lose.
        journaled: on the disk until the database is back, those of earlier runs included.
        commits: that succeeded.
        commits_failed: that did not, tries included.
    """

    accepted: int
    refused: int
    malformed: int
    stored: int
    pending: int
    journaled: int
    commits: int
    commits_failed: int


class Pipeline:
    """The bounded way of readings; made and stopped in the event loop, fed from any thread.

    Args:
        store: where batches go.
        publisher: who is told about readings, commits and failures.
        clock: for the instants of commits.
        queue_readings: most readings accepted and not yet stored.
        flush_s: longest wait of a reading for its commit to begin.
        publish_s: interval at which readings are published together.
        journal: where batches wait while the database is away; None: in memory.
        vin: gives the vehicle, where it is known.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        clock: Clock,
        *,
        queue_readings: int = 10_000,
        flush_s: float = 0.5,
        publish_s: float = 0.05,
        journal: Journal | None = None,
        vin: Callable[[], str] = str,
    ) -> None:
        self._keeping = Keeping(
            store,
            journal,
            clock,
            vin=vin,
            on_stored=self._stored,
            on_failing=publisher.store_failing,
        )
        self._publisher = publisher
        self._clock = clock
        self._capacity = queue_readings
        self._hurry_at = max(1, queue_readings // 2)
        self._flush_s = flush_s
        self._publish_s = publish_s
        self._lock = threading.Lock()
        # Under the lock:
        self._fresh: list[Reading] = []
        self._idle = True
        self._closed = False
        self._accepted = 0
        self._kept = 0  # of these, in the database or in the journal
        self._refused = 0
        self._malformed = 0
        # In the event loop only:
        self._published = 0
        self._waiting: list[Reading] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._publish_timer: asyncio.TimerHandle | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flush_due = asyncio.Event()
        self._stopping = False
        self._flusher: asyncio.Task[None] | None = None

    @property
    def counts(self) -> PipelineCounts:
        """How many readings were accepted, refused, stored."""
        keeping = self._keeping
        with self._lock:
            return PipelineCounts(
                accepted=self._accepted,
                refused=self._refused,
                malformed=self._malformed,
                stored=keeping.stored,
                pending=self._accepted - self._kept,
                journaled=keeping.journaled,
                commits=keeping.commits,
                commits_failed=keeping.commits_failed,
            )

    @property
    def failing(self) -> str:
        """Why commits fail; "" while they succeed."""
        return self._keeping.failing

    def start(self) -> list[asyncio.Task[None]]:
        """Begin to publish and store; call it in the event loop.

        The tasks that are given end by `stop()` only: any other end is a bug, and its exception
        is to be raised.
        """
        self._loop = asyncio.get_running_loop()
        self._flusher = asyncio.create_task(self._flush_forever(), name="flusher")
        drainer = self._keeping.start()
        return [self._flusher] if drainer is None else [self._flusher, drainer]

    def offer(self, readings: Sequence[Reading]) -> None:
        """Take readings (a `ReadingSink`): from any thread, never blocks.

        Readings with an impossible number (no float, not finite unless LOST, no instant) are
        refused one by one; when the queue is full, the newest are refused.
        """
        sound = readings if all(map(_is_sound, readings)) else list(filter(_is_sound, readings))
        malformed = len(readings) - len(sound)
        wake = hurry = False
        with self._lock:
            pending = self._accepted - self._kept
            room = 0 if self._closed else self._capacity - pending
            refused = max(0, len(sound) - room)
            if refused:
                sound = sound[:room]
            if sound:
                self._fresh.extend(sound)
                self._accepted += len(sound)
                wake, self._idle = self._idle, False
                hurry = pending < self._hurry_at <= pending + len(sound)
            is_first_malformed = malformed > 0 == self._malformed
            is_first_refused = refused > 0 == self._refused
            self._malformed += malformed
            self._refused += refused
        if wake:
            self._call(self._arm)
        if hurry:
            self._call(self._flush_due.set)
        # Said once each; the counts tell the rest.
        if is_first_malformed:
            log.error("malformed reading refused", reading=repr(_first_bad(readings)))
        if is_first_refused:
            log.error("readings refused: queue full", capacity=self._capacity, pending=pending)

    def _call(self, method: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(method)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        if self._publish_timer is None:
            self._publish_timer = loop.call_later(self._publish_s, self._publish)
        if self._flush_timer is None:
            self._flush_timer = loop.call_later(self._flush_s, self._flush_now)

    def _flush_now(self) -> None:
        self._flush_timer = None
        self._flush_due.set()

    def _publish(self) -> None:
        """Hand the fresh readings on: to the stream at once, to the next commit."""
        if self._publish_timer is not None:
            self._publish_timer.cancel()
            self._publish_timer = None
        with self._lock:
            readings, self._fresh = self._fresh, []
            self._idle = True
        if readings:
            self._waiting += readings
            self._publisher.readings(self._published + 1, readings)
            self._published += len(readings)

    async def _flush_forever(self) -> None:
        while not self._stopping:
            await self._flush_due.wait()
            await self._flush()
        await self._flush()

    async def _flush(self) -> None:
        """Keep everything that has come by now."""
        self._flush_due.clear()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self._publish()
        remaining = len(self._waiting)
        while remaining:
            readings = self._waiting[: min(remaining, MAX_BATCH_READINGS)]
            batch = Batch.of(self._kept + 1, readings)
            await self._keeping.keep(batch)
            del self._waiting[: len(readings)]
            remaining -= len(readings)
            with self._lock:
                self._kept = batch.seq_last

    def _stored(self, upto: int) -> None:
        self._publisher.stored(upto, self._clock.now_ns())

    async def stop(self, timeout_s: float) -> int:
        """Refuse new readings, keep what was accepted; give the number that was not."""
        with self._lock:
            self._closed = True
        if self._flusher is not None:
            self._stopping = True
            self._keeping.hurry()
            self._flush_due.set()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._flusher
            except TimeoutError:
                log.error("readings not kept", pending=self.counts.pending, reason=self.failing)
            except Exception as error:  # noqa: BLE001 (a task boundary: the stop must go on)
                log.error("flusher failed", reason=repr(error))
            self._flusher = None
            await self._keeping.stop(timeout_s)
        for timer in (self._publish_timer, self._flush_timer):
            if timer is not None:
                timer.cancel()
        self._publish_timer = self._flush_timer = None
        return self.counts.pending


def _is_sound(reading: Reading) -> bool:
    value = reading.value
    return (
        type(value) is float
        and type(reading.time_ns) is int
        and type(reading.received_ns) is int
        and type(reading.signal) is int
        and type(reading.state) is State
        and 0 <= reading.time_ns < _TIME_LIMIT_NS
        and 0 <= reading.received_ns < _TIME_LIMIT_NS
        and 0 < reading.signal < _SIGNAL_LIMIT
        and (math.isfinite(value) or reading.state is State.LOST)
    )


def _first_bad(readings: Sequence[Reading]) -> Reading:
    return next(reading for reading in readings if not _is_sound(reading))
