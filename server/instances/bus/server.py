"""What buses with a server have in common: the server may be away, and nobody waits for it.

A connection is made, used until it is lost, and made again, for ever. What is published is gathered
and told soon; what cannot be told is dropped, and the next message says that something is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import ClassVar

import structlog

from server.instances.bus.base import Listeners

log = structlog.get_logger("telerig.instances")

RETRY_FIRST_S = 0.1
RETRY_LAST_S = 1.0


class ServerBus(Listeners):
    """Connects, and keeps what is to be told; how it is told is for who inherits.

    Attributes:
        waiting_limit_bytes: of what waits to be told; what comes then is dropped.
        close_s: what waits at the end is told within this time.
        errors: that say that the server is away; any other is a bug.
    """

    waiting_limit_bytes: ClassVar[int]
    close_s: ClassVar[float]
    errors: tuple[type[Exception], ...] = ()

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._is_complete = True  # nothing was dropped since it was last said
        self._wanted = asyncio.Event()  # there is something to tell
        self._drained = asyncio.Event()
        self._drained.set()
        self._tried = asyncio.Event()
        self._retry_s = RETRY_FIRST_S
        self._task: asyncio.Task[None] | None = None

    @property
    def limit_bytes(self) -> int:
        """Bytes of one message's data, at most."""
        raise NotImplementedError

    async def start(self) -> None:
        """Connect, and go on trying."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="bus")
            await self._tried.wait()

    def publish(self, subject: str, data: bytes) -> None:
        """Tell it soon."""
        size_bytes = self._waiting_bytes + len(data)
        is_too_much = len(data) > self.limit_bytes or size_bytes > self.waiting_limit_bytes
        if self.failing or is_too_much:
            self.counts.dropped += 1
            self._is_complete = False
        else:
            self._waiting.append((subject, data))
            self._waiting_bytes = size_bytes
            self._drained.clear()
        self._wanted.set()

    async def close(self) -> None:
        """Tell what waits, and disconnect."""
        task, self._task = self._task, None
        if task is not None:
            if not self.failing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.close_s):
                        await self._drained.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._end_repeating()

    async def _serve(self) -> None:
        """Connect, call `_connected`, and work until the connection is lost.

        Raises:
            errors: it is, or cannot be made.
        """
        raise NotImplementedError

    async def _disconnect(self) -> None:
        """End what is left of the connection."""

    def _why(self, error: Exception) -> str:
        """Say why the server is away."""
        raise NotImplementedError

    def _connected(self) -> None:
        """Take note that from here on everything is heard and can be told."""
        self._is_back()
        self._tried.set()
        self._retry_s = RETRY_FIRST_S

    async def _run(self) -> None:
        while True:
            try:
                await self._serve()
            except Exception as error:
                # A task boundary: whatever it is, the bus is tried again.
                if not isinstance(error, self.errors):
                    log.exception("the bus failed")
                self._is_away(self._why(error))
            finally:
                await self._disconnect()
            self._tried.set()
            self._forget()
            await asyncio.sleep(self._retry_s)
            self._retry_s = min(2 * self._retry_s, RETRY_LAST_S)

    def _forget(self) -> None:
        """Drop what waits: by the time a server is back others have read it in the database."""
        self.counts.dropped += len(self._waiting)
        self._is_complete = False
        self._waiting.clear()
        self._waiting_bytes = 0
        self._drained.set()
