"""The engine alone, held at one speed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sim.vehicle import FOCUS_ST, Ambient
from sim.vehicle.engine import Engine

STEP_S = 0.05


def _run(engine: Engine, rpm: float, wanted_nm: float, seconds: float, **air: float) -> float:
    torque_nm = 0.0
    for _ in range(round(seconds / STEP_S)):
        torque_nm = engine.step(
            rpm, wanted_nm, True, air.get("intake_c", 35.0), air.get("friction", 1.0), 0.0, STEP_S
        )
    return torque_nm


@pytest.fixture
def engine() -> Engine:
    """An engine in standard air."""
    return Engine(FOCUS_ST.engine, Ambient())


@pytest.mark.parametrize("rpm", [1500.0, 2500.0, 4000.0, 6000.0])
def test_gives_the_torque_that_is_wanted(engine: Engine, rpm: float) -> None:
    """Within the curve, the torque settles on the wish."""
    assert _run(engine, rpm, 150.0, 5.0) == pytest.approx(150.0, abs=2.0)


def test_more_torque_takes_more_air_fuel_and_pressure(engine: Engine) -> None:
    """MAP, MAF and fuel rise together with torque."""
    seen = []
    for wanted_nm in (20.0, 80.0, 160.0, 240.0, 340.0):
        _run(engine, 3000.0, wanted_nm, 4.0)
        seen.append((engine.map_kpa, engine.maf_gps, engine.fuel_gps, engine.load_pct))
    for low, high in pairwise(seen):
        assert all(a < b for a, b in zip(low, high, strict=True))


def test_boost_lags_more_at_low_rpm(engine: Engine) -> None:
    """A tenth of a second of full load gives less of the boost at 1,500 rpm than at 3,500."""
    shares = []
    for rpm in (1500.0, 3500.0):
        other = Engine(FOCUS_ST.engine, Ambient())
        _run(other, rpm, 20.0, 2.0)
        _run(other, rpm, 300.0, 0.4)
        early_kpa = other.boost_ready_kpa
        _run(other, rpm, 300.0, 8.0)
        shares.append(early_kpa / other.boost_ready_kpa)
    assert shares[0] < 0.5 * shares[1]


def test_overboost_lasts_15_s_and_comes_back_after_a_rest(engine: Engine) -> None:
    """Overboost ends after 15 s of full load, and a rest grants it again."""
    granted = [engine.full_torque_nm(3500.0, 1.0, 999.0, STEP_S) for _ in range(400)]
    assert granted[:299] == [pytest.approx(340.0 * 1.074)] * 299
    assert granted[301:] == [pytest.approx(340.0)] * 99
    assert not engine.overboost
    for _ in range(80):  # 4 s: too short
        engine.full_torque_nm(3500.0, 0.2, 999.0, STEP_S)
    assert engine.full_torque_nm(3500.0, 1.0, 999.0, STEP_S) == pytest.approx(340.0)
    for _ in range(40):
        engine.full_torque_nm(3500.0, 0.2, 999.0, STEP_S)
    assert engine.full_torque_nm(3500.0, 1.0, 999.0, STEP_S) > 360.0
    assert engine.overboost


@pytest.mark.parametrize(("rpm", "pedal", "limit_nm"), [
    (2900.0, 1.0, 999.0), (4600.0, 1.0, 999.0), (3500.0, 0.8, 999.0), (3500.0, 1.0, 200.0),
])  # fmt: skip
def test_no_overboost_outside_its_conditions(
    engine: Engine, rpm: float, pedal: float, limit_nm: float
) -> None:
    """Overboost needs its rpm band, the pedal down, and tyres that take the torque."""
    engine.full_torque_nm(rpm, pedal, limit_nm, STEP_S)
    assert not engine.overboost


def test_fuel_cut_makes_drag(engine: Engine) -> None:
    """Without fuel the torque is negative, more so at higher rpm, and the probe reads lean."""
    drags = []
    for rpm in (1500.0, 5000.0):
        for _ in range(40):
            torque_nm = engine.step(rpm, 0.0, False, 30.0, 1.0, 0.0, STEP_S)
        drags.append(torque_nm)
    assert drags[1] < drags[0] < -20.0
    assert engine.fuel_gps == 0.0
    assert engine.lambda_ratio > 1.9


def test_full_load_at_high_rpm_is_rich(engine: Engine) -> None:
    """Enrichment begins at high load and rpm and nowhere else."""
    _run(engine, 5500.0, 319.0, 4.0)
    assert engine.lambda_ratio == pytest.approx(0.87, abs=0.02)
    stoichiometric_gps = engine.maf_gps / FOCUS_ST.engine.air_fuel_ratio
    assert engine.fuel_gps == pytest.approx(stoichiometric_gps / engine.lambda_ratio)
    _run(engine, 2500.0, 100.0, 4.0)
    assert engine.lambda_ratio == 1.0


def test_hot_intake_air_costs_spark(engine: Engine) -> None:
    """Heat soak retards the spark and raises the pressure that the same torque needs."""
    _run(engine, 3500.0, 320.0, 4.0)
    cool = (engine.timing_deg, engine.map_kpa)
    _run(engine, 3500.0, 320.0, 4.0, intake_c=70.0)
    assert engine.timing_deg < cool[0]
    assert engine.map_kpa > cool[1]


def test_cold_oil_costs_fuel(engine: Engine) -> None:
    """Twice the friction takes more fuel for the same torque."""
    _run(engine, 2000.0, 50.0, 4.0)
    warm_gps = engine.fuel_gps
    _run(engine, 2000.0, 50.0, 4.0, friction=2.0)
    assert engine.fuel_gps > 1.1 * warm_gps


def test_specific_consumption_is_plausible(engine: Engine) -> None:
    """The best point takes 230 to 275 g/kWh; a fifth of the load takes clearly more."""

    def grams_per_kwh(rpm: float, wanted_nm: float) -> float:
        torque_nm = _run(engine, rpm, wanted_nm, 6.0)
        return engine.fuel_gps * 3600.0 / (torque_nm * rpm * 0.10472 / 1000.0)

    best = grams_per_kwh(2500.0, 200.0)
    assert 230.0 < best < 275.0
    assert grams_per_kwh(2500.0, 40.0) > 1.3 * best
