"""Reading again what somebody else may have changed.

Keys are gathered while the reading before still runs, so that a thousand changes cost a few
queries; nothing waits where nothing runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from server.errors import StoreError
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.instances")

KEYS_LIMIT = 200
"""Keys that are read one by one; of more, everything is read."""
RETRY_FIRST_S = 0.1
RETRY_LAST_S = 1.0

Read = Callable[[frozenset[str] | None], Awaitable[None]]
"""Reads these keys; None: everything."""


class Rereading:
    """Reads keys again soon, and until it succeeds.

    Args:
        what: for the log.
        read: does it; raises what the database raises.
        keys_limit: of how many keys on everything is read instead.
    """

    def __init__(self, what: str, read: Read, keys_limit: int = KEYS_LIMIT) -> None:
        self._what = what
        self._read = read
        self._keys_limit = keys_limit
        self._keys: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def ask(self, key: str) -> None:
        """Have a key read again; "" is everything. Call it in the event loop."""
        if self._is_closed:
            return
        self._keys.add(key)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"{self._what} again")

    async def close(self) -> None:
        """Read no more."""
        self._is_closed = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._read_all()
        finally:
            self._task = None

    async def _read_all(self) -> None:
        retry_s = RETRY_FIRST_S
        while self._keys:
            keys, self._keys = self._keys, set()
            every = "" in keys or len(keys) > self._keys_limit
            try:
                await self._read(None if every else frozenset(keys))
            except (StoreError, *DATABASE_ERRORS) as error:
                log.warning("not read again yet", what=self._what, reason=first_line(error))
                self._keys |= keys
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_LAST_S)
            else:
                retry_s = RETRY_FIRST_S
