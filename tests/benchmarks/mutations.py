"""Mutations: of so many ways to break the gateway, how many do the scenarios notice?

Each run drives a shipped scenario, cut short, against a gateway that is broken on purpose
(`tests/rig/mutations`). Caught: the limit that is meant for it is broken. Strictly nothing else
counts, neither a crash nor another limit. The unbroken gateway has to pass the same scenarios.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
from pathlib import Path

from rig.runner.runner import Request, Run, Runner, default_jobs
from rig.scenario.model import Scenario
from tests.benchmarks.figures import Goal, Row
from tests.rig.mutation_cases import CASES, CUTS, WITHOUT
from tests.rig.shorten import shorten

FOLDER = Path(__file__).resolve().parents[1] / "rig"
GOAL_PCT = 95.0
QUICK = 6
TRACKER = re.compile(r"\(\S+ ?(?:PR)?#\d+\)")


def measure(quick: bool) -> list[Row]:
    """Break the gateway in each way, one run for each; print what was noticed."""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(FOLDER), os.environ.get("PYTHONPATH", "")))
    )
    sys.path.insert(0, str(FOLDER))
    cases = CASES[:: len(CASES) // QUICK] if quick else CASES
    names = sorted({name for _, name, _ in cases})
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        with Runner(runs, jobs=default_jobs()) as runner:
            scenarios = {name: _shortened(Path(folder), name) for name in names}
            sound = {name: runner.submit(_request(scenarios[name])) for name in names}
            broken = [runner.submit(_request(scenarios[name], how)) for how, name, _ in cases]
            passed = [name for name, run in sound.items() if run.result().passed]
            caught = [
                _says(run.result(), how, name, limit)
                for (how, name, limit), run in zip(cases, broken, strict=True)
            ]
    missed = [how for (how, _, _), found in zip(cases, caught, strict=True) if not found]
    failing = [name for name in names if name not in passed]
    reported = [
        found for (how, _, _), found in zip(cases, caught, strict=True) if _is_reported(how)
    ]
    return [
        Row("ways to break the gateway", [len(cases)], ""),
        Row("noticed by the limit meant for it", [sum(caught)], ""),
        Row(f"not noticed: {', '.join(missed) or 'none'}", [len(missed)], ""),
        Row("score", [100.0 * sum(caught) / len(cases)], "%", Goal(least=GOAL_PCT)),
        Row("of them from public trackers", [len(reported)], ""),
        Row("noticed", [sum(reported)], ""),
        Row(
            "scenarios that the unbroken gateway passes"
            + (f", and not {', '.join(failing)}" if failing else ""),
            [len(passed)],
            f"of {len(names)}",
            Goal(least=len(names)),
        ),
    ]


def _shortened(folder: Path, name: str) -> Scenario:
    own = folder / name
    own.mkdir()
    return shorten(own, name, CUTS[name], WITHOUT.get(name, ()))


def _request(scenario: Scenario, mutation: str = "") -> Request:
    preload = f"mutations:{mutation}" if mutation else ""
    return Request(scenario, scenario.seed, "virtual", preload)


def _says(run: Run, mutation: str, name: str, limit: str) -> bool:
    broken = [verdict.limit.name for verdict in run.broken]
    caught = not run.failure and limit in broken
    what = "caught" if caught else f"NOT CAUGHT ({run.failure or ', '.join(broken) or 'passed'})"
    print(f"  {mutation:36} {name:20} {limit:32} {what}", file=sys.stderr, flush=True)
    return caught


def _is_reported(mutation: str) -> bool:
    function = getattr(importlib.import_module("mutations"), mutation)
    return TRACKER.search(function.__doc__ or "") is not None
