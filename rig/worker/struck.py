"""The gateway and the databases of a virtual run, as faults strike them.

A fault strikes within a step of the world, where nothing may happen to a program: its thread may
be the one that makes the step. So all of it waits until the loop is at rest, at the same instant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rig.faults.strike import End
from rig.vtime.loop import VirtualLoop

if TYPE_CHECKING:
    from rig.worker.loop_gateway import LoopGateway


class StruckLoop:
    """The loop of a run; it comes later than the faults that will strike in it."""

    def __init__(self) -> None:
        self._loop: VirtualLoop | None = None
        self._gateway: LoopGateway | None = None

    def attach(self, loop: VirtualLoop, gateway: LoopGateway) -> None:
        """Name the loop, and the gateway that is struck."""
        self._loop, self._gateway = loop, gateway

    @property
    def loop(self) -> VirtualLoop:
        """The loop."""
        assert self._loop is not None, "a fault struck before there was anything to strike"
        return self._loop

    @property
    def _struck(self) -> LoopGateway:
        assert self._gateway is not None
        return self._gateway

    # The gateway (`rig.faults.gateway`).
    def pause(self) -> None:
        """SIGSTOP."""
        self.loop.when_at_rest(self._struck.pause)

    def go_on(self) -> None:
        """SIGCONT."""
        self.loop.when_at_rest(self._struck.go_on)

    def kill(self) -> None:
        """SIGKILL."""
        self.loop.when_at_rest(self._struck.kill)

    def start_again(self) -> None:
        """Start it anew."""
        self.loop.when_at_rest(self._struck.start_again)


class LoopDoor:
    """The way to the databases in virtual time (`rig.worker.database_control.Door`)."""

    def __init__(self, struck: StruckLoop) -> None:
        self._struck = struck

    def shut(self, cut: Callable[[], object]) -> None:
        """Refuse new connections and end those that there are."""

        def shut() -> None:
            exchange = self._struck.loop.exchange
            exchange.way.is_down = True
            cut()
            exchange.cut()

        self._struck.loop.when_at_rest(shut)

    def open(self) -> None:
        """Let connections through again."""
        loop = self._struck.loop
        loop.when_at_rest(lambda: setattr(loop.exchange.way, "is_down", False))

    def slow(self, lag: Callable[[], float]) -> End:
        """Let what goes to and fro come later."""
        lags = self._struck.loop.exchange.way.lags
        lags.append(lag)

        def end() -> None:
            lags[:] = [other for other in lags if other is not lag]

        return end

    def call(self, action: Callable[[], object]) -> None:
        """Call `action` at this instant."""
        self._struck.loop.when_at_rest(action)
