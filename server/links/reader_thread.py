"""A thread for a library that blocks, awaited like a task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

STOP_GRACE_S = 2.5
"""How long a cancelled reader may take to end; then its thread is left alone (it is a daemon)."""


class ReaderThread:
    """Runs `work(stop)` in a daemon thread of its own; `run()` ends as the work ends.

    Args:
        name: of the thread, for stack dumps.
        work: the blocking function; it returns soon after `stop` is set. What it raises, `run()`
            raises.
        interrupt: wakes the work out of a blocking read; called in the event loop, once.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[threading.Event], None],
        interrupt: Callable[[], None],
    ) -> None:
        self.name = name
        self._work = work
        self._interrupt = interrupt

    async def run(self) -> None:
        """Start the thread and wait for its end; cancelling stops it, within `STOP_GRACE_S`."""
        loop = asyncio.get_running_loop()
        stop = threading.Event()
        ended: asyncio.Future[None] = loop.create_future()

        def end(error: BaseException | None) -> None:
            if ended.cancelled():
                return
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        def body() -> None:
            error: BaseException | None = None
            try:
                self._work(stop)
            except BaseException as raised:  # noqa: BLE001 - thread boundary: handed on to run()
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(end, error)

        threading.Thread(target=body, name=self.name, daemon=True).start()
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            stop.set()
            self._interrupt()
            await asyncio.wait({ended}, timeout=STOP_GRACE_S)
            if ended.done():
                ended.exception()  # seen: what a stopped reader raises says nothing
            raise
