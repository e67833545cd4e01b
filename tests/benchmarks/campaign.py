"""A campaign on two cores: simulated hours per wall hour, and two-minute runs a minute.

Runs as `telerig campaign` draws them, faults and limits included, each judged; the start of
PostgreSQL and of the nursery counts. Beside it the same hours by CPU time: what two idle cores
could do at most. Runs that failed are counted: what finds something drives more than these.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from rig.campaign.conduct import Budget, Conductor
from rig.campaign.crew import LocalCrew
from rig.campaign.draw import draw
from rig.campaign.ledger import Ledger, Plan
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cores, cost_of_children

CORES = 2
RUNS, FEW = 120, 12
SEED = 1
DRAWS = 50
RUN_S = 120.0
GOAL_HOURS, GOAL_RUNS = 60.0, 30.0


def measure(quick: bool) -> list[Row]:
    """Drive a campaign of its own, without shrinking."""
    with tempfile.TemporaryDirectory(prefix="campaign-") as text, cores(CORES):
        wall_s, cpu_s, sim_s, failed = _campaign(Path(text) / "c", FEW if quick else RUNS)
    began_s = time.perf_counter()
    for number in range(1, DRAWS + 1):
        draw(SEED, number)
    draw_ms = (time.perf_counter() - began_s) / DRAWS * 1e3
    by_cpu = sim_s / cpu_s * CORES
    return [
        Row(
            "simulated hours a wall hour",
            [sim_s / wall_s],
            "h/h",
            Goal(least=GOAL_HOURS),
            Beside(f"by CPU time on {CORES} cores", by_cpu),
        ),
        Row(
            "two-minute runs a minute",
            [sim_s / RUN_S / wall_s * 60],
            "/min",
            Goal(least=GOAL_RUNS),
            Beside(f"by CPU time on {CORES} cores", by_cpu * 60 / RUN_S),
        ),
        Row("CPU of a simulated hour", [cpu_s / sim_s * 3600], "s"),
        Row("to draw a run", [draw_ms], "ms"),
        Row("runs that failed", [failed], "runs", Goal(0, 0)),
    ]


def _campaign(folder: Path, runs: int) -> tuple[float, float, float, int]:
    """Return wall time, CPU time, simulated time and failures."""
    with cost_of_children() as cost, Ledger(folder, Plan(seed=SEED), {}) as ledger:
        began_s, own_s = time.perf_counter(), time.process_time()
        crew = LocalCrew(ledger.work, CORES)
        try:
            tally = Conductor(ledger, crew, Budget(runs=runs), 0).conduct()
        finally:
            crew.close()
        wall_s, own_s = time.perf_counter() - began_s, time.process_time() - own_s
    return wall_s, cost.cpu_s + own_s, tally.sim_s, len(tally.failed)
