"""Many virtual runs: forked from a nursery, and each in an interpreter of its own.

Runs as a campaign does them: OBD and GPS, a two-minute drive with three faults, the real gateway
and database, judged; two at a time, each on a core of its own. Beside them the same runs with an
interpreter started anew for each, and the same forks with no core set. CPU time is that of all
child processes, PostgreSQL's included, and of judging; a run's is the difference between many runs
and one. It is what counts where other programs share the machine.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.runner.request import Request, Run
from rig.runner.runner import Runner
from rig.scenario import load_scenario
from rig.scenario.model import Scenario
from tests.benchmarks.figures import Beside, Goal, Row

DRIVE = """\
rig: 1
name: {name}
needs: [obd, gps]
seed: 1
world:
  gps: {{profile: ublox_m8, rate: 5 Hz}}
phases: [{phases}]
{faults}
limits:
  readings.lost: {{equals: 0}}
  readings.doubled: {{equals: 0}}
after: [gateway.exit == 0]
"""
TWO_MINUTES = (
    "{idle: 20 s}, {accelerate: {to: 80 km/h, for: 20 s}}, {cruise: {speed: 80 km/h, for: 80 s}}"
)
FAULTS = """\
faults:
  - {at: 25 s, on: obd, drop: 5 %, for: 20 s}
  - {at: 60 s, on: gps, corrupt: 2 %, for: 20 s}
  - {at: 90 s, on: obd, hang_up: true, for: 3 s}
"""
JOBS = 2
RUNS, QUICK_RUNS = 12, 4
SHORT_RUNS = 20
ROUNDS = 3
RUNS_GOAL, SPEED_GOAL = Goal(30), Goal(60)


class Loose(Runner):
    """A runner whose workers may run on any core."""

    def _cores(self) -> list[int]:
        return sorted(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have a worker."""

    name: str
    runner: Callable[..., Runner] = Runner
    anew: bool = False


