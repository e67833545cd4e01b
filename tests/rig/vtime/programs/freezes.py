"""Gateways that stand still for real; each function is the preload of a run. It is no test.

They use what virtual time does not replace: a C library's sleep, locks of `_thread`, a pipe.
"""

from __future__ import annotations

import _thread
import asyncio
import ctypes
import os
import threading
import time
from collections.abc import Callable

FREEZE_AT_S = 13.0  # virtual: in the first phase


def _in_the_loop(freeze: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(FREEZE_AT_S, freeze)


def _in_a_thread(freeze: Callable[[], object]) -> None:
    def wait_and_freeze() -> None:
        time.sleep(FREEZE_AT_S)
        freeze()

    threading.Thread(target=wait_and_freeze, name="freezer", daemon=True).start()


def _sleep_for_real() -> None:
    ctypes.CDLL(None).sleep(3600)


def _hold_the_lock() -> None:
    ctypes.PyDLL(None).sleep(3600)  # unlike CDLL it keeps the interpreter's lock


def _spin() -> None:
    while True:
        pass


def _yield_for_ever() -> None:
    while True:
        time.sleep(0)


def _read_an_empty_pipe() -> None:
    reading, _writing = os.pipe()
    os.read(reading, 1)


def loop_sleeps_for_real() -> None:
    _in_the_loop(_sleep_for_real)


def loop_holds_the_lock() -> None:
    _in_the_loop(_hold_the_lock)


def loop_spins() -> None:
    _in_the_loop(_spin)


def thread_yields_for_ever() -> None:
    _in_a_thread(_yield_for_ever)


def thread_reads_an_empty_pipe() -> None:
    _in_a_thread(_read_an_empty_pipe)


def two_threads_take_two_real_locks() -> None:
    """The classic: each holds one and wants the other's."""
    first, second = _thread.allocate_lock(), _thread.allocate_lock()

    def _take_both(one: _thread.LockType, other: _thread.LockType) -> None:
        with one:
            time.sleep(1.0)
            with other:
                pass

    _in_a_thread(lambda: _take_both(first, second))
    _in_a_thread(lambda: _take_both(second, first))


def stop_never_ends() -> None:
    """No freeze: the world goes on, and the gateway waits for what will not come."""
    from server.store.hotlog import HotLog

    async def close(_hotlog: HotLog) -> None:
        await asyncio.Event().wait()

    HotLog.close = close  # type: ignore[method-assign]
