"""Readings of any instants on a grid of UTC."""

from __future__ import annotations

import pytest

from server.mesh.uplink.plan import plan_of
from server.mesh.uplink.rows import FURTHEST_ROWS, Grid, start_before, steps_of, turn_ms
from server.readings import State
from server.wire.codec.profile import Profile
from tests.server.mesh.uplink.uplink_world import START_NS, reading

PROFILE = Profile.cold(1000, plan_of({"COOLANT_TEMP": 0.2, "RPM": 1.0, "SPEED": 1.0}, None, 1.0))
START_MS = START_NS // 1_000_000


def grid() -> Grid:
    """Give a grid whose row 0 is at the start."""
    return Grid(PROFILE, START_MS)


def test_a_row_has_the_newest_reading_of_its_period() -> None:
    """Of the half-open second that ends with the row's instant, in whatever order they come."""
    rows = grid()
    rows.put([reading("RPM", 1.0, 1000.0), reading("RPM", 1.001, 2000.0)])
    rows.put([reading("RPM", 2.0, 2200.0), reading("RPM", 1.5, 2100.0)])
    rows.put([reading("SPEED", 2.0001, 60.0)])
    assert [rows.close(row) for row in range(4)] == [
        [None, None, None],
        [4000, None],
        [8800, None],
        [None, 60],
    ]


def test_a_slow_signal_has_the_newest_of_its_own_interval() -> None:
    """A signal of each fifth row takes what came in the five seconds before."""
    rows = grid()
    rows.put([reading("COOLANT_TEMP", 0.5, 80.0), reading("COOLANT_TEMP", 3.0, 81.0)])
    closed = [rows.close(row) for row in range(11)]
    assert closed[5] == [81, None, None]
    assert closed[10] == [None, None, None]


def test_what_comes_after_its_row_is_late() -> None:
    """It is counted, and changes no other row."""
    rows = grid()
    rows.close(0)
    rows.close(1)
    rows.put([reading("RPM", 0.9, 1000.0)])
    assert (rows.late, rows.close(2)) == (1, [None, None])


def test_readings_from_far_ahead_are_of_no_grid() -> None:
    """A clock that was wrong must not fill the memory."""
    rows = grid()
    rows.close(0)
    rows.put([reading("RPM", FURTHEST_ROWS + 2.0, 1000.0)])
    assert rows.unfit == 1


@pytest.mark.parametrize("state", [State.HELD, State.LOST])
def test_only_what_was_measured_is_sent(state: State) -> None:
    """A prediction is never sent as a measurement."""
    rows = grid()
    rows.put([reading("RPM", 0.5, 1000.0, state), reading("RPM", 0.5, float("nan"))])
    rows.close(0)
    assert rows.close(1) == [None, None]


def test_rows_left_out_leave_nothing_behind() -> None:
    """After a skip the readings of the rows between are gone."""
    rows = grid()
    rows.put([reading("RPM", second, 1000.0) for second in range(1, 9)])
    rows.skip_to(8)
    assert rows.closed == 7
    assert rows.close(8) == [4000, None]


def test_row_0_is_at_a_whole_turn_of_utc() -> None:
    """The same plan has its slow signals in the same seconds after each start."""
    assert turn_ms(PROFILE) == 5000
    assert start_before(PROFILE, START_MS + 4999) == START_MS
    assert start_before(PROFILE, START_MS + 5000) == START_MS + 5000


@pytest.mark.parametrize(
    ("name", "value", "again"),
    [
        ("COOLANT_TEMP", -40.0, -40.0),
        ("RPM", 812.3, 812.25),
        ("LAT", 52.12345679, 312740741 / 6e6),
    ],
)
def test_a_value_becomes_the_nearest_step(name: str, value: float, again: float) -> None:
    """At most half a step off, and a sensor's own value comes back."""
    (signal,) = plan_of({name: 1.0}, None, 1.0)
    assert signal.value(steps_of(signal, value)) == pytest.approx(again, abs=1e-12)
