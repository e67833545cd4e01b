"""The machine that a benchmark runs on, and what its processes cost."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_A_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Cost:
    """CPU seconds of the child processes that ended within a block."""

    cpu_s: float = 0.0


@contextlib.contextmanager
def cost_of_children() -> Iterator[Cost]:
    """Measure what is started, and waited for, within the block."""
    cost = Cost()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield cost
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost.cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def cpu_s_of(pid: int) -> float:
    """CPU seconds that a running process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_S


@contextlib.contextmanager
def cores(count: int) -> Iterator[None]:
    """Pin this thread, and all that it starts, to the last `count` cores that it may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def load_1min() -> float:
    """How many processes wanted to run, on average over the last minute."""
    return os.getloadavg()[0]


def describe() -> str:
    """What a reader must know to compare figures, in one line."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    models = [
        line.partition(":")[2].strip()
        for line in cpuinfo.splitlines()
        if line.startswith("model name")
    ]
    return (
        f"{models[0] if models else 'unknown CPU'}, {len(os.sched_getaffinity(0))} cores, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )
