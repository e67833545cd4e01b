"""`pytest scenarios/` on two cores: driving judged, against the wall.

The shipped scenarios with every limit, as in CI: start of pytest, of PostgreSQL and of each worker
included. The one paced scenario runs in wall time with the machine to itself; its share is told.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cores, cost_of_children

ROOT = Path(__file__).resolve().parents[2]
CORES = 2
RUNS = 2
HOUR_S = 3600.0
GOAL_S, STRONG_GOAL_S = 120.0, 60.0
QUICK = ("scenarios/acceleration.scenario.yaml",)


@dataclass(frozen=True, slots=True)
class _Session:
    """One run of pytest."""

    wall_s: float
    cpu_s: float
    sim_s: float
    paced_wall_s: float
    passed: bool


def measure(quick: bool) -> list[Row]:
    """Run pytest as CI does."""
    with cores(CORES):
        sessions = [_session(quick) for _ in range(1 if quick else RUNS)]
    sim_s = sessions[0].sim_s
    hour_s = [each.wall_s / each.sim_s * HOUR_S for each in sessions]
    return [
        Row("one hour of driving judged in", hour_s, "s", Goal(most=GOAL_S)),
        Row("the same, strong goal", hour_s, "s", Goal(most=STRONG_GOAL_S)),
        Row("driving judged a wall second", [each.sim_s / each.wall_s for each in sessions], "s/s"),
        Row("driving judged a CPU second", [each.sim_s / each.cpu_s for each in sessions], "s/s"),
        Row("driving in all", [sim_s], "s"),
        Row("the whole command", [each.wall_s for each in sessions], "s"),
        Row(
            "of that the paced scenario, alone on the machine",
            [each.paced_wall_s for each in sessions],
            "s",
            beside=Beside("the whole command", sessions[0].wall_s),
        ),
        Row(
            "sessions in which every limit was kept",
            [sum(s.passed for s in sessions)],
            "",
            Goal(len(sessions)),
        ),
    ]


def _session(quick: bool) -> _Session:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        junit = Path(folder) / "junit.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--rig-runs", folder, f"--junitxml={junit}"),
            *(QUICK if quick else ("scenarios",)),
        ]
        start_s = time.perf_counter()
        with cost_of_children() as cost:
            ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        wall_s = time.perf_counter() - start_s
        runs = [_properties(case) for case in ElementTree.parse(junit).iter("testcase")]
    paced = [run for run in runs if run["rig.mode"] == "paced"]
    return _Session(
        wall_s=wall_s,
        cpu_s=cost.cpu_s,
        sim_s=sum(float(run["rig.sim_s"]) for run in runs),
        paced_wall_s=sum(float(run["rig.wall_s"]) for run in paced),
        passed=ended.returncode == 0,
    )


def _properties(case: ElementTree.Element) -> dict[str, str]:
    return {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
