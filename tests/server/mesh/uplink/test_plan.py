"""The plan of an uplink: sensors' steps, rates, bounds, alarms, profiles."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from firmware_stubs import signals as firmware
from server.catalogue import by_name
from server.ingest.rows import check_profile
from server.mesh.uplink.plan import (
    DEFAULT_RATES_HZ,
    POSITION,
    Alarm,
    PlanError,
    UplinkSettings,
    lattice,
    plan_of,
)
from server.wire.codec.profile import Profile, SignalPlan


@pytest.mark.parametrize("name", firmware.names())
def test_steps_are_those_that_the_firmware_has(name: str) -> None:
    """A value is the same whole number of the same steps, whichever device has sampled it."""
    theirs = firmware.by_name(name)
    assert theirs is not None
    step, offset = lattice(by_name(name))
    assert step == Fraction(theirs.scale_num, theirs.scale_den)
    assert ((offset - theirs.offset) / step).denominator == 1
    (plan,) = plan_of({name: 1.0}, None, 1.0)
    low, high = (
        steps * Fraction(plan.scale_num, plan.scale_den)
        + Fraction(plan.offset_num, plan.offset_den)
        for steps in (plan.minimum, plan.maximum)
    )
    theirs_low = theirs.minimum * step + theirs.offset
    assert (low, abs(high - theirs.maximum * step - theirs.offset) <= 1000 * step) == (
        theirs_low,
        True,
    )


def test_the_default_plan_can_be_packed() -> None:
    """Fourteen signals, the position among them, that a gateway takes."""
    settings = UplinkSettings.of(profile="none")
    assert [signal.divider for signal in settings.profile.signals].count(1) == 10
    assert {signal.id for signal in settings.profile.signals} == {
        by_name(name).id for name in DEFAULT_RATES_HZ
    }
    assert settings.first == {by_name(name).id for name in POSITION}
    check_profile(settings.profile)


def test_rates_become_dividers_of_the_period() -> None:
    """0.1 Hz on a grid of 0.5 s is each twentieth row; faster than the grid is each row."""
    plan = plan_of({"RPM": 5.0, "OIL_TEMP": 0.1, "SPEED": 1.0}, None, 0.5)
    assert {signal.id: signal.divider for signal in plan} == {
        by_name("RPM").id: 1,
        by_name("OIL_TEMP").id: 20,
        by_name("SPEED").id: 2,
    }


def test_bounds_are_in_the_signals_unit() -> None:
    """10 rpm are forty steps; what is less than a step is exact."""
    plan = plan_of({"RPM": 1.0, "SPEED": 1.0}, {"RPM": 10.0, "SPEED": 0.9}, 1.0)
    assert [signal.bound for signal in plan] == [40, 0]


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        ({"rates_hz": {"RPMS": 1.0}}, "signals", "did you mean RPM"),
        ({"rates_hz": {}}, "signals", "1 to 64"),
        ({"rates_hz": {"RPM": 0.0}}, "signals", "above 0"),
        ({"rates_hz": {"RPM": 1e-6}}, "signals", "at least once"),
        ({"bounds": {"MAF": 1.0}}, "bounds", "MAF"),
        ({"bounds": {"RPM": -1.0}}, "bounds", "RPM"),
        ({"alarms": ["RPM >"]}, "alarms", "SIGNAL > NUMBER"),
        ({"alarms": ["RPM > much"]}, "alarms", "a number after >"),
        ({"alarms": ["RPM > nan"]}, "alarms", "a number after >"),
        ({"alarms": ["OIL_TEMP > 130"]}, "alarms", "among the signals"),
        ({"profile": "no_such_profile"}, "profile", "no_such_profile"),
        ({"profile": "focus_st"}, "profile", "a period of 100 ms"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, object], key: str, said: str) -> None:
    """A refusal names the setting, what was expected and what was found."""
    with pytest.raises(PlanError) as refused:
        UplinkSettings.of(**settings)  # type: ignore[arg-type]
    assert refused.value.key == key
    assert said in str(refused.value)


def test_a_profile_of_another_plan_is_refused(tmp_path: Path) -> None:
    """Signals, rates and bounds must be those that it was trained for; the file says which."""
    plan = plan_of({"RPM": 1.0, "SPEED": 1.0}, {"RPM": 10.0}, 1.0)
    file = tmp_path / "car.profile"
    file.write_bytes(Profile.cold(1000, plan).to_bytes())
    rates = {"RPM": 1.0, "SPEED": 1.0}
    taken = UplinkSettings.of(rates_hz=rates, bounds={"RPM": 10.0}, profile=file)
    assert taken.is_trained
    for other in ({"RPM": 1.0}, {"RPM": 0.5, "SPEED": 1.0}, rates):
        with pytest.raises(PlanError, match="trained for these"):
            UplinkSettings.of(rates_hz=other, profile=file)
    file.write_bytes(b"TRP1 and then nothing")
    with pytest.raises(PlanError, match="a profile of the codec"):
        UplinkSettings.of(rates_hz=rates, profile=str(file))


def test_the_shipped_profile_of_a_plan_is_found_by_itself() -> None:
    """The default plan has a trained profile; the same plan with another bound has none."""
    settings = UplinkSettings.of()
    assert settings.is_trained
    assert settings.profile.hash == UplinkSettings.of(profile="focus_st_mesh").profile.hash
    assert not UplinkSettings.of(bounds={"RPM": 10.0}).is_trained
    assert not UplinkSettings.of(profile="none").is_trained


@pytest.mark.parametrize(
    ("text", "true", "false"),
    [("RPM > 5", 5.25, 5.0), ("RPM>=5", 5.0, 4.75), ("RPM < 5", 4.0, 5.0), ("RPM == 5", 5.0, 6.0)],
)
def test_a_condition_holds_or_not(text: str, true: float, false: float) -> None:
    """Comparisons are those that they look like."""
    alarm = Alarm.parse(text)
    assert alarm.holds(true)
    assert not alarm.holds(false)


def test_signals_of_alarms_go_first() -> None:
    """An alarm's signal is never left out before the position."""
    settings = UplinkSettings.of(alarms=["COOLANT_TEMP > 115"])
    assert by_name("COOLANT_TEMP").id in settings.first
    assert isinstance(settings.profile.signals[0], SignalPlan)
