"""Radios in wall time: two gateway processes, over PTYs and over TCP."""

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

pytest.importorskip("meshtastic", reason="the package meshtastic is not installed")

PACE = 4.0  # simulated seconds per wall second; the gateways' clock is the wall's
TIMEOUT_S = 180.0
CAR, BASE = 0xCA000001, 0xBA5E0001
RPM, SPEED = 12, 13

SCENARIO = """\
rig: 1
mode: paced
needs: [obd, mesh]
seed: 4
world:
  mesh: {preset: SHORT_FAST, transport: %s}
gateway:
  plan: {RPM: 2 Hz, SPEED: 2 Hz}
  mesh: {plan: {RPM: 1 Hz, SPEED: 1 Hz}, flush: 2 s}
phases: [{idle: 20 s}]
limits: {readings.lost: {equals: 0}}
"""


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """One server for the workers of this file."""
    with Databases() as databases:
        yield databases


@pytest.fixture(params=["serial", "tcp"])
def record(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> RecordReader:
    """What is left of a paced run."""
    path = tmp_path / "paced.scenario.yaml"
    path.write_text(SCENARIO % request.param)
    urls = databases.fresh(), databases.fresh()
    job = Job(
        scenario=path,
        seed=4,
        folder=tmp_path / "run",
        database_url=urls[0],
        base_database_url=urls[1],
        pace=PACE,
    )
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
    for url in urls:
        databases.drop(url)
    return RecordReader(job.folder)


def test_what_the_car_takes_reaches_the_base_station(record: RecordReader) -> None:
    """Both gateways are processes of their own, started as in production."""
    measures = measure(record)
    found = {
        name: measured.value
        for name in ("readings.lost", "readings.doubled", "mesh.invented", "gateway.exit",
                     "log.errors")
        if (measured := measures.get(name)) is not None
    }  # fmt: skip
    assert found == pytest.approx(dict.fromkeys(found, 0.0), abs=0.01)
    assert len(found) == 5
    sent = {row.id for row in record.air if row.node == CAR and row.kind == "own"}
    heard = {row.id for row in record.heard if row.node == BASE and row.outcome == "ok"}
    assert sent <= heard
    signals = {row.signal for row in record.stored if row.device == "mesh" and row.boot}
    assert signals == {RPM, SPEED}
