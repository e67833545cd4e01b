"""What is replaced in the standard library, all in one place, and inert while no kernel is active.

Must be installed before the program under test is imported: names such as `from time import sleep`
bind what they find. Private names touched here: `threading._time`, `threading._allocate_lock`,
`threading._PyRLock`, `threading._CRLock`, `queue.time`, `queue._PySimpleQueue`, `random._urandom`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import random
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import time_machine

from rig.vtime import ports, state, tcp
from rig.vtime.kernel import Kernel, Part
from rig.vtime.locks import VirtualLock

SHORTEST_SELECT_S = 1e-6
"""A kernel's: Python rounds what it asks for up to it."""

_installed = False


def install() -> None:
    """Replace clocks, sleeping, locks, threads, `select`, connections and entropy. Idempotent.

    `os.open` tells a port that it was opened.
    """
    global _installed
    if _installed:
        return
    _installed = True
    _patch_clocks()
    _patch_threads()
    _patch_select()
    _patch_open()
    _patch_entropy()
    tcp.patch(lambda: state.kernel)


@contextlib.contextmanager
def active(kernel: Kernel, entropy: random.Random) -> Iterator[None]:
    """Make `kernel` the clock of this process; the wall clock starts at its epoch."""
    if not _installed:
        raise RuntimeError("rig.vtime.install() must run before a kernel is activated")
    travel = time_machine.travel(datetime.fromtimestamp(kernel.epoch_ns / 1e9, UTC), tick=False)
    traveller: Any = travel.start()
    traveller.time_ns = kernel.utc_ns  # covers time.time, datetime.now, logging: all of C level
    random.seed(entropy.getrandbits(64))
    _entropy.append(entropy)
    state.kernel = kernel
    try:
        yield
    finally:
        state.kernel = None
        _entropy.clear()
        tcp.clear()
        travel.stop()


# -- clocks ----------------------------------------------------------------------------------------
class _Clock:
    """A clock function that, like the builtin it replaces, does not become a method.

    pyserial binds `TIME = time.monotonic` in a class body: a Python function would get `self`.
    """

    __slots__ = ("_real", "_virtual")

    def __init__(self, real: Callable[[], Any], virtual: Callable[[Kernel], Any]) -> None:
        self._real = real
        self._virtual = virtual

    def __call__(self) -> Any:
        kernel = state.kernel
        return self._real() if kernel is None else self._virtual(kernel)


def _as_builtin(function: Callable[..., Any]) -> Any:
    """Like `_Clock`: what replaces a builtin must not become a method in a class body either."""
    return staticmethod(function)


def _patch_clocks() -> None:
    for name in ("monotonic", "perf_counter"):
        setattr(time, name, _Clock(getattr(time, name), Kernel.now_s))
        nanoseconds = name + "_ns"
        setattr(time, nanoseconds, _Clock(getattr(time, nanoseconds), Kernel.now_ns))

    real_sleep = time.sleep

    def sleep(duration_s: float, /) -> None:
        kernel = state.kernel
        if kernel is None or kernel.part() is None:
            real_sleep(duration_s)
        elif duration_s >= 0:
            kernel.sleep(duration_s)
        else:
            raise ValueError("sleep length must be non-negative")

    time.sleep = _as_builtin(sleep)
    threading._time = time.monotonic  # type: ignore[attr-defined]
    queue.time = time.monotonic  # type: ignore[attr-defined]


