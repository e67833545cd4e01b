"""Two gateways, radios on PTYs and over TCP, blocking threads: one trace for one seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rig.measures.measures import measure
from rig.record.reader import RecordReader
from rig.scenario.model import Scenario
from tests.rig.test_determinism import (
    assert_same_trace,
    busy_machine,
    databases,
    drive,
    first,
    trace_of,
)

pytest.importorskip("meshtastic", reason="the package meshtastic is not installed")

__all__ = ["busy_machine", "databases", "drive", "first"]  # fixtures

CUTS = {
    "mesh_tcp": {"idle: 30 s": "idle: 5 s", "for: 2 min": "for: 30 s", "idle: 90 s": "idle: 2 s"},
    "mesh_usb_pulled": {
        "idle: 20 s": "idle: 2 s",
        "for: 5 min": "for: 60 s",
        "idle: 90 s": "idle: 2 s",
        "cruise+40 s": "cruise+10 s",
        "hang_up: 30 s": "hang_up: 10 s",
        "cruise+110 s": "cruise+25 s",
        "cruise+150 s": "cruise+35 s",
        "for: 30 s, as: noise": "for: 10 s, as: noise",
    },
}


@pytest.fixture(scope="module", params=CUTS)
def scenario(
    request: pytest.FixtureRequest, shortened: Callable[[str, Mapping[str, str]], Scenario]
) -> Scenario:
    """Radios over TCP; and on a cable with faults."""
    return shortened(request.param, CUTS[request.param])


def test_a_second_run_on_a_busy_machine_gives_the_same_trace(
    drive: Callable[..., Path], first: Path, busy_machine: None
) -> None:
    """Another process, other hashes of strings, and one that wants the core."""
    assert_same_trace(first, drive(PYTHONHASHSEED="7"))


def test_another_seed_gives_another_trace(drive: Callable[..., Path], first: Path) -> None:
    """The radios' own randomness comes from the seed too."""
    other = drive(seed=99)
    assert trace_of(other) != trace_of(first)
    frames = [[row[:1] for row in RecordReader(folder).air] for folder in (first, other)]
    assert frames[0] != frames[1]


def test_both_gateways_are_in_the_record(first: Path) -> None:
    """What the car's stored, what the base station's stored of it, and what was on the air."""
    record = RecordReader(first)
    devices = {row.device for row in record.stored}
    assert devices == {"car-1", "mesh"}
    assert {row.device for row in record.published} == {"", "mesh"}
    assert {row.node for row in record.air} == {0xCA000001, 0xBA5E0001}
    assert {row.outcome for row in record.heard} >= {"ok"}
    counters = record.manifest.result["counters"]["mesh"]
    assert counters["uplink.data_sent"] > 0
    assert counters["base.acks_sent"] > 0
    assert any('"gateway": "base"' in line for line in record.log_lines)
    invented = measure(record).get("mesh.invented")
    assert invented is not None
    assert invented.value == 0
