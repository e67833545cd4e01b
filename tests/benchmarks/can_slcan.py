"""The slcan door: a full bus, the most that it carries, and how soon it replies.

The adapter (`sim.slcan`, CANUSB) on a PTY in a process of its own; clients in another. Beside the
replies, in turns, a responder without a model, which needs what PTY, pyserial and python-can need.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from tests.benchmarks.devices import Device, started
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cpu_s_of
from tests.benchmarks.slcan_client import run

RUNS = 5
BUS_FRAMES, FLOOD_FRAMES, RECV_FRAMES = 12_000, 60_000, 20_000
ASK_RUNS, ASK_SECONDS = 9, 1.5
RATIO = 1.5
SATURATED_PER_S = 4500  # what 500 kbit/s carries of short 8-byte frames


@contextlib.contextmanager
def slcan_world(mode: str, frames: int = 0) -> Iterator[Device]:
    """Run the adapter, or the responder without a model."""
    command = [sys.executable, "-m", "tests.benchmarks.slcan_world", mode, str(frames)]
    with started(command) as process:
        assert process.stdout is not None
        yield Device(process.pid, process.stdout.readline().strip())


def measure(quick: bool) -> list[Row]:
    """Count frames and time replies."""
    runs, scale = (1, 4) if quick else (RUNS, 1)
    return [
        *_full_bus("a reader that counts", "count", BUS_FRAMES // scale, runs),
        *_full_bus("python-can", "recv", BUS_FRAMES // scale, runs),
        *_most(runs, scale),
        *_replies(1 if quick else ASK_RUNS, ASK_SECONDS / scale),
    ]


def _full_bus(name: str, client: str, frames: int, runs: int) -> list[Row]:
    lost, rates, shares = [], [], []
    for _ in range(runs):
        with slcan_world("bus", frames) as device:
            start_s = cpu_s_of(device.pid)
            heard = run(client, device.port, frames)
            used_s = cpu_s_of(device.pid) - start_s
        lost.append(frames - heard["frames"])
        rates.append(heard["frames_per_s"])
        shares.append(used_s / (heard["frames"] / heard["frames_per_s"]) * 100)
    return [
        Row(f"full bus, {name}: rate", rates, "frames/s"),
        # What python-can does not read in time is lost in the adapter, as with a real one.
        Row(f"full bus, {name}: lost", lost, "frames", Goal(most=0) if client == "count" else None),
        Row(f"full bus, {name}: CPU of the world", shares, "% of a core"),
    ]


def _most(runs: int, scale: int) -> list[Row]:
    rows = []
    for name, client, frames in (
        ("a reader that counts", "count", FLOOD_FRAMES // scale),
        ("python-can", "recv", RECV_FRAMES // scale),
    ):
        rates, lost, cpu_us = [], 0, []
        for _ in range(runs):
            with slcan_world("flood", frames) as device:
                heard = run(client, device.port, frames)
            rates.append(heard["frames_per_s"])
            cpu_us.append(heard["cpu_us"])
            lost += frames - heard["frames"]
        # python-can's own ceiling is no goal of ours.
        goal = Goal(least=SATURATED_PER_S) if client == "count" else None
        rows += [
            Row(f"flat out, {name}: rate", rates, "frames/s", goal),
            Row(f"flat out, {name}: lost", [lost], "frames", Goal(most=0)),
            Row(f"flat out, {name}: CPU of the client", cpu_us, "us/frame"),
        ]
    return rows


def _replies(runs: int, seconds: float) -> list[Row]:
    found: dict[str, list[dict[str, float]]] = {"echo": [], "trivial": [], "usb": []}
    for _ in range(runs):
        for mode, values in found.items():
            with slcan_world(mode) as device:
                values.append(run("ask", device.port, seconds))
    p50_ms, p99_ms, floor_ms, usb_ms = (
        [one[key] for one in found[mode]]
        for mode, key in (
            *(("echo", "p50_ms"), ("echo", "p99_ms")),
            *(("trivial", "p50_ms"), ("usb", "p50_ms")),
        )
    )
    floor = Row("reply of a trivial responder: p50", floor_ms, "ms")
    # Each pair ran within seconds: what else the machine did then weighs on both.
    ratios = [model / least for model, least in zip(p50_ms, floor_ms, strict=True)]
    return [
        Row("reply unpaced: p50", p50_ms, "ms", beside=Beside("trivial responder", floor.median)),
        Row("reply unpaced: p50 to that of a trivial responder", ratios, "times", Goal(most=RATIO)),
        Row("reply unpaced: p99", p99_ms, "ms"),
        floor,
        Row("reply at USB's pace: p50", usb_ms, "ms"),
    ]
