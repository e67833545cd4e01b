"""Whole runs whose gateway is stopped or killed, and whose database is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.measures.measures import Measures
from rig.record.reader import RecordReader
from rig.runner.runner import Request, Run, Runner
from rig.scenario import load_scenario

KILLED = """\
rig: 1
name: killed
needs: [obd, gps]
seed: 5
gateway: {store: {compact_after: 4 s}}
phases:
  - {cruise: {speed: 50 km/h, for: 30 s}}
faults:
  - {at: 5.2 s, on: gateway, gateway_kill: true}
  - {at: 11 s, on: gateway, gateway_kill: 500 ms}
  - {at: 12 s, on: gateway, gateway_kill: 500 ms, as: while-it-starts}
  - {at: 18 s, on: gateway, gateway_pause: 3 s}
  - {at: 23 s, on: database, database_slow: {time: 100 ms, jitter: 100 ms}, for: 4 s}
  - {at: 24 s, on: database, database_down: 1 s}
limits:
  readings.acknowledged.lost: {equals: 0}
  readings.lost.age.max: {max: 700 ms}
  readings.doubled: {equals: 0}
  readings.unpublished: {equals: 0}
after: [gateway.exit == 0]
"""
STARTS = 4
S_NS = 1_000_000_000


def drive(runner: Runner, path: Path, mode: str) -> Run:
    """Run the scenario, which must come to its end and keep its limits."""
    scenario = load_scenario(path)
    run = runner.run(Request(scenario, scenario.seed, mode))
    assert not run.failure, run.failure
    assert [v.limit.name for v in run.verdicts if v.outcome.is_failure] == []
    return run


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The scenario."""
    path = tmp_path / "killed.scenario.yaml"
    path.write_text(KILLED, encoding="utf-8")
    return path


def test_starts_are_told_apart(runner: Runner, killed: Path) -> None:
    """Each start has a boot, numbers of its own from 1, and readings that were stored."""
    record = RecordReader(drive(runner, killed, "virtual").folder)
    boots = record.manifest.result["boots"]
    assert len(set(boots)) == len(boots) == STARTS
    for start in range(STARTS):
        numbers = [row.seq for row in record.published if row.boot == start]
        assert numbers == list(range(1, len(numbers) + 1))
        was_killed_while_it_started = start == 2
        assert was_killed_while_it_started or any(row.boot == start for row in record.stored)
    backs = [event.detail["boot"] for event in record.events if event.kind == "gateway.back"]
    assert backs == boots[1:]


def test_faults_of_the_process_show_in_the_record(runner: Runner, killed: Path) -> None:
    """Nothing is published while it is dead or stopped; what piled up comes at once afterwards."""
    record = RecordReader(drive(runner, killed, "virtual").folder)
    arrived = [row.arrived_ns for row in record.published]
    windows = {fault.kind: [] for fault in record.manifest.faults}
    for fault in record.manifest.faults:
        windows[fault.kind].append((fault.start_ns, fault.end_ns))
    for kind in ("gateway_kill", "gateway_pause"):
        for start_ns, end_ns in windows[kind]:
            assert not any(start_ns < time_ns < end_ns for time_ns in arrived)
    ((_, end_ns),) = windows["gateway_pause"]
    late = [row for row in record.published
            if row.received_ns == end_ns and row.received_ns - row.time_ns > S_NS]  # fmt: skip
    assert late  # epochs of the receiver, which went on
    assert windows["gateway_kill"][0][1] - windows["gateway_kill"][0][0] == S_NS  # the usual time
    measures = Measures(record)
    recovery = measures.get("gps.recovery.max")
    assert recovery is not None
    assert recovery.value < 3.0


def test_the_same_trace_again(runner: Runner, killed: Path) -> None:
    """Kills, a pause and a database that is cut have one trace, however busy the machine is."""
    first, second = (drive(runner, killed, "virtual") for _ in range(2))
    assert first.trace_sha256 == second.trace_sha256


def test_in_wall_time(runner: Runner, killed: Path) -> None:
    """The real process and the real proxy keep the same limits."""
    text = killed.read_text(encoding="utf-8")
    # A start takes wall time there, perhaps much: one kill, and a commit that may take long, too.
    for line in text.splitlines(keepends=True):
        if "gateway_kill: 500 ms" in line:
            text = text.replace(line, "")
    killed.write_text(text.replace("700 ms", "5 s"), encoding="utf-8")
    record = RecordReader(drive(runner, killed, "paced").folder)
    first, second = record.manifest.result["boots"]
    assert first != second
    assert {row.boot for row in record.stored} == {0, 1}
