"""Paced against virtual: the same scenario in both clocks, figure by figure.

Two shipped scenarios, one with an adapter and a receiver, one with two doors to the CAN bus. The
world, its seed and the gateway's configuration are the same; wall time adds what virtual time does
not have: CPU time of gateway and world, the scheduler, the sockets' and the store's own delays.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rig.runner.runner import Request, Run, Runner
from rig.scenario import load_scenario
from tests.benchmarks.figures import Beside, Row

SHIPPED = Path(__file__).resolve().parents[2] / "scenarios"
SCENARIOS = ("paced_short", "can_broadcast")
QUICK = ("paced_short",)
REPEATS = 3
OF_A_LINK = (
    "latency.p50",
    "latency.p95",
    "latency.stored.p95",
    "latency.published.p95",
    "time_error.max",
    "rate",
    "coverage",
    "missing",
    "fidelity.max",
    "start",
)
OF_A_RUN = ("readings.lost", "readings.doubled", "rig.ratio")


def measure(quick: bool) -> list[Row]:
    """Run each scenario in both clocks."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Runner(Path(folder)) as runner:
        for name in QUICK if quick else SCENARIOS:
            scenario = load_scenario(SHIPPED / f"{name}.scenario.yaml")
            virtual = runner.run(Request(scenario, scenario.seed, "virtual"))
            paced = [
                runner.run(Request(scenario, scenario.seed, "paced"))
                for _ in range(1 if quick else REPEATS)
            ]
            rows += _rows(name, scenario.needs, virtual, paced)
    return rows


def _rows(name: str, links: tuple[str, ...], virtual: Run, paced: list[Run]) -> list[Row]:
    failures = [run.failure for run in (virtual, *paced) if run.failure]
    assert not failures, failures
    names = [*(f"{link}.{figure}" for link in links for figure in OF_A_LINK), *OF_A_RUN]
    rows = []
    for figure in names:
        there = [run.measures[figure] for run in paced if figure in run.measures]
        here = virtual.measures.get(figure)
        if there and here is not None:
            values = [measured.value for measured in there]
            beside = Beside("virtual", here.value)
            rows.append(Row(f"{name}: {figure}", values, there[0].unit, beside=beside))
    return rows
