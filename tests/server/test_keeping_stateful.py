"""Whatever happens to database, disk and process: what was kept is stored once, in its order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from server.disk_queue import Queue, Record
from server.journal import Journal
from server.keeping import Keeping
from server.readings import Reading
from server.store.hotlog import Batch
from tests.server.stepped_loop import SteppedClock, SteppedLoop

ROOM_BYTES = 3_000  # some ten batches: the journal is full now and then
RETRY_S = 6.0  # the longest wait between two tries, and a little


class Disk(Queue):
    """A queue on a disk that can be full."""

    is_full = False

    def append(self, record: Record) -> None:
        if Disk.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().append(record)


class Database:
    """Keeps the first batch of each key, as the hot log does."""

    def __init__(self) -> None:
        self.answers = True
        self.loses_answers = False
        self.boot = 0
        self.rows: dict[tuple[int, int], bytes] = {}
        self.order: dict[int, list[int]] = {}

    async def append(self, batch: Batch) -> None:
        if not self.answers:
            raise ConnectionRefusedError("away")
        boot = self.boot if batch.boot is None else batch.boot
        if (boot, batch.seq_first) not in self.rows:
            self.rows[boot, batch.seq_first] = batch.body
            self.order.setdefault(boot, []).append(batch.seq_first)
        if self.loses_answers:
            raise ConnectionResetError("cut")


class KeepingMachine(RuleBasedStateMachine):
    """Runs of a gateway over one database and one disk."""

    def __init__(self) -> None:
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        self.cleanup.enter_context(capture_logs())
        self.folder = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        Disk.is_full = False
        self.loop = SteppedLoop()
        asyncio.set_event_loop(self.loop)
        self.database = Database()
        self.kept: dict[tuple[int, int], bytes] = {}  # what the gateway has promised to keep
        self.boot = 0
        self.begin()

    def begin(self) -> None:
        """Start the gateway."""
        self.boot += 1
        self.database.boot = self.boot
        self.next_seq = 1
        self.told: list[int] = []
        self.ends: dict[int, int] = {}  # last -> first number of this run's batches
        self.waiting: asyncio.Task[None] | None = None
        self.offered: Batch | None = None
        self.journal = Journal(self.folder, ROOM_BYTES, self.boot)
        self.journal._queue.__class__ = Disk

        async def start() -> None:
            self.keeping = Keeping(
                self.database,
                self.journal,
                SteppedClock(self.loop),
                vin=str,
                on_stored=self.told.append,
                on_failing=lambda reason: None,
            )
            self.keeping.start()

        self.loop.run_until_complete(start())
        self.turn()

    def turn(self) -> None:
        """Let everything happen that happens at once."""
        self.loop.run_for(0.001)
        self._note()

    def _note(self) -> None:
        """A batch whose keep() has returned is kept."""
        if self.waiting is not None and self.waiting.done():
            self.waiting.result()
            assert self.offered is not None
            self.kept[self.boot, self.offered.seq_first] = self.offered.body
            self.waiting = None

    @precondition(lambda self: self.waiting is None)
    @rule(size=st.integers(1, 5))
    def keep(self, size: int) -> None:
        """The pipeline flushes."""
        first = self.next_seq
        self.next_seq += size
        self.ends[self.next_seq - 1] = first
        self.offered = Batch.of(
            first, [Reading(12, 1_000 + n, float(n), 2_000) for n in range(first, first + size)]
        )
        self.waiting = self.loop.create_task(self.keeping.keep(self.offered))
        self.turn()

    @rule(answers=st.booleans(), loses=st.booleans())
    def database_changes(self, answers: bool, loses: bool) -> None:
        """It goes, it comes; commits whose answer gets lost."""
        self.database.answers, self.database.loses_answers = answers, loses

    @rule(is_full=st.booleans())
    def disk_changes(self, is_full: bool) -> None:
        """Somebody else fills the disk, or makes room."""
        Disk.is_full = is_full

    @rule(seconds=st.sampled_from([0.1, 0.3, RETRY_S]))
    def time_passes(self, seconds: float) -> None:
        """Retries become due."""
        self.loop.run_for(seconds)
        self.turn()

    @rule()
    def kill(self) -> None:
        """kill -9: memory is gone; the kernel closes the files."""
        self.waiting = None
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.turn()
        os.close(self.journal._lock)
        self.journal._queue.close()
        self.begin()

    @rule()
    def restart(self) -> None:
        """A stop in order: nothing that was offered gets lost if the disk has room."""
        self.keeping.hurry()
        self.loop.run_for(0.5)
        self.turn()
        if self.waiting is not None:
            self.waiting.cancel()  # the longest time of a stop is over
            self.waiting = None
        self.loop.run_until_complete(self.keeping.stop(5.0))
        self.begin()

    @invariant()
    def what_is_stored_was_offered(self) -> None:
        """Each batch stands in the database under its own key, and in the order of its run."""
        for (boot, first), body in self.kept.items():
            assert self.database.rows.get((boot, first), body) == body
        for order in self.database.order.values():
            assert order == sorted(order)

    @invariant()
    def what_is_announced_is_stored(self) -> None:
        """A number is announced as stored once all of this run up to it is in the database."""
        assert self.told == sorted(set(self.told))
        assert set(self.told) <= set(self.ends)
        for end, first in self.ends.items():
            if self.told and end <= self.told[-1]:
                assert (self.boot, first) in self.database.rows

    def teardown(self) -> None:
        """The database is back, the disk has room: all that was ever kept is there, once."""
        self.database.answers, self.database.loses_answers = True, False
        Disk.is_full = False
        for _ in range(40):
            self.loop.run_for(RETRY_S)
            self.turn()
            if not self.journal and self.waiting is None:
                break
        missing = set(self.kept) - set(self.database.rows)
        assert not missing
        self.loop.run_until_complete(self.keeping.stop(5.0))
        asyncio.set_event_loop(None)
        self.loop.close()
        self.cleanup.close()


TestKeeping = KeepingMachine.TestCase
TestKeeping.settings = settings(max_examples=80, stateful_step_count=30)
