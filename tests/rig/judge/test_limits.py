"""The judge: outcomes, margins, and what is skipped or unset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.judge.limits import Limit, Outcome, Verdict, exit_code, judge, overall


class Value(NamedTuple):
    """One measured value."""

    value: float
    unit: str


class Figures:
    """Measures that stand in a dictionary, and a list of what was asked for."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = values
        self.asked: list[tuple[str, str | None, bool]] = []

    def get(self, name: str, phase: str | None = None, except_faults: bool = False) -> Value | None:
        """Look the name up."""
        self.asked.append((name, phase, except_faults))
        return self.values.get(name)


def verdict(limit: Limit, value: float | None, unit: str = "ms", mode: str = "virtual") -> Verdict:
    """Judge one limit against one value."""
    figures = Figures({} if value is None else {limit.name: Value(value, unit)})
    return judge([limit], figures, mode=mode)[0]


LATENCY = Limit("obd.latency.p95", "ms", max=60.0, warn=50.0)
RATE = Limit("obd.rate", "/s", min=20.0, warn=22.0)


@pytest.mark.parametrize(
    ("limit", "value", "outcome", "margin", "margin_pct"),
    [
        (LATENCY, 30.0, Outcome.PASS, 30.0, 50.0),
        (LATENCY, 50.0, Outcome.PASS, 10.0, 100.0 / 6.0),
        (LATENCY, 50.1, Outcome.MARGINAL, 9.9, 16.5),
        (LATENCY, 60.0, Outcome.MARGINAL, 0.0, 0.0),
        (LATENCY, 66.0, Outcome.FAIL, -6.0, -10.0),
        (RATE, 25.0, Outcome.PASS, 5.0, 25.0),
        (RATE, 21.0, Outcome.MARGINAL, 1.0, 5.0),
        (RATE, 19.0, Outcome.FAIL, -1.0, -5.0),
        (Limit("readings.lost", "", equals=0.0), 0.0, Outcome.PASS, 0.0, None),
        (Limit("readings.lost", "", equals=0.0), 3.0, Outcome.FAIL, -3.0, None),
        (Limit("gps.outage.max", "s", min=4.0, max=10.0), 5.0, Outcome.PASS, 1.0, 25.0),
        (Limit("gps.outage.max", "s", min=4.0, max=10.0), 11.0, Outcome.FAIL, -1.0, -10.0),
    ],
)
def test_a_value_gets_its_outcome_and_margin(
    limit: Limit, value: float, outcome: Outcome, margin: float, margin_pct: float | None
) -> None:
    """The margin is the distance to the nearest bound, in the unit and in % of it."""
    found = verdict(limit, value, limit.unit)
    assert found.outcome is outcome
    assert found.margin == pytest.approx(margin)
    assert found.margin_pct == (None if margin_pct is None else pytest.approx(margin_pct))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("limit", [LATENCY, RATE, Limit("readings.lost", "", equals=0.0)])
def test_a_value_that_is_no_number_fails(limit: Limit, value: float) -> None:
    """Infinite is never a good result, not even above a minimum."""
    found = verdict(limit, value, limit.unit)
    assert found.outcome is Outcome.FAIL
    assert found.margin_pct is None


def test_an_unmeasured_limit_is_unset_and_fails() -> None:
    """What could be measured and was not has failed."""
    found = verdict(LATENCY, None)
    assert found.outcome is Outcome.UNSET
    assert exit_code([found]) == 1
    assert "not measured" in found.sentence()


def test_a_value_is_converted_to_the_limits_unit() -> None:
    """A measure may come in any unit of the dimension."""
    found = verdict(LATENCY, 0.03, "s")
    assert found.value == pytest.approx(30.0)


def test_a_value_in_a_foreign_unit_is_unset() -> None:
    """Metres cannot be judged against milliseconds, and do not pass either."""
    found = verdict(LATENCY, 1.0, "m")
    assert found.outcome is Outcome.UNSET
    assert "'m'" in found.reason


def test_a_limit_of_the_other_clock_is_skipped_with_its_reason() -> None:
    """CPU limits are not judged in virtual time, and are in paced."""
    limit = Limit("gateway.cpu", "%", max=40.0, mode="paced")
    skipped = verdict(limit, 90.0, "%")
    assert (skipped.outcome, skipped.value) == (Outcome.SKIPPED, None)
    assert "paced" in skipped.reason
    assert verdict(limit, 90.0, "%", mode="paced").outcome is Outcome.FAIL


def test_limits_that_need_the_truth_are_skipped_on_a_real_link() -> None:
    """The world knows nothing about a real receiver, but latency can still be judged."""
    limits = [
        Limit("gps.position_error.p95", "m", max=8.0),
        Limit("gps.latency.p95", "ms", max=700.0),
        Limit("obd.fidelity.max", "step", max=1.0),
    ]
    figures = Figures({limit.name: Value(0.5, limit.unit) for limit in limits})
    outcomes = [v.outcome for v in judge(limits, figures, mode="paced", real_links=["gps"])]
    assert outcomes == [Outcome.SKIPPED, Outcome.PASS, Outcome.PASS]


def test_the_measure_is_looked_up_in_the_limits_window() -> None:
    """Phase and exception go to the measures."""
    figures = Figures({})
    judge([Limit("obd.rate", "/s", min=1.0, phase="cruise", except_faults=True)], figures, mode="x")
    assert figures.asked == [("obd.rate", "cruise", True)]


def test_a_limit_without_a_bound_is_a_mistake_of_the_caller() -> None:
    """The loader refuses such a limit; code that makes one is told."""
    with pytest.raises(ValueError, match="expected min, max or equals"):
        verdict(Limit("obd.rate", "/s"), 1.0, "/s")


def test_the_overall_outcome_is_the_worst_and_nothing_judged_fails() -> None:
    """MARGINAL and SKIPPED pass; UNSET and FAIL do not; no limits at all do not either."""
    good, skipped = verdict(LATENCY, 10.0), verdict(LATENCY, None)
    marginal, bad = verdict(LATENCY, 55.0), verdict(LATENCY, 99.0)
    assert overall([good, marginal]) is Outcome.MARGINAL
    assert exit_code([good, marginal]) == 0
    assert overall([good, skipped, bad]) is Outcome.FAIL
    assert exit_code([bad]) == 1
    assert exit_code([]) == 1


def test_a_failure_says_what_broke_where_and_by_how_much() -> None:
    """The sentence has measure, window, value, bound and distance."""
    limit = Limit("obd.latency.p95", "ms", max=60.0, phase="cruise", except_faults=True)
    assert verdict(limit, 66.0).sentence() == (
        "obd.latency.p95 in cruise, except faults, is 66 ms, bound <= 60 ms, off by 6 ms"
    )


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.floats(-1e6, 1e6))
def test_a_limit_fails_exactly_beyond_its_bound(value: float, bound: float) -> None:
    """FAIL and a negative margin are one thing."""
    found = verdict(Limit("obd.latency.p95", "ms", max=bound), value)
    assert (found.outcome is Outcome.FAIL) == (value > bound)
    assert found.margin is not None
    assert (found.margin < 0) == (value > bound)
