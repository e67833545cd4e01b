"""Boards in wall time: real sockets to a gateway process, and the provisioning client beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.measures.measures import Measures, measure
from rig.record.reader import RecordReader
from rig.runner.databases import Databases
from rig.worker.job import Failed, Finished, Job, decode_message, encode

PACE = 2.0  # simulated seconds per wall second; faster, a busy machine leaves samples behind
TIMEOUT_S = 180.0

SCENARIO = """\
rig: 1
mode: paced
needs: [esp32]
seed: 4
world:
  esp32: {count: 2, provisioned: %s, flush: 2 s, plan: {RPM: 2 Hz, SPEED: 1 Hz}}
phases: [{idle: 10 s}]
limits: {readings.lost: {equals: 0}}
"""


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """One server for the workers of this file."""
    with Databases() as databases:
        yield databases


@pytest.fixture(params=["true", "false"], ids=["provisioned", "factory"])
def measures(request: pytest.FixtureRequest, databases: Databases, tmp_path: Path) -> Measures:
    """The figures of a paced run of two boards."""
    path = tmp_path / "paced.scenario.yaml"
    path.write_text(SCENARIO % request.param)
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
    return measure(RecordReader(job.folder))


@pytest.mark.promise("D10")
def test_boards_reach_a_gateway_of_its_own_process(measures: Measures) -> None:
    """Registered or provisioned, over HTTP; what they sampled is in the store, once."""
    found = {
        name: measured.value
        for name in ("readings.lost", "readings.doubled", "esp32.missing", "esp32.fidelity.max",
                     "esp32.crashes", "gateway.exit", "log.errors")
        if (measured := measures.get(name)) is not None
    }  # fmt: skip
    assert found == pytest.approx(dict.fromkeys(found, 0.0), abs=0.01)
    assert len(found) == 7
    rate = measures.get("esp32.rate")
    assert rate is not None
    assert rate.value > 10.0  # two boards, eight readings a second each
    provisioned = measures.get("esp32.provisioned")
    assert provisioned is None or provisioned.value == 2
