"""From wished rates and bounds to the grid."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs import plan, signals
from firmware_stubs.plan import Plan, PlanError
from rig.scenario.model import DEFAULT_PLAN_HZ


def test_the_default_plan_has_the_rates_of_the_rig_and_the_receivers() -> None:
    """All 13 signals of the rig's plan come at exactly its rates, positions each second."""
    rates = Plan({}).rates()
    gnss = {name: hz for name, hz in rates.items() if name not in DEFAULT_PLAN_HZ}
    assert {name: rates[name] for name in DEFAULT_PLAN_HZ} == DEFAULT_PLAN_HZ
    assert gnss == {"LAT": 1, "LON": 1, "ALT": 1, "GPS_SPEED": 1, "GPS_HEADING": 1}


def test_signals_of_one_divider_share_a_phase_and_other_groups_have_another() -> None:
    """What is asked equally often is asked in one request; slow groups do not meet in one row."""
    made = Plan({})
    assert made.period_ms == 100
    phases: dict[int, set[int]] = {}
    for source, signal in zip(made.sources, made.signals, strict=True):
        if source.id < signals.GNSS_FIRST:
            phases.setdefault(signal.divider, set()).add(signal.phase)
        else:
            assert signal.phase == 0
    assert all(len(group) == 1 for group in phases.values())
    assert len(set().union(*phases.values())) == len(phases)


def test_more_than_six_pids_of_one_rate_are_spread_over_rows() -> None:
    """A row never asks for more than six PIDs of one divider while there are free phases."""
    names = [name for name in signals.names() if name not in ("LAT", "LON")][:15]
    made = Plan({"rates": dict.fromkeys(names, 1) | {"RPM": 10}})
    for row in range(10):
        due = [s for s in made.signals if s.divider == 10 and row % 10 == s.phase]
        assert len(due) <= plan.PIDS_PER_REQUEST


def test_bounds_become_whole_steps() -> None:
    """A bound in units is cut to steps of the sensor: never more than was allowed."""
    made = Plan({"bounds": {"RPM": 10.2, "COOLANT_TEMP": 0.9}})
    bounds = {a.name: b.bound for a, b in zip(made.sources, made.signals, strict=True)}
    assert bounds["RPM"] == 40
    assert bounds["COOLANT_TEMP"] == 0
    assert bounds["SPEED"] == 0


@given(st.dictionaries(st.sampled_from(signals.names()), st.floats(0.01, 20), min_size=1))
def test_any_rates_in_range_make_a_plan_near_them(rates: dict[str, float]) -> None:
    """Whatever is wished for, the grid is made of whole rows and the profile can be built."""
    made = Plan({"rates": rates})
    assert made.period_ms >= 50
    assert made.profile(None).period_ms == made.period_ms
    for name, hz in made.rates().items():
        step_ms = 50 if max(rates.values()) > 10 else 100
        assert abs(1000 / hz - 1000 / rates[name]) <= step_ms / 2 + 1


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"rates": {"RPMS": 1}}, "no signal is named RPMS"),
        ({"rates": {"RPM": 21}}, "RPM: a rate above 0, to 20 Hz, expected"),
        ({"rates": {"RPM": -1}}, "RPM: a rate above 0"),
        ({"rates": {"RPM": 1e-9}}, "RPM: a rate above 0"),
        ({"rates": {"RPM": "5"}}, "rates.RPM: a number expected"),
        ({"rates": {"RPM": True}}, "rates.RPM: a number expected"),
        ({"rates": [1]}, "rates: an object expected"),
        ({"bounds": {"RPM": -1}}, "bounds.RPM: 0 to the signal's range expected"),
        ({"bounds": {"RPM": 1e9}}, "bounds.RPM: 0 to the signal's range expected"),
        ({"bounds": {"RPMS": 1}}, "no signal is named RPMS"),
        ({"flush_ms": 10}, "flush_ms: 1000 to 600000 expected"),
        ({"flush_ms": None}, "flush_ms: 1000 to 600000 expected"),
        ({"rates": dict.fromkeys(signals.names(), 1)}, "at most 48 signals expected"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_the_reason(
    wish: dict[str, object], reason: str
) -> None:
    """The text names the key and what was expected."""
    with pytest.raises(PlanError, match=reason):
        Plan(wish)


def test_a_rate_of_zero_takes_a_signal_out_and_the_last_one_stays() -> None:
    """Changes apply to the plan in force, the default one included."""
    wish = plan.changed({}, "rates", {"RPM": 0, "FUEL_RATE": 2})
    rates = Plan(wish).rates()
    assert "RPM" not in rates
    assert rates["FUEL_RATE"] == 2
    assert rates["SPEED"] == 5
    with pytest.raises(PlanError, match="at least one signal"):
        plan.changed({"rates": {"RPM": 1}}, "rates", {"RPM": 0})


def test_a_trained_profile_is_used_only_for_its_own_plan() -> None:
    """A profile of another plan, or damaged bytes, give the cold profile."""
    made, other = Plan({}), Plan({"rates": {"RPM": 5}})
    trained = made.profile(None)
    trained.checks, trained.values = bytes(range(8)), array("b", range(8))
    data = trained.to_bytes()
    assert made.profile(data).hash == trained.hash
    assert made.profile(data).hash != made.profile(None).hash
    assert other.profile(data).hash == other.profile(None).hash
    assert made.profile(data[:50]).hash == made.profile(None).hash
