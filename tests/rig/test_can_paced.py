"""A bus in wall time: the gateway a process of its own, at a PTY and at a port of the loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.measures.measures import measure
from rig.record.reader import RecordReader
from rig.runner.databases import Databases
from rig.worker.job import Failed, Finished, Job, decode_message, encode

pytest.importorskip("cantools", reason="the package cantools is not installed")

PACE = 2.0  # simulated seconds per wall second; the gateway's clock is the wall's
TIMEOUT_S = 120.0

SCENARIO = """\
rig: 1
mode: paced
needs: [can, obd]
seed: 4
world:
  can: {door: slcan, profile: lawicel_canusb}
  obd: {over: can, door: socketcand}
gateway:
  plan: {RPM: 2 Hz}
  can: {signals: {VehicleSpeed: all, EngineSpeed: 5 Hz}, timestamps: true}
phases: [{idle: 3 s}]
limits: {readings.lost: {equals: 0}}
"""


@pytest.fixture
def databases() -> Iterator[Databases]:
    """A server for the worker."""
    with Databases() as databases:
        yield databases


def test_both_doors_serve_the_gateway_in_wall_time(databases: Databases, tmp_path: Path) -> None:
    """Started as in production; what the car says and what it answers is stored."""
    path = tmp_path / "paced.scenario.yaml"
    path.write_text(SCENARIO)
    url = databases.fresh()
    job = Job(scenario=path, seed=4, folder=tmp_path / "run", database_url=url, pace=PACE)
    worker = subprocess.run(
        [sys.executable, "-m", "rig.worker", "paced", str(os.getpid())],
        input=encode(job),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        process_group=0,
    )
    messages = [decode_message(line) for line in worker.stdout.splitlines()]
    assert [message for message in messages if isinstance(message, Failed)] == []
    assert any(isinstance(m, Finished) for m in messages), worker.stderr.decode()
    databases.drop(url)
    record = RecordReader(job.folder)
    measures = measure(record)
    for name in ("readings.lost", "gateway.exit", "log.errors"):
        measured = measures.get(name)
        assert measured is not None, name
        assert measured.value == 0, name
    # A machine that is busy elsewhere may lose some; scenarios that judge it have it to themselves.
    assert record.manifest.result["counters"]["can"]["frames_known"] > 0.5 * 75 * 5  # of two ids
    # At such a pace the instants of gateway and world have nothing to do with each other.
    stored = {measures.signals[row.signal].name for row in record.stored}
    assert stored >= {"VehicleSpeed", "EngineSpeed", "RPM"}
