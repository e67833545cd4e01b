"""Ends a worker that makes no progress, with the stack of every thread in its error output.

A thread of its own dumps, holding the interpreter's lock, so that every stack is whole: the dump of
`faulthandler.dump_traceback_later` reads stacks that change under it, and a thread that spins has
crashed it half-way. That one stays behind as the last resort, for a thread that holds the lock and
never lets go.
"""

from __future__ import annotations

import _thread
import faulthandler
import os
import sys
import time

TICK_S = 0.25
LAST_RESORT_S = 5.0  # later than the thread
WATCHDOG_WORD = "Timeout ("  # how a dump begins, whoever wrote it

_left_s = 0.0
_limit_s = 0.0


def keep_watch(limit_s: float) -> None:
    """Give the run another `limit_s` of wall time; the first call begins to watch."""
    global _left_s, _limit_s
    is_first = not _limit_s
    _left_s = _limit_s = limit_s
    faulthandler.dump_traceback_later(limit_s + LAST_RESORT_S, exit=True)
    if is_first:
        # Of `_thread`: virtual time knows nothing of it, and its sleep is real.
        _thread.start_new_thread(_watch, ())


def _watch() -> None:
    global _left_s
    while _left_s > 0:
        time.sleep(TICK_S)
        _left_s -= TICK_S
    sys.stderr.write(f"{WATCHDOG_WORD}{_limit_s:g} s)!\n")
    sys.stderr.flush()
    faulthandler.dump_traceback(all_threads=True)
    os._exit(1)
