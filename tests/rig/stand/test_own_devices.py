"""Devices of other kinds on the desk, for which `telerig device` stands: radios, and a board."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.judge.limits import Outcome
from rig.measures.measures import measure
from rig.record.reader import RecordReader
from tests.rig.stand.conftest import Processes, RunOnBench

RADIOS = """\
needs: [obd, gps, mesh]
world: {mesh: {preset: SHORT_FAST}}
gateway: {plan: {RPM: 2 Hz, SPEED: 2 Hz}, mesh: {plan: {RPM: 1 Hz, SPEED: 1 Hz}, flush: 5 s}}
phases: [{idle: 20 s}]
limits:
  readings.lost: {equals: 0}
  mesh.rate: {min: 0.4/s}
  mesh.coverage: {min: 90 %}
  mesh.airtime: {max: 50 %}
"""
BOARD = """\
needs: [esp32]
world: {esp32: {transport: serial, flush: 3 s}}
phases: [{idle: 10 s}]
limits:
  readings.lost: {equals: 0}
  esp32.rate: {min: 15/s}
  esp32.compression_ratio: {min: 1.5}
  esp32.fidelity.max: {max: 1 step}
"""


def _ports(processes: Processes, *words: str) -> dict[str, Any]:
    process = processes.start(sys.executable, "-m", "rig.cli", "device", *words, "--json")
    assert process.stdout is not None
    ports: dict[str, Any] = json.loads(process.stdout.readline())["ports"]
    return ports


def test_two_radios_that_hear_each_other(
    processes: Processes, run_on_bench: RunOnBench, tmp_path: Path
) -> None:
    """Their numbers are asked of them; what the car sends stands in the base station's store."""
    pytest.importorskip("meshtastic", reason="telerig[mesh] is not installed")
    radios = _ports(processes, "mesh", "--radios", "2", "--preset", "SHORT_FAST")["radios"]
    places = {}
    for line, radio in zip(("mesh", "mesh-base"), radios, strict=True):
        places[line] = tmp_path / line
        places[line].symlink_to(radio["serial"])
    links = ", ".join(f"{line}: {{real: {place}}}" for line, place in places.items())
    run = run_on_bench(RADIOS, f"links: {{{links}}}\n")
    assert run.failure_lines() == []
    outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
    assert outcomes["mesh.airtime"] is Outcome.SKIPPED
    assert outcomes["mesh.coverage"] is Outcome.PASS
    manifest = RecordReader(run.folder).manifest
    assert manifest.mesh is not None
    assert [f"!{node:08x}" for node in manifest.mesh.nodes.values()] == [radios[0]["id"]]


def test_a_board_on_its_cable(
    processes: Processes, run_on_bench: RunOnBench, tmp_path: Path
) -> None:
    """It is registered under the link's name; its uplinks are read off the tapped wire."""
    place = tmp_path / "board"
    place.symlink_to(_ports(processes, "esp32")["serial"])
    run = run_on_bench(BOARD, f"links: {{esp32: {{real: {place}}}}}\n")
    assert run.failure_lines() == []
    outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
    assert outcomes["esp32.compression_ratio"] is Outcome.PASS
    assert outcomes["esp32.fidelity.max"] is Outcome.SKIPPED
    coverage = measure(RecordReader(run.folder)).get("esp32.coverage")
    assert coverage is not None
    assert coverage.value > 90
