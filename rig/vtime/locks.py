"""Locks in virtual time: `threading.Lock` and what the standard library builds on it."""

from __future__ import annotations

import collections
import contextlib
import time
from typing import Any

from rig.vtime import state
from rig.vtime.kernel import TIMEOUT_MAX_S, Wait

_real_sleep = time.sleep
_real_monotonic = time.monotonic
BOOT_POLL_S = 1e-5
LONGEST_POLL_S = 0.05


class VirtualLock:
    """A lock with first-come-first-served hand-over; blocking happens in virtual time.

    Condition, Event, Semaphore, Queue, Future, Timer and ThreadPoolExecutor are built on it by the
    standard library itself. Without an active kernel it falls back to a short real poll.
    """

    __slots__ = ("__weakref__", "_locked", "_waits")

    def __init__(self) -> None:
        self._locked = False
        self._waits: collections.deque[Wait] = collections.deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if timeout != -1:
            _check(blocking, timeout)
        if not self._locked:
            self._locked = True
            return True
        if not blocking or timeout == 0:
            return False
        kernel = state.kernel
        if kernel is None or kernel.booting or kernel.part() is None:
            return self._acquire_in_real_time(timeout)
        wait = kernel.new_wait()
        self._waits.append(wait)
        if kernel.block(wait, None if timeout < 0 else timeout):
            return True
        with contextlib.suppress(ValueError):  # a release may have passed it over already
            self._waits.remove(wait)
        return False

    def _acquire_in_real_time(self, timeout_s: float) -> bool:
        # A thread that is just starting shakes hands with its parent: both really run for a moment.
        # One from before the kernel (a library's, made at its import) may wait for ever, and must
        # not spin meanwhile.
        end_s = None if timeout_s < 0 else _real_monotonic() + timeout_s
        pause_s = BOOT_POLL_S
        while self._locked:
            if end_s is not None and _real_monotonic() > end_s:
                return False
            _real_sleep(pause_s)
            pause_s = min(2.0 * pause_s, LONGEST_POLL_S)
        self._locked = True
        return True

    def release(self) -> None:
        if not self._locked:
            raise RuntimeError("release unlocked lock")
        if state.kernel is None:
            self._waits.clear()  # threads that are parked for good
        while self._waits:
            if self._waits.popleft().fire():
                return  # handed over: stays locked
        self._locked = False

    def locked(self) -> bool:
        return self._locked

    def _at_fork_reinit(self) -> None:
        self._locked = False
        self._waits.clear()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: Any) -> None:
        self.release()


def _check(blocking: bool, timeout_s: float) -> None:
    """Refuse what the real lock refuses."""
    if not blocking:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout_s > TIMEOUT_MAX_S:
        raise OverflowError("timeout value is too large")
    if not timeout_s >= 0:
        raise ValueError("timeout value must be a non-negative number")
