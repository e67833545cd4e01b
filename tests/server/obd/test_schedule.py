"""The schedule keeps rates, shares an overload, and asks silent PIDs rarely."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.obd.schedule import DEMOTED_PERIOD_S, Schedule, Slot


def run(schedule: Schedule, seconds: float, query_s: float, start_s: float = 0.0) -> Counter[str]:
    """Ask for so long with an adapter that takes `query_s`; return the askings by name."""
    asked: Counter[str] = Counter()
    now_s = start_s
    while now_s < start_s + seconds - 1e-9:
        slot, wait_s = schedule.next(now_s)
        if slot is None:
            now_s += wait_s
        else:
            asked[slot.name] += 1
            now_s += query_s
    return asked


@pytest.mark.promise("D02")
def test_rates_are_kept_without_drift() -> None:
    """With time to spare each PID comes exactly at its rate, for a long while."""
    schedule = Schedule([Slot("RPM", 7.0), Slot("SPEED", 3.0), Slot("COOLANT", 0.2)], 0.0)
    asked = run(schedule, 1000.0, 0.03)
    assert asked == {"RPM": 7000, "SPEED": 3000, "COOLANT": 200}
    assert schedule.skipped == 0


def test_an_overload_is_shared_and_starves_none() -> None:
    """On an adapter at half the needed speed, each PID gets roughly half of its rate."""
    schedule = Schedule([Slot("RPM", 10.0), Slot("SPEED", 5.0), Slot("COOLANT", 1.0)], 0.0)
    asked = run(schedule, 1000.0, 0.125)
    assert asked["RPM"] == pytest.approx(5000, rel=0.15)
    assert asked["SPEED"] == pytest.approx(2500, rel=0.15)
    assert asked["COOLANT"] == pytest.approx(500, rel=0.45)
    assert schedule.skipped > 0


def test_as_fast_as_possible_fills_what_the_rates_leave() -> None:
    """Rated PIDs keep their rate; the others share the rest by weight."""
    slots = [Slot("COOLANT", 1.0), Slot("RPM", None, weight=2.0), Slot("SPEED", None)]
    asked = run(Schedule(slots, 0.0), 100.0, 0.05)
    assert asked["COOLANT"] == 100
    assert asked["RPM"] == pytest.approx(2 * asked["SPEED"], abs=3)
    assert asked.total() == pytest.approx(2000, abs=1)


def test_after_an_outage_little_is_made_up() -> None:
    """Ten seconds away at 10 Hz leave no burst of a hundred old questions."""
    schedule = Schedule([Slot("RPM", 10.0)], 0.0)
    run(schedule, 1.0, 0.01)
    assert run(schedule, 0.05, 0.01, start_s=11.0)["RPM"] <= 2
    assert schedule.skipped > 95


def test_a_demoted_slot_is_rare_and_comes_back() -> None:
    """A silent PID is soon asked once each 30 s; restored, it has its rate again."""
    silent, free = Slot("OIL_TEMP", 2.0), Slot("BOOST", None)
    schedule = Schedule([silent, Slot("RPM", 1.0), free], 0.0)
    for slot in (silent, free):
        periods_s = []
        for _ in range(7):
            schedule.demote(slot, 0.0)
            periods_s.append(slot.due_s)
        assert periods_s == [1.0, 2.0, 4.0, 8.0, 16.0, DEMOTED_PERIOD_S, DEMOTED_PERIOD_S]
    asked = run(schedule, 300.0, 0.02)
    assert asked["OIL_TEMP"] == asked["BOOST"] == 300 / DEMOTED_PERIOD_S - 1
    schedule.restore(silent, 300.0)
    schedule.restore(free, 300.0)
    asked = run(schedule, 30.0, 0.02, start_s=300.0)
    assert asked["OIL_TEMP"] in (59, 60)
    assert asked["BOOST"] > 1000


def test_a_demoted_slot_is_not_asked_more_often_than_planned() -> None:
    """What is asked each minute stays at that."""
    slow = Slot("FUEL_LEVEL", 1 / 60)
    Schedule([slow], 0.0).demote(slow, 0.0)
    assert slow.due_s == 60.0


def test_a_restored_slot_is_not_starved_by_an_overload() -> None:
    """Asked rarely for a while, it has the same share as the others at once."""
    silent = Slot("SPEED", 5.0)
    schedule = Schedule([silent, Slot("RPM", 5.0)], 0.0)
    for _ in range(6):
        schedule.demote(silent, 0.0)
    run(schedule, 61.0, 0.2)
    schedule.restore(silent, 61.0)
    asked = run(schedule, 4.0, 0.2, start_s=61.0)
    assert asked["SPEED"] in (9, 10, 11)


def test_an_empty_schedule_waits_for_ever() -> None:
    """Nothing to ask: the wait is infinite."""
    assert Schedule([], 0.0).next(5.0) == (None, math.inf)


@pytest.mark.parametrize(("rate_hz", "weight"), [(0.0, 1), (-1.0, 1), (math.inf, 1), (None, 0.0)])
def test_impossible_rates_are_refused(rate_hz: float | None, weight: float) -> None:
    """A rate and a weight are positive and finite."""
    with pytest.raises(ValueError, match="expected a positive"):
        Slot("RPM", rate_hz, weight)


@given(
    st.lists(st.one_of(st.none(), st.floats(0.05, 50.0)), min_size=1, max_size=8),
    st.floats(0.005, 0.3),
)
def test_nothing_is_asked_more_often_than_planned(
    rates: list[float | None], query_s: float
) -> None:
    """For any plan and adapter: at most the rate, at least one asking each, never a negative
    wait."""
    schedule = Schedule([Slot(str(i), rate) for i, rate in enumerate(rates)], 0.0)
    asked = run(schedule, 60.0, query_s)
    rated = [(str(i), rate) for i, rate in enumerate(rates) if rate]
    for name, rate in rated:
        assert 1 <= asked[name] <= math.floor(60.0 * rate + 1e-6) + 1
    assert schedule.next(60.0)[1] >= 0.0


# -- several at once -------------------------------------------------------------------------------
def few(schedule: Schedule, now_s: float, most: int) -> list[str]:
    """Names of what is asked in one question."""
    return [slot.name for slot in schedule.next_few(now_s, most)[0]]


def test_what_is_due_is_asked_together() -> None:
    """All that are due now, each once, in the order in which they would come alone."""
    schedule = Schedule([Slot("A", 10.0), Slot("B", 5.0), Slot("C", 1.0)], 0.0)
    assert few(schedule, 0.0, 6) == ["A", "B", "C"]
    assert schedule.next_few(0.05, 6) == ([], pytest.approx(0.05))
    assert few(schedule, 0.1, 6) == ["A"]
    assert few(schedule, 0.2, 6) == ["A", "B"]


def test_more_than_fit_are_asked_in_turns() -> None:
    """Nobody is left out and nobody is asked twice in one question, however late it is."""
    schedule = Schedule([Slot(name, 10.0) for name in "ABCDE"], 0.0)
    counts = Counter(name for i in range(50) for name in few(schedule, i * 1.0, 2))
    assert counts == dict.fromkeys("ABCDE", 20)


def test_what_is_late_is_asked_once_in_a_question() -> None:
    """After an outage a PID is due at once again; not in the same question."""
    schedule = Schedule([Slot("A", 10.0), Slot("B", 10.0)], 0.0)
    for now_s in (0.0, 5.05, 5.06):
        assert few(schedule, now_s, 6) == ["A", "B"]


def test_one_at_once_is_as_before() -> None:
    """`next_few` of one asks what `next` asks."""
    slots = [("A", 7.0, 1.0), ("B", 3.0, 1.0), ("C", None, 1.0), ("D", None, 2.0)]
    one, other = (Schedule([Slot(*slot) for slot in slots], 0.0) for _ in range(2))
    for i in range(200):
        slot, _wait_s = one.next(i * 0.02)
        assert few(other, i * 0.02, 1) == [slot.name]


def test_weights_hold_in_questions_for_several() -> None:
    """A PID of twice the weight is asked twice as often, alone every other time."""
    schedule = Schedule([Slot("A", None, 2.0), Slot("B", None), Slot("C", None)], 0.0)
    counts = Counter(name for i in range(300) for name in few(schedule, i * 0.01, 6))
    assert counts["A"] == pytest.approx(2 * counts["B"], abs=2)
    assert counts["B"] == pytest.approx(counts["C"], abs=1)
    assert counts["A"] == 300


def test_free_ones_fill_a_question() -> None:
    """What is due leaves room: those without a rate come along."""
    schedule = Schedule([Slot("A", 1.0), Slot("B", None), Slot("C", None)], 0.0)
    assert few(schedule, 0.0, 6) == ["A", "B", "C"]
    assert few(schedule, 0.01, 6) == ["B", "C"]
    assert few(schedule, 1.0, 2)[0] == "A"
