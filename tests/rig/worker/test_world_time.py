"""Instants of the gateway, moved to the time of a world that goes at another pace."""

from __future__ import annotations

import pytest

from rig.record.streams import Stored
from rig.worker.world_time import WorldTime

EPOCH = 1_800_000_000_000_000_000
S = 1_000_000_000


def test_at_its_own_pace_nothing_is_touched() -> None:
    """At 1 rows are the very same objects."""
    rows = [[1, 12, EPOCH + S, 1.0, EPOCH + S, 0]]
    assert WorldTime(EPOCH, 1.0).rows(rows, "") is rows
    assert WorldTime(EPOCH, 1.0).at(EPOCH + 7) == EPOCH + 7


@pytest.mark.parametrize("pace", [0.25, 4.0])
def test_instants_of_either_clock_are_told_apart(pace: float) -> None:
    """What the gateway measured moves with its clock, what it was told by a satellite stays."""
    time = WorldTime(EPOCH, pace)
    wall = EPOCH + 20 * S  # 20 s after the start
    world = EPOCH + round(20 * S * pace)
    own, told = wall - 8_000_000, world - 70_000_000
    rows = [[1, 12, own, 5.0, wall, 0], [2, 1001, told, 5.0, wall, 0]]
    moved = time.rows(rows, "")
    assert moved[0] == [1, 12, EPOCH + round((20 * S - 8_000_000) * pace), 5.0, world, 0]
    assert moved[1] == [2, 1001, told, 5.0, world, 0]


def test_stored_rows_move_as_the_published_ones_did() -> None:
    """One reading has one instant in both; a device's own clock is left alone; 0 stays unknown."""
    time = WorldTime(EPOCH, 2.0)
    wall = EPOCH + 10 * S
    rows = [
        Stored("car-1", 1, 12, wall - 5, 1.0, wall, 0, wall + S),
        Stored("esp32", 1, 12, EPOCH + 18 * S, 1.0, wall, 0, wall, 77),
        Stored("car-1", 0, 12, wall, 1.0, 0, 0, 0),
    ]
    own, device, compacted = time.stored(rows, ["esp32"])
    assert own.time_ns == time.rows([[1, 12, wall - 5, 1.0, wall, 0]], "")[0][2]
    assert (own.received_ns, own.written_ns) == (EPOCH + 20 * S, EPOCH + 22 * S)
    assert (device.time_ns, device.received_ns) == (EPOCH + 18 * S, EPOCH + 20 * S)
    assert compacted == rows[2]
