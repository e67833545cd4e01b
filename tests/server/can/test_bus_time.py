"""Instants of frames by the gateway's clock."""

from __future__ import annotations

from server.can.bus_time import BACKLOG_NS, TRUST_NS, WINDOW_NS, BusTime

NOW = 1_700_000_000_000_000_000
MS = 1_000_000


def test_a_clock_that_agrees_is_taken_as_it_is() -> None:
    """A stamp that is a little old is the time on the bus."""
    time = BusTime("can0")
    assert time.offset_ns(NOW - 3 * MS, NOW) == 0
    assert time.offset_ns(NOW - 300 * MS, NOW) == 0  # a frame that was late
    assert not time.is_mapped


def test_a_clock_that_is_a_little_ahead() -> None:
    """No frame is in the future; the clock counts as the gateway's all the same."""
    time = BusTime("can0")
    assert NOW + 50 * MS + time.offset_ns(NOW + 50 * MS, NOW) == NOW
    assert not time.is_mapped
    assert time.offset_ns(NOW + 60 * MS, NOW + 20 * MS) == -50 * MS  # 40 ms ahead, under way 10


def test_frames_that_have_waited_are_as_old_as_they_say() -> None:
    """A backlog at the start is no other clock."""
    time = BusTime("can0")
    assert time.offset_ns(NOW - 900 * MS, NOW) == 0
    assert time.offset_ns(NOW + 10 * MS, NOW + 12 * MS) == 0
    assert not time.is_mapped


def test_a_clock_of_its_own_is_mapped_by_the_fastest_frame() -> None:
    """Frames keep their distances; the one that was fastest has the instant of reception."""
    time = BusTime("can0")
    boot = 5_000 * MS
    assert boot + time.offset_ns(boot, NOW) == NOW
    late = time.offset_ns(boot + 10 * MS, NOW + 14 * MS)  # 4 ms longer under way
    assert boot + 10 * MS + late == NOW + 10 * MS
    fast = time.offset_ns(boot + 20 * MS, NOW + 18 * MS)  # 2 ms less than the first
    assert boot + 20 * MS + fast == NOW + 18 * MS


def test_drift_is_followed() -> None:
    """A clock that goes slow is found again after two windows."""
    time = BusTime("can0")
    offset = 0
    for second in range(60):
        stamp = second * (1_000 * MS - 100_000)  # 100 us a second slow
        offset = time.offset_ns(stamp, NOW + second * 1_000 * MS)
        error = stamp + offset - (NOW + second * 1_000 * MS)
        assert -2 * WINDOW_NS // 10_000 <= error <= 0
    assert offset > NOW


def test_a_clock_that_is_always_behind() -> None:
    """After a window without a faster frame it is the clock, and not a backlog; and stays so."""
    time = BusTime("can0")
    late = TRUST_NS + MS
    found = [
        time.offset_ns(NOW + second * 1_000 * MS - late, NOW + second * 1_000 * MS)
        for second in range(15)
    ]
    assert found == [0] * 10 + [late] * 5
    assert time.offset_ns(NOW + 15_000 * MS - 2 * MS, NOW + 15_000 * MS) == 2 * MS


def test_a_clock_far_off_is_mapped_at_once() -> None:
    """By more than frames may wait, or ahead by more than clocks may differ."""
    for off in (-BACKLOG_NS - MS, TRUST_NS + MS):
        time = BusTime("can0")
        assert time.offset_ns(NOW + off, NOW) == -off
        assert time.is_mapped
