"""The boards' way to real servers in wall time: sockets in a thread of their own."""

from __future__ import annotations

import asyncio
import collections
import os
import threading
from collections.abc import Callable

from rig.http_exchange import Place, as_written, exchange
from rig.walltime.clock import WallClock
from sim.esp32 import HttpAnswer, HttpRequest

STOP_TIMEOUT_S = 5.0

Answer = Callable[[HttpAnswer], None]


class ThreadInternet:
    """Exchanges in a thread; their answers come back in the thread of the world.

    Args:
        clock: of the world; it is woken for each answer.
        place: where hosts are found.
    """

    def __init__(self, clock: WallClock, place: Place = as_written) -> None:
        self._clock = clock
        self._place = place
        self._answers: collections.deque[tuple[Answer, HttpAnswer]] = collections.deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="boards' internet", daemon=True)
        self._thread.start()
        clock.watch_port(self._wake, self._deliver)

    def exchange(self, request: HttpRequest, answer: Answer) -> None:
        """Take a request of the world."""
        self._loop.call_soon_threadsafe(self._begin, request, answer)

    def close(self) -> None:
        """Give up what is open, and end the thread."""
        self._clock.unwatch_port(self._wake)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_TIMEOUT_S)
        os.close(self._wake)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._give_up())
        self._loop.close()

    async def _give_up(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, request: HttpRequest, answer: Answer) -> None:
        task = self._loop.create_task(self._exchange(request, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(self, request: HttpRequest, answer: Answer) -> None:
        found = await exchange(request, self._place)
        self._answers.append((answer, found))
        os.eventfd_write(self._wake, 1)

    def _deliver(self) -> None:
        os.eventfd_read(self._wake)
        while self._answers:
            answer, found = self._answers.popleft()
            answer(found)
