"""Readings of any instants as the rows that a vehicle takes for the radio."""

from __future__ import annotations

from rig.measures.arrays import floats, ints
from rig.measures.rows import rows_of, step_ns
from rig.record.manifest import MeshInfo

S = 1_000_000_000


def test_a_row_holds_the_newest_reading_of_its_period() -> None:
    """The instant itself included; a period without a reading has no row."""
    times = ints([int(t * S) for t in (0.2, 0.9, 1.0, 1.1, 3.5)])
    rows = rows_of(times, floats([1.0, 2.0, 3.0, 4.0, 5.0]), S)
    assert rows.time_ns.tolist() == [1 * S, 2 * S, 4 * S]
    assert rows.wire.tolist() == [3.0, 4.0, 5.0]


def test_no_readings_make_no_rows() -> None:
    """A signal that the car does not have."""
    assert len(rows_of(ints([]), floats([]), S).time_ns) == 0


def test_a_slow_signal_is_due_in_each_nth_row() -> None:
    """As the uplink rounds it: to whole periods."""
    mesh = MeshInfo({}, 0, period_s=2.0)
    assert step_ns(mesh, 1.0) == 2 * S
    assert step_ns(mesh, 0.1) == 10 * S
    assert step_ns(mesh, 0.3) == 4 * S
