"""Virtual time: where the CPU time of a worker goes.

The runs of `virtual_time`, sampled from within each 4 ms of CPU time, from the start of the gateway
on. A sample counts for the innermost code of its stack that a row names, so what the standard
library does counts for whoever called it.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

from rig.runner.runner import Runner
from tests.benchmarks.figures import Row
from tests.benchmarks.machine import cores
from tests.benchmarks.sampler import STACKS_VARIABLE, stacks
from tests.benchmarks.virtual_time import BASE, TALKATIVE, Bench, Variant, database_beside

RUNS = 3
PORTS = "system calls on PTYs: write, select, read, flush"
PORT_CALLS = (
    *("pty.py:_write", "ports.py:_write", "ports.py:_unread_bytes", "pty.py:_pump"),
    *("patches.py:virtual_select", "kernel.py:pump", "serial_file.py:receive"),
    *("serialposix.py:write", "serialposix.py:_reset_input_buffer"),
)
# What, and parts of `path:function`; the first that matches wins, from the inner frame outwards.
AREAS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("hand-over between threads", ("kernel.py:_hand_over",)),
    ("imports", ("<frozen importlib",)),
    ("the record of the run", ("/rig/record/", "/rig/worker/recording.py")),
    ("the database: asyncpg, one exchange at a time", ("/asyncpg/", "/rig/vtime/external.py")),
    ("the observer's WebSocket", ("/rig/worker/observer.py", "/websockets/")),
    ("the gateway's WebSocket and HTTP", ("/uvicorn/", "/starlette/", "/server/live.py")),
    ("python-OBD, pint, pyserial", ("/obd/", "/pint/", "/serial/")),
    ("NMEA: pynmea2 and the GPS link", ("/pynmea2/", "/links/gps.py", "/links/nmea")),
    ("the gateway otherwise", ("/server/",)),
    ("the world: car, bus, ECUs, adapter, receiver", ("/sim/",)),
    ("virtual time: kernel, selector, SimPy", ("/rig/vtime/", "/simpy/", "/rig/walltime/")),
)
EVENT_LOOP = "the event loop, and what no row names"


def measure(quick: bool) -> list[Row]:
    """Sample both kinds of GPS."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as text, cores(1), database_beside():
        folder = Path(text)
        with Runner(folder / "runs") as runner:
            bench = Bench(runner, folder, quick)
            for variant in (BASE, TALKATIVE):
                runs = [_shares(bench, variant, folder) for _ in range(1 if quick else RUNS)]
                rows += [
                    Row(f"{variant.name}: {area}", [run[area] for run in runs], "% of CPU")
                    for area, _ in runs[0].most_common()
                ]
    return rows


def _shares(bench: Bench, variant: Variant, folder: Path) -> Counter[str]:
    """Percent of the samples of one run, by area."""
    path = folder / "stacks.txt"
    os.environ[STACKS_VARIABLE] = str(path)
    bench.run(variant, preload="tests.benchmarks.sampler:start")
    counts = Counter(map(_area, stacks(path)))
    total = counts.total()
    return Counter({area: count / total * 100 for area, count in counts.items()})


def _area(frames: list[str]) -> str:
    if frames[0].endswith(PORT_CALLS):
        return PORTS
    for frame in frames:
        for area, marks in AREAS:
            if any(mark in frame for mark in marks):
                return area
    return EVENT_LOOP
