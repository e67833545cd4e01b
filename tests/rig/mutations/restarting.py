"""What a gateway forgets when it is killed, or when its database is away."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from server.journal import Journal
from server.keeping import STORE_ERRORS, Keeping
from server.store.appends import Append, Appended
from server.store.devicelog import DeviceLog
from server.store.hotlog import Batch, HotLog

from .patching import around


def journal_not_replayed() -> None:
    """A start forgets what the journal has of an earlier run."""

    @around(Journal, "__init__")
    def init(original: Any, journal: Journal, *args: Any) -> None:
        original(journal, *args)
        while journal.oldest() is not None:
            journal.done()


def acknowledged_batch_forgotten() -> None:
    """A start takes the newest batch of the run before for one that was not finished."""

    @around(HotLog, "open")
    async def open_log(original: Any, hotlog: HotLog) -> None:
        await original(hotlog)
        await hotlog._connection.execute(
            "DELETE FROM hot WHERE session_id = "
            "(SELECT max(session_id) FROM hot WHERE device = $1) AND seq_last = "
            "(SELECT max(seq_last) FROM hot WHERE session_id = "
            "(SELECT max(session_id) FROM hot WHERE device = $1))",
            hotlog.device,
        )


def failed_commit_forgotten() -> None:
    """A commit that failed counts as one that succeeded."""

    @around(Keeping, "_try")
    async def attempt(original: Any, keeping: Keeping, batch: Batch) -> bool:
        with contextlib.suppress(*STORE_ERRORS):
            await keeping._store.append(batch)
        return True


def device_answered_before_commit() -> None:
    """What a device sent is acknowledged at once, and committed if that works."""

    @around(DeviceLog, "append")
    async def append(original: Any, log: DeviceLog, append: Append) -> Appended:
        task = asyncio.create_task(original(log, append))
        task.add_done_callback(lambda done: done.exception())
        return Appended(append.pieces, 0)