# -- threads and locks -----------------------------------------------------------------------------
def _patch_threads() -> None:
    module: Any = threading
    module.Lock = module._allocate_lock = VirtualLock
    module.RLock = module._PyRLock
    module._CRLock = None
    queue.SimpleQueue = queue._PySimpleQueue  # type: ignore[attr-defined,misc]

    thread: Any = threading.Thread
    real_start, real_join, real_is_alive = thread.start, thread.join, thread.is_alive

    def start(self: threading.Thread) -> None:
        kernel = state.kernel
        if kernel is None or kernel.part() is None:
            real_start(self)
        else:
            self._rig_part = kernel.adopt(self, real_start)  # type: ignore[attr-defined]

    def join(self: threading.Thread, timeout: float | None = None) -> None:
        kernel = state.kernel
        part: Part | None = getattr(self, "_rig_part", None)
        if kernel is None or part is None:
            real_join(self, timeout)
            return
        if part is kernel.part():
            raise RuntimeError("cannot join current thread")
        if not part.over:
            wait = kernel.new_wait()
            part.joiners.append(wait)
            if not kernel.block(wait, timeout) and wait in part.joiners:
                part.joiners.remove(wait)

    def is_alive(self: threading.Thread) -> bool:
        part: Part | None = getattr(self, "_rig_part", None)
        if state.kernel is None or part is None:
            return bool(real_is_alive(self))
        return not part.over

    thread.start, thread.join, thread.is_alive = start, join, is_alive


# -- ports -----------------------------------------------------------------------------------------
def _patch_open() -> None:
    real_open = os.open

    def virtual_open(*args: Any, **options: Any) -> int:
        descriptor = real_open(*args, **options)
        if state.kernel is not None:
            ports.opened(descriptor)
        return descriptor

    os.open = _as_builtin(virtual_open)


# -- select ----------------------------------------------------------------------------------------
def _patch_select() -> None:
    real_select = select.select

    def virtual_select(
        rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None, /
    ) -> tuple[list[Any], list[Any], list[Any]]:
        kernel = state.kernel
        if kernel is None or kernel.part() is None:
            return real_select(rlist, wlist, xlist, timeout)
        if timeout is not None and timeout <= 0:
            if timeout < 0:
                raise ValueError("timeout must be non-negative")
            kernel.now_s()  # counts: a loop that polls must come to an end
            kernel.settle()  # it may look at the port of another part
            return real_select(rlist, wlist, xlist, 0)
        ready = real_select(rlist, wlist, xlist, 0)
        if wlist and not ready[1]:
            kernel.pump()  # what fills a port is taken by the world at once
            ready = real_select(rlist, wlist, xlist, 0)
        # A remainder of 1e-15 s, which the clock does not show, would be waited for for ever.
        end_s = None if timeout is None else kernel.env.now + max(timeout, SHORTEST_SELECT_S)
        in_time = True
        while in_time and not any(ready):
            wait = kernel.new_wait()
            foreign = ports.watch(kernel, rlist, wlist, wait)
            try:
                in_time = kernel.block(wait, None if end_s is None else end_s - kernel.env.now)
            finally:
                ports.unwatch(kernel, foreign, wait)
            ready = real_select(rlist, wlist, xlist, 0)
        return ready

    select.select = _as_builtin(virtual_select)


def _is_importing() -> bool:
    """Tell whether a module is being imported: one process has it by now, another does not, and
    what it draws must not shift the draws of the program."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


# -- entropy ---------------------------------------------------------------------------------------
_entropy: list[random.Random] = []


def _patch_entropy() -> None:
    real_urandom = os.urandom
    real_seed = random.seed
    real_seed_generator = random.Random.seed

    def urandom(size: int, /) -> bytes:
        if not _entropy or _is_importing():
            return real_urandom(size)
        return _entropy[0].randbytes(size)

    def seed(a: Any = None, version: int = 2) -> None:
        # The meshtastic constructor calls random.seed(): that would un-seed the whole process.
        if a is not None or not _entropy:
            real_seed(a, version)

    def seed_generator(self: random.Random, a: Any = None, version: int = 2) -> None:
        if a is None and _entropy and not _is_importing():
            a = _entropy[0].getrandbits(64)
        real_seed_generator(self, a, version)

    os.urandom = _as_builtin(urandom)
    module: Any = random
    module._urandom = urandom
    module.seed = seed
    module.Random.seed = seed_generator
