"""Samples where a virtual worker's CPU time goes, from within; see `where_time_goes`.

A profiler that stops the process from outside (py-spy) makes system calls and thread switches
longer than they are. A signal handler in Python would see nothing but the places at which a thread
gives up the interpreter lock. Here the kernel's timer of CPU time interrupts whichever thread is
running, and `faulthandler` writes down that thread's stack from C. The run's trace stays the same.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Iterator
from pathlib import Path

STACKS_VARIABLE = "TELERIG_BENCH_STACKS"
PERIOD_S = 0.004  # of CPU time; Linux does not look more often
HEAD = "(most recent call first):"


def start() -> None:
    """Preload: sample until the worker's end, into the file that STACKS_VARIABLE names."""
    file = open(os.environ[STACKS_VARIABLE], "wb", buffering=0)  # noqa: SIM115  until the end
    faulthandler.register(signal.SIGPROF, file, all_threads=False)
    signal.setitimer(signal.ITIMER_PROF, PERIOD_S, PERIOD_S)


def stacks(path: Path) -> Iterator[list[str]]:
    """Give each sample's stack, innermost frame first, as `path:function`."""
    stack: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.endswith(HEAD):
            if stack:
                yield stack
            stack = []
        elif line.startswith("  File "):
            place, _, function = line.removeprefix("  File ").rpartition(" in ")
            stack.append(f"{place.rpartition(', line ')[0].strip(chr(34))}:{function}")
    if stack:
        yield stack