FORKED = Way("forked, a core each")
LOOSE = Way("forked, no core set", Loose)
ANEW = Way("started anew", anew=True)
WAYS = (FORKED, LOOSE, ANEW)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Many runs, after one that warmed everything up."""

    runs: Sequence[Run]
    wall_s: float
    cpu_s: float

    @property
    def cpu_a_run_s(self) -> float:
        """CPU seconds of one run."""
        return self.cpu_s / len(self.runs)

    @property
    def a_minute(self) -> float:
        """Runs a minute of wall time."""
        return len(self.runs) / self.wall_s * 60.0

    @property
    def speed(self) -> float:
        """Simulated hours a wall hour."""
        return sum(run.sim_s for run in self.runs) / self.wall_s


Outcomes = dict[Way, list[Outcome]]


def measure(quick: bool) -> list[Row]:
    """Run all ways in turn, and again from the start."""
    count = QUICK_RUNS if quick else RUNS
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder = Path(text)
        long = _scenario(folder, "two minutes", TWO_MINUTES, FAULTS)
        short = _scenario(folder, "short", "{idle: 1 s}", "")
        many: Outcomes = {way: [] for way in WAYS}
        brief: Outcomes = {way: [] for way in (FORKED, ANEW)}
        for _ in range(1 if quick else ROUNDS):
            for way, found in many.items():
                found.append(_outcome(folder, way, long, count, JOBS))
            for way, found in brief.items():
                found.append(_outcome(folder, way, short, count if quick else SHORT_RUNS, 1))
    return [*_rates(many), *_starts(brief), _traces(many)]


def _scenario(folder: Path, name: str, phases: str, faults: str) -> Scenario:
    path = folder / f"{name.replace(' ', '_')}.scenario.yaml"
    path.write_text(DRIVE.format(name=name, phases=phases, faults=faults), encoding="utf-8")
    return load_scenario(path)


def _outcome(folder: Path, way: Way, scenario: Scenario, count: int, jobs: int) -> Outcome:
    few_s, _, _ = _drive(folder, way, scenario, jobs, jobs)
    cpu_s, wall_s, runs = _drive(folder, way, scenario, count + jobs, jobs)
    return Outcome(runs[jobs:], wall_s, cpu_s - few_s)


def _drive(
    folder: Path, way: Way, scenario: Scenario, count: int, jobs: int
) -> tuple[float, float, list[Run]]:
    """Return CPU seconds of all, wall seconds of all but the first `jobs`, and the runs."""
    before_s, start_s = _cpu_s(), 0.0
    with way.runner(folder / "runs", jobs=jobs) as runner:
        # The first ones start server and nursery, and nothing of theirs is measured.
        runs: list[Run] = []
        for batch in (jobs, count - jobs):
            start_s = time.perf_counter()
            asked = [
                runner.submit(Request(scenario, 1, "virtual", anew=way.anew)) for _ in range(batch)
            ]
            runs += [each.result() for each in asked]
        wall_s = time.perf_counter() - start_s
    for run in runs:
        if not run.passed:
            raise RuntimeError(f"{way.name}: {run.failure_lines()}")
    return _cpu_s() - before_s, wall_s, runs


def _cpu_s() -> float:
    """CPU seconds of this process and of all below it that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _rates(many: Outcomes) -> list[Row]:
    forked, loose, anew = (many[way] for way in WAYS)
    cpu_a_run = _best(anew, "cpu_a_run_s")
    cpu = [each.cpu_a_run_s for each in forked]
    return [
        Row(
            f"two-minute runs a minute, {JOBS} jobs",
            [each.a_minute for each in forked],
            "1/min",
            RUNS_GOAL,
            Beside(ANEW.name, _best(anew, "a_minute", most=True)),
        ),
        Row(
            "simulated hours a wall hour",
            [each.speed for each in forked],
            "",
            SPEED_GOAL,
            Beside(ANEW.name, _best(anew, "speed", most=True)),
        ),
        Row(
            "the same, no core set",
            [each.speed for each in loose],
            "",
            SPEED_GOAL,
            Beside(FORKED.name, _best(forked, "speed", most=True)),
        ),
        Row("a two-minute run", cpu, "s CPU", beside=Beside(ANEW.name, cpu_a_run)),
        Row(
            "the same, no core set",
            [each.cpu_a_run_s for each in loose],
            "s CPU",
            beside=Beside(FORKED.name, _best(forked, "cpu_a_run_s")),
        ),
        Row(
            "simulated hours an hour by CPU alone, 2 cores",
            [each.runs[0].sim_s / each.cpu_a_run_s * JOBS for each in forked],
            "",
            SPEED_GOAL,
            Beside(ANEW.name, anew[0].runs[0].sim_s / cpu_a_run * JOBS),
        ),
    ]


def _starts(brief: Outcomes) -> list[Row]:
    forked, anew = brief[FORKED], brief[ANEW]
    return [
        Row(
            "a run of 16 simulated seconds, one at a time",
            [each.cpu_a_run_s for each in forked],
            "s CPU",
            beside=Beside(ANEW.name, _best(anew, "cpu_a_run_s")),
        ),
        Row(
            "the same, from the request to the verdict",
            [each.wall_s / len(each.runs) for each in forked],
            "s",
            beside=Beside(ANEW.name, min(each.wall_s / len(each.runs) for each in anew)),
        ),
    ]


def _traces(many: Outcomes) -> Row:
    traces = {run.trace_sha256 for found in many.values() for each in found for run in each.runs}
    return Row("traces of one seed, all ways", [len(traces)], "", Goal(1, 1))


def _best(found: list[Outcome], figure: str, *, most: bool = False) -> float:
    """Other programs only ever take time away: the best is nearest to the truth."""
    values: list[float] = [getattr(each, figure) for each in found]
    return max(values) if most else min(values)
