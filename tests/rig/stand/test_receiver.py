"""A real GNSS receiver, for which a program stands that plays a recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.judge.limits import Outcome
from rig.measures.measures import measure
from rig.record.reader import RecordReader
from tests.rig.stand.conftest import HERE, Processes, RunOnBench

pytestmark = pytest.mark.on_time

SCENARIO = """\
needs: [obd, gps]
gateway: {plan: {RPM: 5 Hz}}
phases: [{idle: 5 s, as: settling}, {idle: 6 s, as: judged}]  # a busy machine starts slowly
limits:
  gps.latency.p95: {max: 300 ms, phase: judged}
  gps.coverage: {min: 95 %, phase: judged}
  gps.position_error.p95: {max: 5 m}
  gps.fidelity.max: {max: 0.01 step}
  obd.fidelity.max: {max: 0.01 step}
  readings.lost: {equals: 0}
  readings.doubled: {equals: 0}
"""
DELAY_MS = 60  # of the player
RECORDING = HERE / "recorded.nmea"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The receiver's name."""
    return tmp_path / "receiver"


def test_a_receiver_that_plays_a_recording_passes(
    processes: Processes, place: Path, run_on_bench: RunOnBench
) -> None:
    """GPS real, OBD simulated: latency from the sentence's UTC, coverage of what was said."""
    processes.ready("nmea_player.py", RECORDING, place)
    run = run_on_bench(SCENARIO, f"links: {{gps: {{real: {place}, baud: 9600}}}}\n")
    assert run.failure_lines() == []
    outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
    assert outcomes["gps.position_error.p95"] is Outcome.SKIPPED
    assert outcomes["gps.fidelity.max"] is Outcome.SKIPPED
    assert outcomes["gps.coverage"] is Outcome.PASS
    assert outcomes["obd.fidelity.max"] is Outcome.PASS
    latency = measure(RecordReader(run.folder)).get("gps.latency.p50", "judged")
    assert latency is not None
    assert DELAY_MS < latency.value < 300


def test_the_stated_offset_of_the_clock_is_taken_off(
    processes: Processes, place: Path, run_on_bench: RunOnBench
) -> None:
    """A receiver an hour ahead of this machine's clock: stated, its latency is what it truly is."""
    processes.ready("nmea_player.py", RECORDING, place, "--ahead", "3600")
    run = run_on_bench(SCENARIO, f"links: {{gps: {{real: {place}, clock_offset: -3600 s}}}}\n")
    assert run.failure_lines() == []
    latency = measure(RecordReader(run.folder)).get("gps.latency.p50", "judged")
    assert latency is not None
    assert DELAY_MS < latency.value < 300


def test_a_receiver_where_an_adapter_should_be_is_recognised(
    processes: Processes, place: Path, run_on_bench: RunOnBench
) -> None:
    """The run does not begin; its failure says what was expected, and what speaks there."""
    processes.ready("nmea_player.py", RECORDING, place)
    run = run_on_bench(SCENARIO, f"links: {{obd: {{real: {place}, baud: 9600}}}}\n")
    assert "expected an ELM327" in run.failure
    assert "NMEA" in run.failure
    assert "bench.yaml:3" in run.failure
    assert not run.trace_sha256


def test_a_port_that_another_program_has_is_told_with_its_holder(
    processes: Processes, place: Path, run_on_bench: RunOnBench
) -> None:
    """Busy: who holds it stands in the message."""
    processes.ready("nmea_player.py", RECORDING, place)
    holder = processes.start(
        "python3", "-c",
        f"import os, time; os.open({str(place)!r}, os.O_RDWR | os.O_NOCTTY); "
        "print('ready', flush=True); time.sleep(60)",
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    run = run_on_bench(SCENARIO, f"links: {{gps: {{real: {place}}}}}\n")
    assert "expected" in run.failure
    assert "held by" in run.failure
    assert not run.trace_sha256
