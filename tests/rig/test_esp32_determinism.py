"""Boards in virtual time: HTTP over real sockets, PTYs, and a client in a thread give one trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

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

__all__ = ["busy_machine", "databases", "drive", "first"]  # fixtures

CUTS = {
    "esp32_provisioning": {"idle: 30 s": "idle: 10 s", "for: 60 s": "for: 10 s"},
    "esp32_serial": {
        "idle: 20 s": "idle: 2 s",
        "for: 4 min": "for: 45 s",
        "for: 1 min": "for: 3 s",
        "cruise+40 s": "cruise+5 s",
        "for: 30 s, as: noise": "for: 5 s, as: noise",
        "cruise+90 s": "cruise+15 s",
        "for: 30 s, as: bit-errors": "for: 5 s, as: bit-errors",
        "cruise+150 s": "cruise+25 s",
        "hang_up: 20 s": "hang_up: 5 s",
    },
    "compaction": {
        "idle: 20 s": "idle: 2 s",
        "for: 3 min": "for: 45 s",
        "for: 40 s": "for: 3 s",
        "cruise+20 s": "cruise+5 s",
        "wifi_outage: 80 s": "wifi_outage: 20 s",
        "cruise+60 s": "cruise+15 s",
    },
}


@pytest.fixture(scope="module", params=CUTS)
def scenario(
    request: pytest.FixtureRequest, shortened: Callable[[str, Mapping[str, str]], Scenario]
) -> Scenario:
    """A board over HTTP, from its factory state; one on a cable with faults; and one whose readings
    come late, while the gateway compacts."""
    return shortened(request.param, CUTS[request.param])


def test_a_second_run_on_a_busy_machine_gives_the_same_trace(
    drive: Callable[..., Path], first: Path, busy_machine: None
) -> None:
    """Another process, other hashes of strings, and one that wants the core."""
    assert_same_trace(first, drive(PYTHONHASHSEED="7"))


def test_another_seed_gives_another_trace(drive: Callable[..., Path], first: Path) -> None:
    """The boards' own randomness comes from the seed too."""
    other = drive(seed=99)
    assert trace_of(other) != trace_of(first)
    boots = [
        {row.boot for row in RecordReader(folder).stored if row.boot} for folder in (first, other)
    ]
    assert boots[0].isdisjoint(boots[1])
