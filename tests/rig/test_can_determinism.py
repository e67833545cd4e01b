"""A bus with two doors, one on a PTY and one over TCP: one trace for one seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rig.measures.measures import measure
from rig.record.reader import RecordReader
from rig.record.streams import CAN_LOG_FILE
from rig.scenario.model import Scenario
from tests.rig.test_determinism import (
    assert_same_trace,
    busy_machine,
    databases,
    drive,
    first,
)

can = pytest.importorskip("can", reason="the package python-can is not installed")

__all__ = ["busy_machine", "databases", "drive", "first"]  # fixtures


@pytest.fixture(scope="module")
def scenario(shortened: Callable[[str, Mapping[str, str]], Scenario]) -> Scenario:
    """The CAN link through slcan, OBD over CAN through socketcand."""
    return shortened("can_two_clients", {"idle: 4 s": "idle: 1 s", "for: 14 s": "for: 3 s"})


def test_a_second_run_on_a_busy_machine_gives_the_same_trace(
    drive: Callable[..., Path], first: Path, busy_machine: None
) -> None:
    """Another process, other hashes of strings, and one that wants the core."""
    assert_same_trace(first, drive(PYTHONHASHSEED="7"))


def test_the_record_has_both_doors_frames(first: Path) -> None:
    """Each frame once, whoever sent it; and the log that other tools read has the same ones."""
    record = RecordReader(first)
    senders = {row.sender for row in record.can}
    assert senders >= {"PCM", "ABS", "obd0", "ecm"}
    times_ns = [row.time_ns for row in record.can]
    assert times_ns == sorted(set(times_ns))
    with can.BLFReader(first / CAN_LOG_FILE) as log:
        frames = [(message.arbitration_id, bytes(message.data)) for message in log]
    assert frames == [(row.id, row.data) for row in record.can]


def test_neither_client_loses_anything(first: Path) -> None:
    """What the one asks and is answered, the other one hears."""
    measures = measure(RecordReader(first))
    for name in ("can.frames.lost", "can.missing", "can.invented", "obd.missing", "readings.lost"):
        measured = measures.get(name)
        assert measured is not None, name
        assert measured.value == 0, name
