"""Marks as stale: missing, in time, and left over; as a client of the live stream sees them."""

from __future__ import annotations

import pytest

from rig.measures.stale import STALE_EVENT, marks_of
from rig.record.streams import Event

RPM, SPEED = 12, 13
PLAN = {"obd": {"RPM": 1.0}}  # overdue 3 s after the newest reading, which arrives after 0.13 s


def value(measures, name, phase=None, except_faults=False):
    found = measures.get(name, phase, except_faults)
    return None if found is None else found.value


def test_a_signal_that_comes_as_planned_needs_no_mark(bench):
    """Gaps up to three periods are no fault."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 5, 6, 9, 12, 15, 18])
    m = b.measures()
    assert value(m, "obd.stale.unmarked.max") == 0
    assert value(m, "obd.stale.wrong.max") == 0


def test_a_silent_signal_without_a_mark_is_counted_to_its_next_reading(bench):
    """Silent from 3.13 s on, overdue at 6.13 s, there again at 8.13 s."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 3, 8, 11, 14, 17, 19])
    assert value(b.measures(), "obd.stale.unmarked.max") == pytest.approx(2.0)


def test_silence_counts_to_the_end_of_the_run(bench):
    """A link that never comes back is overdue until the last phase ends."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1])
    m = b.measures()
    assert value(m, "obd.stale.unmarked.max") == pytest.approx(15.87)
    assert value(m, "obd.stale.unmarked.max", "hard") == pytest.approx(10.0)


def test_a_mark_ends_the_unmarked_time(bench):
    """Overdue at 6.13 s, marked at 6.5 s."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 3, 8, 11, 14, 17, 19])
    b.stale(6.5, "obd", RPM)
    b.stale(8.05, "obd")
    assert value(b.measures(), "obd.stale.unmarked.max") == pytest.approx(0.37)


def test_a_mark_on_another_signal_or_link_is_no_mark(bench):
    """Marks count by link and signal."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 3, 8, 11, 14, 17, 19])
    b.stale(6.5, "obd", SPEED)
    b.stale(6.5, "gps", RPM)
    assert value(b.measures(), "obd.stale.unmarked.max") == pytest.approx(2.0)


def test_a_mark_that_goes_away_too_soon_is_missing_again(bench):
    """Marked from 3.5 s to 6.5 s; overdue and bare from there to 8.13 s."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 3, 8, 11, 14, 17, 19])
    b.stale(3.5, "obd", RPM)
    b.stale(6.5, "obd")
    assert value(b.measures(), "obd.stale.unmarked.max") == pytest.approx(1.63)


def test_a_mark_that_outlives_a_new_reading_is_wrong(bench):
    """Read at 8.03 s, seen at 8.13 s, marked until 9 s."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 3, 8, 11, 14, 17, 19])
    b.stale(6.5, "obd", RPM, SPEED)
    b.stale(9.0, "obd")
    m = b.measures()
    assert value(m, "obd.stale.wrong.max") == pytest.approx(0.87)
    assert value(m, "obd.stale.wrong.max", "hard") == 0


def test_a_mark_that_stays_is_wrong_to_the_end(bench):
    """Never taken back: wrong from the next reading's arrival at 8.13 s until 20 s."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 3, 8, 11, 14, 17, 19])
    b.stale(6.5, "obd", RPM)
    b.stale(7.5, "obd", RPM, SPEED)
    assert value(b.measures(), "obd.stale.wrong.max") == pytest.approx(11.87)


def test_a_reading_on_its_way_does_not_end_a_mark(bench):
    """Read at 3.03 s and seen at 3.13 s; the mark of 3.1 s is about what comes after."""
    b = bench(plan=PLAN)
    b.poll(RPM, [1, 2, 3, 8, 11, 14, 17, 19])
    b.stale(3.1, "obd", RPM)
    b.stale(8.05, "obd")
    assert value(b.measures(), "obd.stale.wrong.max") == 0


def test_what_never_came_is_not_measured(bench):
    """Coverage tells that; a limit on marks stays unset."""
    m = bench(plan=PLAN).measures()
    assert value(m, "obd.stale.unmarked.max") is None
    assert value(m, "obd.stale.wrong.max") is None


def test_a_kill_ends_the_marks_of_before():
    """A client that was cut off knows of no mark; the gateway that comes back begins anew."""
    events = [
        Event(at, STALE_EVENT, {"link": "obd", "signals": signals})
        for at, signals in ((10, [RPM]), (70, [SPEED]), (90, []))
    ]
    assert marks_of(events, 100, kills_ns=[50]) == {"obd": {RPM: [(10, 50)], SPEED: [(70, 90)]}}
    assert marks_of(events[:1], 100, kills_ns=[50]) == {"obd": {RPM: [(10, 50)]}}
    assert marks_of(events[:1], 100) == {"obd": {RPM: [(10, 100)]}}
