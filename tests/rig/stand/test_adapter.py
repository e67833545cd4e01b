"""A real ELM327, for which another emulator stands: its wire, its latencies, its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.judge.limits import Outcome
from rig.measures.measures import measure
from rig.record.reader import RecordReader
from tests.rig.stand.conftest import Adapter, RunOnBench

SCENARIO = """\
needs: [obd, gps]
gateway: {plan: {RPM: 5 Hz, SPEED: 5 Hz, COOLANT_TEMP: 1 Hz}}
phases: [{idle: 8 s, as: settling}, {idle: 5 s, as: judged}]  # a busy machine starts slowly
limits:
  obd.latency.p95: {max: 50 ms, phase: judged}
  obd.coverage: {min: 95 %, phase: judged}
  obd.fidelity.max: {max: 0.01 step}
  gps.coverage: {min: 95 %, phase: judged}
  gps.fidelity.max: {max: 0.01 step}
  readings.lost: {equals: 0}
after: [gateway.exit == 0]
"""
PULLED_S = 22.0  # of the run: two seconds into the phase that is judged


def test_an_adapter_that_is_not_ours_passes(adapter: Adapter, run_on_bench: RunOnBench) -> None:
    """OBD real, GPS simulated: all that can be judged is kept, what needs the truth is skipped.

    Each reading was measured when the prompt behind its value came out of the adapter.
    """
    run = run_on_bench(SCENARIO, f"links: {{obd: {{real: {adapter.path}, baud: 38400}}}}\n")
    assert run.failure_lines() == []
    outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
    assert outcomes["obd.fidelity.max"] is Outcome.SKIPPED
    assert outcomes["gps.fidelity.max"] is Outcome.PASS
    assert outcomes["obd.latency.p95"] is Outcome.PASS
    assert outcomes["obd.gone"] is Outcome.PASS
    record = RecordReader(run.folder)
    assert record.manifest.real_links == ["obd"]
    assert "ELM327" in record.manifest.bench["identities"]["obd"]["ATI"]
    prompts = {
        chunk.time_ns
        for chunk in record.wire("obd")
        if chunk.direction == ">" and ">" in chunk.text
    }
    matched = measure(record).links["obd"].stored["RPM"]
    assert len(matched.measured_ns) > 10
    assert set(matched.measured_ns[matched.has_sample].tolist()) <= prompts
    assert matched.has_sample.mean() > 0.9
    said = matched.samples.wire[matched.sample[matched.has_sample]]
    assert (abs(said - matched.readings.value[matched.has_sample]) < 1e-6).all()


def test_without_a_tap_the_gateway_has_the_port_to_itself(
    adapter: Adapter, run_on_bench: RunOnBench
) -> None:
    """No byte is on the record; a reading counts as measured when the gateway says so."""
    links = f"links: {{obd: {{real: {adapter.path}, tap: false}}}}\n"
    run = run_on_bench(SCENARIO, links)
    assert run.failure_lines() == []
    record = RecordReader(run.folder)
    assert record.wire("obd") == []
    assert measure(record).links["obd"].received_ns.size > 20


def test_an_adapter_that_is_pulled_out_is_named(adapter: Adapter, run_on_bench: RunOnBench) -> None:
    """The run goes on to its end; the verdict says what went away, when, that it stayed away."""
    links = f"links: {{obd: {{real: {adapter.path}}}}}\n"
    run = run_on_bench(SCENARIO, links, (PULLED_S, adapter.pull))
    assert run.failure == ""
    assert run.trace_sha256
    (line,) = (line for line in run.failure_lines() if line.startswith("obd.gone"))
    assert str(adapter.path) in line
    assert "went away at judged+" in line
    assert "never back" in line
    measures = measure(RecordReader(run.folder))
    lost, coverage = measures.get("readings.lost"), measures.get("gps.coverage", "judged")
    assert lost is not None
    assert lost.value == 0
    assert coverage is not None
    assert coverage.value > 95


def test_an_adapter_that_comes_back_is_read_again(
    adapter: Adapter, run_on_bench: RunOnBench
) -> None:
    """Plugged in again, the gateway finds it under its name; the time without it is told."""

    run = run_on_bench(
        SCENARIO.replace("idle: 5 s", "idle: 20 s"),
        f"links: {{obd: {{real: {adapter.path}}}}}\n",
        (PULLED_S, adapter.pull),
        (PULLED_S + 1.0, adapter.plug_in),
    )
    (line,) = (line for line in run.failure_lines() if line.startswith("obd.gone"))
    assert "back after" in line
    record = RecordReader(run.folder)
    (outage,) = record.manifest.result["gone"]["obd"]
    received_ns = measure(record).links["obd"].received_ns
    assert (received_ns > outage["end_ns"]).any()


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_port_that_is_none_ends_the_run_at_once(
    run_on_bench: RunOnBench, tmp_path: Path, name: str
) -> None:
    """The message names the bench file's line, what was expected, what stands there."""
    place = tmp_path / name
    if name == "file":
        place.write_text("no port")
    run = run_on_bench(SCENARIO, f"links: {{obd: {{real: {place}}}}}\n")
    assert "bench.yaml:3" in run.failure
    assert str(place) in run.failure
    assert "expected a serial port" in run.failure
