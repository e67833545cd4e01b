"""The socketcand door: frames a second, and how soon it replies.

The daemon (`sim.socketcand`) on a bus without frame times, in a process of its own; python-can's
client in another. Beside it, in turns, a Python server without a model that sends the same bytes:
what the loopback and python-can need.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.benchmarks.devices import started
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cpu_s_of
from tests.benchmarks.socketcand_client import run

RUNS = 5
BLAST_FRAMES, BUS_FRAMES, PUMP_FRAMES = 300_000, 12_000, 300_000
ASK_SECONDS = 3.0
LEAST_PER_S = 70_000
RATIO = 1.5


@dataclass(frozen=True, slots=True)
class _World:
    pid: int
    port: int


@contextlib.contextmanager
def _world(mode: str, frames: int = 0) -> Iterator[_World]:
    command = [sys.executable, "-m", "tests.benchmarks.socketcand_world", mode, str(frames)]
    with started(command) as process:
        assert process.stdout is not None
        yield _World(process.pid, int(process.stdout.readline()))


def measure(quick: bool) -> list[Row]:
    """Count frames and time replies."""
    runs, scale = (1, 4) if quick else (RUNS, 1)
    return [
        *_flood(BLAST_FRAMES // scale, runs),
        *_door_alone(PUMP_FRAMES // scale, runs),
        *_full_bus(BUS_FRAMES // scale, runs),
        *_replies(runs, ASK_SECONDS / scale),
    ]


def _flood(frames: int, runs: int) -> list[Row]:
    rates: dict[str, list[float]] = {"blast": [], "trivial-blast": []}
    lost = 0.0
    cpu_us = []
    for _ in range(runs):
        for mode, values in rates.items():
            with _world(mode, frames) as world:
                start_s = cpu_s_of(world.pid)
                heard = run("count", world.port, frames)
                used_s = cpu_s_of(world.pid) - start_s
            values.append(heard["frames_per_s"])
            if mode == "blast":
                lost += frames - heard["frames"] + heard["disordered"]
                cpu_us.append(used_s / frames * 1e6)
    trivial = Row("flood, trivial server: rate", rates["trivial-blast"], "frames/s")
    beside = Beside("trivial server", trivial.median)
    return [
        Row("flood: rate", rates["blast"], "frames/s", Goal(least=LEAST_PER_S), beside),
        Row("flood: lost or out of order", [lost], "frames", Goal(most=0)),
        Row("flood: CPU of the world", cpu_us, "us/frame"),
        trivial,
    ]


def _door_alone(frames: int, runs: int) -> list[Row]:
    rates = []
    for _ in range(runs):
        with _world("blast", frames) as world:
            rates.append(run("pump", world.port, frames)["frames_per_s"])
    return [Row("flood, a reader that counts: rate", rates, "frames/s")]


def _full_bus(frames: int, runs: int) -> list[Row]:
    rates, shares, lost = [], [], 0.0
    for _ in range(runs):
        with _world("bus", frames) as world:
            start_s = cpu_s_of(world.pid)
            heard = run("count", world.port, frames)
            used_s = cpu_s_of(world.pid) - start_s
        rates.append(heard["frames_per_s"])
        shares.append(used_s / (heard["frames"] / heard["frames_per_s"]) * 100)
        lost += frames - heard["frames"]
    return [
        Row("full bus: rate", rates, "frames/s"),
        Row("full bus: lost", [lost], "frames", Goal(most=0)),
        Row("full bus: CPU of the world", shares, "% of a core"),
    ]


def _replies(runs: int, seconds: float) -> list[Row]:
    found: dict[str, list[dict[str, float]]] = {"echo": [], "trivial-echo": []}
    for _ in range(runs):
        for mode, values in found.items():
            with _world(mode) as world:
                values.append(run("ask", world.port, seconds))
    floor = Row(
        "reply of a trivial server: p50", [f["p50_ms"] for f in found["trivial-echo"]], "ms"
    )
    beside = Beside("trivial server", floor.median)
    goal = Goal(most=RATIO * floor.median)
    return [
        Row("reply: p50", [f["p50_ms"] for f in found["echo"]], "ms", goal, beside),
        Row("reply: p99", [f["p99_ms"] for f in found["echo"]], "ms"),
        floor,
    ]
