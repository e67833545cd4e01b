"""A real CAN bus, at which a program of python-can alone is the other end."""

from __future__ import annotations

import json
import os

import pytest

from rig.judge.limits import Outcome
from rig.measures.measures import measure
from rig.record.reader import RecordReader
from tests.rig.stand.conftest import Processes, RunOnBench

pytest.importorskip("cantools", reason="the package cantools is not installed")

SCENARIO = """\
needs: [can]
gateway:
  can: {signals: {VehicleSpeed: all}}
phases: [{idle: 6 s, as: settling}, {idle: 4 s, as: judged}]  # a busy machine starts slowly
limits:
  can.coverage: {min: 90 %, phase: judged}
  can.fidelity.max: {max: 0.01 step}
  can.latency.p95: {max: 500 ms, phase: judged}
  readings.lost: {equals: 0}
"""
SPEED_ID = 0x130  # of the message with VehicleSpeed in focus_st.dbc


@pytest.fixture
def interface(processes: Processes) -> str:
    """A CAN interface that several programs can have open, as YAML."""
    pytest.importorskip("msgpack", reason="udp_multicast of python-can needs the package msgpack")
    can = pytest.importorskip("can", reason="the package python-can is not installed")
    channel = f"239.74.{os.getpid() % 251}.{os.getpid() // 251 % 251}"
    try:
        can.Bus(interface="udp_multicast", channel=channel, hop_limit=0).shutdown()
    except (OSError, can.CanError) as error:
        pytest.skip(f"this machine has no multicast: {error}")
    return f"{{interface: udp_multicast, channel: {channel}, options: {{hop_limit: 0}}}}"


def channel_of(interface: str) -> str:
    """Return the channel of the YAML text."""
    return interface.partition("channel: ")[2].partition(",")[0]


def test_a_bus_that_is_not_ours_is_read_and_heard(
    processes: Processes, interface: str, run_on_bench: RunOnBench
) -> None:
    """Link `can` real: the gateway stores what the peer says, and so does the record."""
    words = (f"{SPEED_ID:X}", "11" * 8, "0.02")
    processes.ready("can_peer.py", "talk", "udp_multicast", channel_of(interface), *words)
    run = run_on_bench(SCENARIO, f"links: {{can: {{real: {interface}}}}}\n")
    assert run.failure_lines() == []
    outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
    assert outcomes["can.fidelity.max"] is Outcome.SKIPPED
    assert outcomes["can.coverage"] is Outcome.PASS
    record = RecordReader(run.folder)
    assert {row.id for row in record.can} == {SPEED_ID}
    rate = measure(record).get("can.rate", "judged")
    assert rate is not None
    assert rate.value > 20


def test_the_modelled_car_speaks_on_a_real_bus(
    processes: Processes, interface: str, run_on_bench: RunOnBench
) -> None:
    """Driven: a program elsewhere hears the car, and the gateway here stores what it hears."""
    peer = processes.ready("can_peer.py", "count", "udp_multicast", channel_of(interface), "35")
    run = run_on_bench(SCENARIO, f"links: {{can: {{drive: {interface}}}}}\n")
    assert run.failure_lines() == []
    outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
    assert outcomes["can.fidelity.max"] is Outcome.PASS
    assert peer.stdout is not None
    heard = json.loads(peer.stdout.readline())
    assert len(heard) > 5
    assert sum(heard.values()) > 500
