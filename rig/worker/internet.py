"""What lies behind the boards' access point in a virtual run: the gateway, over real TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rig.http_exchange import exchange
from rig.worker.boards import gateway_at
from sim.esp32 import HttpAnswer, HttpRequest


class LoopInternet:
    """Exchanges as tasks of the run's own event loop: they take no time but the gateway's.

    A request begins when the loop gets its turn at this very instant; a world's step and the loop
    never run at once. So the order of requests is the order of the world.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, port: int | Callable[[], int | None]
    ) -> None:
        self._loop = loop
        self._place = gateway_at(port)
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._closed = False

    def exchange(self, request: HttpRequest, answer: Callable[[HttpAnswer], None]) -> None:
        """Take a request of the world; after `close` it gets lost."""
        self._loop.call_soon_threadsafe(self._begin, request, answer)

    def _begin(self, request: HttpRequest, answer: Callable[[HttpAnswer], None]) -> None:
        if self._closed:
            return

        async def run() -> None:
            answer(await exchange(request, self._place))

        task = self._loop.create_task(run())
        self._tasks[task] = None
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.result()

    async def close(self) -> None:
        """Give up what is still open, and take nothing more."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
