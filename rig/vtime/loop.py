"""The event loop of virtual time: a stock selector loop whose selector is the clock."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import heapq
import itertools
import math
import select
import selectors
import socket
from collections.abc import Callable
from typing import Any

from rig.vtime import ports, state
from rig.vtime.external import DatabaseTransport, Exchange, is_database, is_for_database
from rig.vtime.kernel import Kernel, VirtualTimeError
from rig.vtime.program import Program, Ready, current, program_of


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

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().register(fileobj, events, data)
        ports.watched_by_loop(key.fd)
        return key

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
                if self._exchange.let_in():
                    continue
                if self._exchange.cut_off:
                    return self._exchange.take_cut_off(self)
                if loop.actions:
                    loop.actions.popleft()()
                    kernel.dirty = True
                    continue
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
    program: Program | None = None

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            self._number = next(self._numbers)
            return self._number


def _keep(sock: socket.socket) -> None:
    """Note whose socket this is."""
    program = current.get()
    if program is not None:
        program.sockets.add(sock)


def _is_of(key: selectors.SelectorKey, program: Program) -> bool:
    """Tell whether a descriptor is watched for a program."""
    handles = key.data if isinstance(key.data, tuple) else ()
    return any(handle is not None and program_of(handle) is program for handle in handles)


def _new_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> VirtualTask:
    task = VirtualTask(coroutine, loop=loop, **more)
    context = more.get("context")
    task.program = current.get() if context is None else context.get(current)
    return task


class VirtualLoop(asyncio.SelectorEventLoop):
    """`loop.time()` is the world's time."""

    _ready: Any
    _scheduled: Any
    _selector: VirtualSelector
    _timer_cancelled_count: int

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        selector = VirtualSelector(kernel)
        super().__init__(selector)
        selector.loop = self
        self.exchange = selector._exchange
        self._clock_resolution = 1e-9
        self.set_task_factory(_new_task)
        self.actions: collections.deque[Callable[[], object]] = collections.deque()
        self._stopped = 0  # programs

    def when_at_rest(self, action: Callable[[], object]) -> None:
        """Call `action` at this very instant, when nobody has anything to do in it any more.

        That is the only state in which somebody can be stopped or killed: no thread runs, no
        callback waits, and no exchange with a database is open.
        """
        self.actions.append(action)
        self._kernel.dirty = True  # whoever steps the world hands over to the loop

    def time(self) -> float:
        return self._kernel.env.now

    # -- programs (`rig.vtime.program`) ------------------------------------------------------------
    def tasks_of(self, program: Program) -> list[VirtualTask]:
        """Return the tasks of a program that are not done."""
        return [
            task
            for task in asyncio.all_tasks(self)
            if isinstance(task, VirtualTask) and task.program is program
        ]

    def sort_callbacks(self, wanted: bool) -> None:
        """Look at each callback whether it belongs to somebody who is stopped, or do not."""
        self._stopped += 1 if wanted else -1
        if bool(self._stopped) is not isinstance(self._ready, Ready):
            self._ready = (Ready if self._stopped else collections.deque)(self._ready)

    def unwatch(self, program: Program) -> list[selectors.SelectorKey]:
        """Look at a program's descriptors no more; those to databases are not looked at anyway."""
        keys = [
            key
            for key in self._selector.get_map().values()
            if key.fd not in self.exchange.transports and _is_of(key, program)
        ]
        for key in keys:
            self._selector.unregister(key.fd)
        return keys

    def watch(self, keys: list[selectors.SelectorKey]) -> None:
        """Look at descriptors again."""
        for key in keys:
            self._selector.register(key.fd, key.events, key.data)

    def forget(self, program: Program) -> list[Any]:
        """Drop a program's callbacks, timers and descriptors; return what was dropped."""
        dropped: list[Any] = []
        for key in list(self._selector.get_map().values()):
            if _is_of(key, program):
                self._selector.unregister(key.fd)
                dropped.append(key)
        for name in ("_ready", "_scheduled"):
            handles = getattr(self, name)
            dropped += [handle for handle in handles if program_of(handle) is program]
            kept = [handle for handle in handles if program_of(handle) is not program]
            handles.clear()
            handles.extend(kept)
        heapq.heapify(self._scheduled)
        self._timer_cancelled_count = sum(handle._cancelled for handle in self._scheduled)
        return dropped

    # -- what the standard loop does ---------------------------------------------------------------

    def _write_to_self(self) -> None:
        # The selector looks at loop._ready itself; a byte through a socket would only cost time.
        if state.kernel is not self._kernel:
            super()._write_to_self()  # type: ignore[misc]

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """Note whose thread it is that calls: a thread's context does not say it."""
        if context is None:
            program = None if self._kernel.stepping else self._kernel.program()
            if program is not current.get():
                context = contextvars.copy_context()
                context.run(current.set, program)
        return super().call_soon_threadsafe(callback, *args, context=context)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Time stands still while a connection is made."""
        self.exchange.connect(+1)
        try:
            await super().sock_connect(sock, address)
        finally:
            self.exchange.connect(-1)

    async def create_connection(self, protocol_factory: Any, *args: Any, **more: Any) -> Any:
        if is_for_database(protocol_factory):
            await self.exchange.way.enter()
        return await super().create_connection(protocol_factory, *args, **more)

    async def create_unix_connection(self, protocol_factory: Any, *args: Any, **more: Any) -> Any:
        if is_for_database(protocol_factory):
            await self.exchange.way.enter()
        return await super().create_unix_connection(protocol_factory, *args, **more)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        program = current.get()
        if executor is None and program is not None:
            # Its own: the threads of one that was killed never come back.
            executor = program.executor
        return super().run_in_executor(executor, func, *args)

    def _start_serving(self, protocol_factory: Any, sock: socket.socket, *more: Any) -> None:
        _keep(sock)
        super()._start_serving(protocol_factory, sock, *more)  # type: ignore[misc]

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
        _keep(sock)
        if not is_database(protocol):
            return super()._make_socket_transport(  # type: ignore[misc]
                sock, protocol, waiter, extra=extra, server=server, **more
            )
        return DatabaseTransport(
            self, sock, protocol, waiter, extra, server, exchange=self.exchange, **more
        )
