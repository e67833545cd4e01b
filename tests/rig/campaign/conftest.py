"""Fixtures: a short scenario to draw from, a ledger, and a crew that drives nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from rig.campaign.ledger import Ledger, Plan
from rig.campaign.task import Breach, Outcome, Task

BASE = """\
rig: 1
name: base
needs: [gps]
world: {vehicle: focus_st, gps: {profile: ublox_m8, rate: 1 Hz, baud: 9600}}
phases:
  - {cruise: {speed: 50 km/h, for: 45 s}}
limits:
  readings.lost: {equals: 0}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A scenario with the GNSS receiver alone: the cheapest to drive."""
    path = tmp_path / "base.scenario.yaml"
    path.write_text(BASE, encoding="utf-8")
    return path


@pytest.fixture
def ledger(tmp_path: Path, base: Path) -> Iterator[Ledger]:
    """A new campaign."""
    plan = Plan(seed=1, bases=(str(base),))
    with Ledger(tmp_path / "campaigns" / "test", plan, {}) as ledger:
        yield ledger


class Pretence:
    """A crew that says at once what a function makes of each task."""

    width = 2

    def __init__(self, judge: Callable[[Task], Outcome]) -> None:
        self._judge = judge
        self.tasks: list[Task] = []

    def submit(self, task: Task) -> Future[Outcome]:
        self.tasks.append(task)
        future: Future[Outcome] = Future()
        try:
            future.set_result(self._judge(task))
        except Exception as error:  # noqa: BLE001  as an executor does
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing goes on."""


def broken(limit: str) -> Outcome:
    """A run that broke one limit."""
    return Outcome(
        breaches=(Breach(limit=limit, sentence=f"{limit} is off"),),
        sim_s=60.0,
        wall_s=1.0,
        trace_sha256="ab" * 32,
        record={"run.json": b"{}"},
    )


PASSED = Outcome(sim_s=60.0, wall_s=1.0, trace_sha256="cd" * 32)
