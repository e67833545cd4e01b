"""A program of virtual time: what belongs to one gateway, so that it can be treated as a process.

World, gateways and their clients share a process and a loop. What a gateway starts belongs to it:
tasks, callbacks and timers by the context that they inherit, threads by the thread or callback that
started them, sockets by the context in which they came to the loop. So it can be stopped and go on
as by SIGSTOP and SIGCONT, and killed as by SIGKILL: none of its code runs any more, no `finally`,
no destructor, and its descriptors are closed as the kernel closes them.

Both happen when the loop is at rest (`rig.vtime.loop.VirtualLoop.when_at_rest`): all threads are
parked, no callback is ready, and no exchange with a database is open.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rig.vtime.kernel import Kernel, Part
    from rig.vtime.loop import VirtualLoop

current: ContextVar[Program | None] = ContextVar("program", default=None)
"""Whose task or callback runs; None: the rig's own."""

_dead: list[Program] = []
"""For as long as this process lives: what nobody refers to is collected, and runs its `finally`."""


class Program:
    """One program; run its first task in a context in which `current` is set to it.

    Attributes:
        name: for people.
        sockets: those that it has, listening ones included.
        late: callbacks that became ready while it was stopped.
        is_stopped: whether it was stopped, and does not go on yet.
        is_dead: whether it was killed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.late: list[Any] = []
        self.is_stopped = False
        self.is_dead = False
        self._waiting: collections.deque[Part] = collections.deque()
        self._unwatched: list[Any] = []
        self._executor: ThreadPoolExecutor | None = None
        self._remains: list[Any] = []

    @property
    def executor(self) -> ThreadPoolExecutor:
        """The threads for what blocks; made when they are first asked for."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(thread_name_prefix=f"{self.name} asyncio")
        return self._executor

    def queue(self, running: collections.deque[Part]) -> collections.deque[Part]:
        """Return where its threads wait for their turn: `running`, unless it is stopped."""
        return self._waiting if self.is_stopped else running

    def stop(self, kernel: Kernel, loop: VirtualLoop) -> None:
        """Let nothing of it run; what comes for it waits. The loop must be at rest."""
        if self.is_dead or self.is_stopped:
            return
        self.is_stopped = True
        self._unwatched = loop.unwatch(self)
        loop.sort_callbacks(True)
        for part in self._parts(kernel):
            part.queue = self._waiting
            if part in kernel.runnable:
                kernel.runnable.remove(part)
                self._waiting.append(part)

    def go_on(self, kernel: Kernel, loop: VirtualLoop) -> None:
        """Let it run again, at this instant, with all that has come meanwhile, in that order."""
        if self.is_dead or not self.is_stopped:
            return
        self.is_stopped = False
        loop.sort_callbacks(False)
        for part in self._parts(kernel):
            part.queue = kernel.runnable
        kernel.runnable.extend(self._waiting)
        self._waiting.clear()
        loop.watch(self._unwatched)
        late, self.late = self.late, []
        for handle in late:
            loop._ready.append(handle)

    def kill(self, kernel: Kernel, loop: VirtualLoop, files: Iterable[str] = ()) -> None:
        """Drop it without running any of its code. The loop must be at rest.

        Args:
            kernel: of virtual time.
            loop: the one that it runs in.
            files: paths of what it may have open; a folder stands for all that is in it.
        """
        if self.is_dead:
            return
        self.is_dead = True
        _dead.append(self)
        if self.is_stopped:
            self.is_stopped = False
            loop.sort_callbacks(False)
        self._remains += loop.tasks_of(self)
        for part in self._parts(kernel):
            part.over = True  # it gets no turn any more
            kernel.parts.remove(part)
            if part in kernel.runnable:
                kernel.runnable.remove(part)
            self._remains.append(part)
        self._remains += loop.forget(self)
        loop.exchange.kill(self)
        self._close(tuple(files))
        kernel.pump()  # the world hears that connections have ended

    def _parts(self, kernel: Kernel) -> list[Part]:
        return [part for part in kernel.parts if part.program is self]

    def _close(self, places: tuple[str, ...]) -> None:
        """Close its descriptors as the kernel does.

        Their numbers stay taken, by nothing: its objects must not get hold of another's by chance.
        """
        sockets = {sock.fileno(): sock for sock in self.sockets if sock.fileno() >= 0}
        self._remains += sockets.values()
        files = [number for number, path in _open_files() if _is_within(path, places)]
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            for number in sorted({*sockets, *files}):
                os.dup2(nothing, number, inheritable=False)
        finally:
            os.close(nothing)


class Ready(collections.deque[Any]):
    """The loop's queue of callbacks while a program is stopped: that one's callbacks wait apart."""

    def append(self, handle: Any) -> None:
        """Keep a callback, or put it aside."""
        program = program_of(handle)
        if program is not None and program.is_stopped:
            program.late.append(handle)
        else:
            super().append(handle)


def program_of(handle: Any) -> Program | None:
    """Return whose callback this is."""
    context = handle._context
    return None if context is None else context.get(current)


def _open_files() -> list[tuple[int, str]]:
    """Return number and path of every descriptor of this process."""
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the listing's own is gone
            found.append((number, os.readlink(f"/proc/self/fd/{number}")))
    return found


def _is_within(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(place + "/") for place in places)
