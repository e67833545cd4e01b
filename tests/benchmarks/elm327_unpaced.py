"""ELM327 model unpaced on a PTY, asked flat out by python-OBD.

`telerig device obd --unpaced` with the car behind it, in a process of its own; python-OBD with
pyserial in another. Beside it, in turns, an adapter without a model: it answers at once with fixed
text, so what it needs is the floor that PTY, pyserial and python-OBD set.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from tests.benchmarks.devices import Device, telerig_device, trivial_adapter
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cpu_s_of
from tests.benchmarks.obd_client import Asked, ask_in_process

RUNS, SECONDS = 5, 4.0
QUICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Found:
    asked: Asked
    device_us: float


def measure(quick: bool) -> list[Row]:
    """Ask both adapters in turns."""
    model: list[_Found] = []
    trivial: list[_Found] = []
    seconds = QUICK_SECONDS if quick else SECONDS
    with contextlib.ExitStack() as stack:
        pairs = (
            (stack.enter_context(telerig_device("obd", "--unpaced")), model),
            (stack.enter_context(trivial_adapter()), trivial),
        )
        for _ in range(1 if quick else RUNS):
            for device, found in pairs:
                found.append(_ask(device, seconds))
    floor = _rows("trivial adapter", trivial)
    goals = {"p50": Goal(most=0.2), "rate": Goal(least=4000)}
    rows = [
        Row(
            row.name,
            row.values,
            row.unit,
            goals.get(row.name.rpartition(": ")[2]),
            Beside(base.name, base.median),
        )
        for row, base in zip(_rows("model", model), floor, strict=True)
    ]
    return [*rows, *floor]


def _ask(device: Device, seconds: float) -> _Found:
    start_s = cpu_s_of(device.pid)
    asked = ask_in_process(device.port, seconds)
    used_s = cpu_s_of(device.pid) - start_s
    return _Found(asked, used_s / (asked.queries_per_s * seconds) * 1e6)


def _rows(name: str, found: list[_Found]) -> list[Row]:
    return [
        Row(f"{name}: p50", [each.asked.p50_ms for each in found], "ms"),
        Row(f"{name}: p99", [each.asked.p99_ms for each in found], "ms"),
        Row(f"{name}: rate", [each.asked.queries_per_s for each in found], "queries/s"),
        Row(f"{name}: its own CPU", [each.device_us for each in found], "us/query"),
        Row(f"{name}: python-OBD's CPU", [each.asked.cpu_us for each in found], "us/query"),
    ]
