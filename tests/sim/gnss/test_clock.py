"""What a receiver with a wrong clock calls an instant."""

from __future__ import annotations

from sim.gnss.clock import ROLLOVER_NS, ReceiverClock, Said

S = 1_000_000_000
MIDNIGHT_NS = 1_798_761_600 * S  # 2027-01-01


def test_a_right_clock_says_what_it_is() -> None:
    """And its epochs stand where they are."""
    clock = ReceiverClock()
    assert clock.said(MIDNIGHT_NS) == Said(MIDNIGHT_NS)
    assert clock.shift_ns(MIDNIGHT_NS) == 0


def test_a_leap_second_lasts_a_second_and_stays() -> None:
    """59.5, 60.0, 60.5, 00.0 of a second later; undone, it never was."""
    clock = ReceiverClock()
    undo = clock.insert_leap_second(MIDNIGHT_NS - 5 * S)
    before, half = MIDNIGHT_NS - S // 2, S // 2
    assert clock.said(before) == Said(before)
    assert clock.said(MIDNIGHT_NS) == Said(MIDNIGHT_NS - S, is_leap=True)
    assert clock.said(MIDNIGHT_NS + half) == Said(MIDNIGHT_NS - half, is_leap=True)
    assert clock.said(MIDNIGHT_NS + S) == Said(MIDNIGHT_NS, leaps=1)
    undo()
    assert clock.said(MIDNIGHT_NS + S) == Said(MIDNIGHT_NS + S)


def test_a_rollover_and_a_leap_second_at_once() -> None:
    """The second is one of the time of day, whatever the date."""
    clock = ReceiverClock()
    clock.insert_leap_second(MIDNIGHT_NS - 5 * S)
    clock.roll_over()
    assert clock.said(MIDNIGHT_NS) == Said(MIDNIGHT_NS - ROLLOVER_NS - S, is_leap=True)
    assert ROLLOVER_NS % (86_400 * S) == 0


def test_jumps_and_drifts_add_up_and_are_undone_apart() -> None:
    """A drift counts from its own begin."""
    clock = ReceiverClock()
    jump = clock.jump(-2.5)
    drift = clock.drift(MIDNIGHT_NS, 1000.0)
    assert clock.shift_ns(MIDNIGHT_NS + 100 * S) == round(-2.4 * S)
    jump()
    assert clock.shift_ns(MIDNIGHT_NS + 100 * S) == round(0.1 * S)
    drift()
    assert clock.shift_ns(MIDNIGHT_NS + 100 * S) == 0
