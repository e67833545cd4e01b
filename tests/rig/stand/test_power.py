"""Faults of a real device: its power is switched off, and on again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.judge.limits import Outcome
from rig.measures.measures import measure
from rig.record.reader import RecordReader
from tests.rig.stand.conftest import HERE, RunOnBench, emulator

SCENARIO = """\
needs: [obd, gps]
gateway: {plan: {RPM: 5 Hz}}
phases: [{idle: 30 s}]
faults:
  - {at: idle+8 s, on: obd, hang_up: 4 s}
limits:
  obd.recovery.max: {max: 25 s}
  obd.outage.max: {min: 4 s}
  gps.outage.max: {max: 5 s}
  readings.lost: {equals: 0}
"""


@pytest.fixture
def links(tmp_path: Path) -> Iterator[str]:
    """An emulator with a switch, as links of a bench."""
    program = emulator()
    words = {what: [sys.executable, HERE / "switch.py", what, tmp_path] for what in ("off", "on")}
    words["on"].append(program)
    power = ", ".join(f"{what}: {[str(w) for w in command]}" for what, command in words.items())
    subprocess.run(words["on"], check=True)
    yield (
        f"links: {{obd: {{real: {tmp_path / 'adapter'}, "
        f"power: {{{power}, off_for: 0.2 s, settle: 1 s}}}}}}\n"
    )
    subprocess.run(words["off"], check=True)


def test_a_real_device_is_switched_off_and_on(links: str, run_on_bench: RunOnBench) -> None:
    """The fault is on the record, the gateway recovers, and nobody takes it for a pulled cable."""
    run = run_on_bench(SCENARIO, links)
    assert run.failure_lines() == []
    outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
    assert outcomes["obd.gone"] is Outcome.PASS
    record = RecordReader(run.folder)
    (fault,) = record.manifest.faults
    assert (fault.kind, fault.link) == ("hang_up", "obd")
    assert (fault.end_ns - fault.start_ns) / 1e9 == pytest.approx(4.0, abs=3.0)
    recovery = measure(record).get("obd.recovery.max")
    assert recovery is not None
    assert recovery.value > 0


def test_a_switch_that_does_not_work_is_told(run_on_bench: RunOnBench, tmp_path: Path) -> None:
    """The command, its exit code and what it printed stand in the message."""
    power = "power: {off: [sh, -c, 'echo no hub; exit 3'], on: [true]}"
    run = run_on_bench(SCENARIO, f"links: {{obd: {{real: {tmp_path / 'adapter'}, {power}}}}}\n")
    assert "no hub" in run.failure
    assert "exit code 3" in run.failure
    assert "bench.yaml:3" in run.failure
