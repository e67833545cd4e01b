"""Fleets in scenarios: all clear against the gateway as it is, and not against a broken one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rig.fleet.record import Record
from rig.runner.runner import Request, Run, Runner
from rig.scenario import load_scenario
from rig.worker.fleet import RECORD_FILE

TEXT = """\
rig: 1
name: small fleet
needs: [fleet]
seed: 5
world:
  fleet: {vehicles: 12, signals: 3, batch: 5 s, models: 2, lap: 15 s, latency: [20 ms, 90 ms]}
phases:
  - {idle: 10 s}
  - {cruise: {speed: 60 km/h, for: 20 s}}
faults:
  - {at: cruise, on: fleet, fleet_outage: 50 %, for: 6 s}
  - {at: cruise+10 s, on: gateway, gateway_kill: 2 s}
limits:
  fleet.acknowledged: {equals: 900}
  fleet.missing: {equals: 0}
  fleet.doubled: {equals: 0}
  fleet.order: {equals: 0}
  fleet.wrong: {equals: 0}
  fleet.waiting: {equals: 0}
  fleet.refused: {equals: 0}
  fleet.failures: {min: 1}
  fleet.latency.p99: {max: 40 s}
  fleet.recovery: {max: 30 s}
  fleet.peak_requests: {min: 1/s}
after: [gateway.exit == 0]
"""


def _broken(run: Run) -> set[str]:
    if run.failure:
        raise RuntimeError(run.failure)
    return {verdict.limit.name for verdict in run.verdicts if verdict.outcome.is_failure}


@pytest.fixture
def request_of(tmp_path: Path) -> Request:
    """A run of twelve vehicles, half a minute, a storm and a kill."""
    path = tmp_path / "small.scenario.yaml"
    path.write_text(TEXT, encoding="utf-8")
    scenario = load_scenario(path)
    return Request(scenario, scenario.seed, "virtual")


def test_a_storm_and_a_kill_lose_nothing_and_repeat(runner: Runner, request_of: Request) -> None:
    """All that was acknowledged is stored once; a second run acknowledges at the same instants."""
    runs = [runner.run(request_of) for _ in range(2)]
    assert [_broken(run) for run in runs] == [set(), set()]
    first, second = (list(Record.load(run.folder / RECORD_FILE)) for run in runs)
    assert first == second
    assert len(first) == 900 // 15


@pytest.mark.parametrize(
    ("mutation", "limits"),
    [
        ("device_packets_not_stored", {"fleet.missing", "fleet.wrong"}),
        ("device_values_off", {"fleet.wrong"}),
    ],
)
def test_a_broken_gateway_fails(
    runner: Runner, request_of: Request, mutation: str, limits: set[str]
) -> None:
    """What a gateway loses or changes is found, by the limit that is meant for it."""
    run = runner.run(dataclasses.replace(request_of, preload=f"mutations:{mutation}"))
    assert limits <= _broken(run)
