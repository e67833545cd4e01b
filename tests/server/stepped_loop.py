"""An event loop whose time passes when a test says so: nothing waits, nothing comes early."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

from server.clock import Clock

SECOND_NS = 1_000_000_000
START_NS = 1_770_000_000 * SECOND_NS


class _Selector(selectors.SelectSelector):
    """Lets the loop's time jump to its next timer, after a look at what is ready."""

    loop: SteppedLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


class SteppedLoop(asyncio.SelectorEventLoop):
    """The loop; `now_s` is its time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Do at once what would be done in a thread."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (the waiter gets it)
            future.set_exception(error)
        return future

    def run_for(self, seconds: float) -> None:
        """Do all that is due within so many seconds."""
        self.run_until_complete(asyncio.sleep(seconds))

    def settle(self) -> None:
        """Do all that is due now."""
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))


class SteppedClock(Clock):
    """The gateway's clock on such a loop."""

    def __init__(self, loop: SteppedLoop) -> None:
        self._loop = loop

    def now_ns(self) -> int:
        return START_NS + round(self._loop.now_s * SECOND_NS)

    def monotonic_s(self) -> float:
        return self._loop.now_s
