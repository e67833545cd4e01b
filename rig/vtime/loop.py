"""The event loop of virtual time: a stock selector loop whose selector is the clock."""

from __future__ import annotations

import asyncio
import itertools
import math
import select
import selectors
import socket
from typing import Any

from rig.vtime import state
from rig.vtime.external import DatabaseTransport, Exchange, is_database
from rig.vtime.kernel import Kernel, VirtualTimeError


class VirtualSelector(selectors.PollSelector):
    """Steps the world where a selector would sleep.

    poll, never epoll: on a PTY epoll reported readiness late in one of 110,000 writes, which made
    runs of one seed differ.
    """

    loop: VirtualLoop
    _selector: select.poll

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = kernel
        self._exchange = Exchange(kernel)

    def wants_turn(self) -> bool:
        """A part called `call_soon_threadsafe`."""
        return bool(self.loop._ready)

    def has_input(self) -> bool:
        """A part wrote to a descriptor that the loop watches, or a database spoke."""
        return bool(self._selector.poll(0))

    def select(self, timeout: float | None = None) -> Any:
        kernel = self._kernel
        if state.kernel is not kernel:
            return super().select(timeout)
        kernel.pump()
        ready = self._poll()
        if ready:
            return ready
        if timeout is not None and timeout <= 0:
            kernel.now_s()  # counts: tasks that never wait must come to an end
            return ready
        return self._wait()

    def _wait(self) -> Any:
        kernel, env, loop = self._kernel, self._kernel.env, self.loop
        # Taken from the loop itself: now + (when - now) need not equal when in floating point.
        deadline_s = loop._scheduled[0]._when if loop._scheduled else math.inf
        kernel.deadline_s = deadline_s
        kernel.host_side = self
        try:
            while True:
                if kernel.failure is not None:
                    raise kernel.failure
                if kernel.runnable:
                    kernel.give_turn()
                    kernel.dirty = True
                    continue
                if loop._ready:
                    return self._poll()
                if kernel.dirty:
                    kernel.dirty = False
                    ready = self._poll()
                    if ready:
                        return ready
                if kernel.external:
                    return self._exchange.collect(self)
                next_s = env.peek()
                if next_s > deadline_s:
                    kernel.advance(deadline_s)
                    return []
                if next_s == math.inf:
                    ready = self._exchange.unsolicited(self)
                    if ready:
                        return ready
                kernel.step_as_host()
        finally:
            kernel.host_side = None

    def _poll(self) -> list[Any]:
        """Ready descriptors, but no replies of a database: those come through the exchange."""
        transports = self._exchange.transports
        if not transports:
            return super().select(0)
        return [
            event
            for event in super().select(0)
            if not (event[1] & selectors.EVENT_READ and event[0].fd in transports)
        ]

    def poll_all(self, timeout_s: float) -> Any:
        """Ready descriptors of every kind, waiting in real time."""
        return super().select(timeout_s)


class VirtualTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address.

    Task groups cancel a set of tasks, `asyncio.wait` returns two: in the order of `hash()`, which
    for a task of the standard library is another one in each process.
    """

    _numbers = itertools.count()
    _number: int

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            self._number = next(self._numbers)
            return self._number


def _new_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> VirtualTask:
    return VirtualTask(coroutine, loop=loop, **more)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`loop.time()` is the world's time."""

    _ready: Any
    _scheduled: Any

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        selector = VirtualSelector(kernel)
        super().__init__(selector)
        selector.loop = self
        self.exchange = selector._exchange
        self._clock_resolution = 1e-9
        self.set_task_factory(_new_task)

    def time(self) -> float:
        return self._kernel.env.now

    def _write_to_self(self) -> None:
        # The selector looks at loop._ready itself; a byte through a socket would only cost time.
        if state.kernel is not self._kernel:
            super()._write_to_self()  # type: ignore[misc]

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Time stands still while a connection is made."""
        self.exchange.connect(+1)
        try:
            await super().sock_connect(sock, address)
        finally:
            self.exchange.connect(-1)

    async def _make_subprocess_transport(self, *args: Any, **more: Any) -> Any:
        # Python 3.11 would wait for it in a thread, in C, with the baton in its hand.
        raise VirtualTimeError("expected no subprocess in virtual time: it knows no such clock")

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
        **more: Any,
    ) -> Any:
        if not is_database(protocol):
            return super()._make_socket_transport(  # type: ignore[misc]
                sock, protocol, waiter, extra=extra, server=server, **more
            )
        return DatabaseTransport(
            self, sock, protocol, waiter, extra, server, exchange=self.exchange, **more
        )
