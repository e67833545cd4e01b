"""The constants hang together."""

from __future__ import annotations

import math

import pytest

from sim.vehicle import FOCUS_ST, VEHICLES, Ambient
from sim.vehicle.curve import read, tabulate

# 49 CFR 565.15: values of letters, weights of places
LETTERS = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789", strict=True))
WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def test_the_vin_checks() -> None:
    """The VIN has 17 characters and its check digit is right."""
    vin = FOCUS_ST.vin
    assert len(vin) == 17
    total = sum(int(LETTERS.get(char, char)) * w for char, w in zip(vin, WEIGHTS, strict=True))
    assert vin[8] == "0123456789X"[total % 11]


def test_power_and_torque_are_the_published_ones() -> None:
    """184 kW at 5,500 rpm, a plateau of 340 Nm, 365 Nm in overboost."""
    table = tabulate(FOCUS_ST.engine.torque_nm)
    assert read(table, 5500.0) * 5500.0 * math.pi / 30_000.0 == pytest.approx(184.0, abs=0.5)
    powers = [read(table, rpm) * rpm for rpm in range(1000, 6800, 50)]
    assert max(powers) * math.pi / 30_000.0 < 187.0
    assert read(table, 3000.0) == 340.0
    assert read(table, 3000.0) * FOCUS_ST.engine.overboost_factor == pytest.approx(365.0, abs=1.0)


def test_gear_speeds_at_the_redline() -> None:
    """60, 100, 147, 189 and 237 km/h at 6,500 rpm in the gears 1 to 5."""
    kph = [
        6500.0 / 60.0 * FOCUS_ST.tyre_circumference_m / ratio * 3.6
        for ratio in FOCUS_ST.gear_ratios[:5]
    ]
    assert kph == pytest.approx([60.0, 100.0, 147.0, 189.0, 237.0], abs=1.0)


def test_indicated_efficiency_is_that_of_a_petrol_engine() -> None:
    """Torque per air and the fuel's heat give an efficiency of 36 to 40 %."""
    spec = FOCUS_ST.engine
    heat = spec.fuel_lhv_j_kg / spec.air_fuel_ratio / (4.0 * math.pi)
    assert 0.36 < spec.torque_per_air_nm_kg / heat < 0.40


def test_the_car_has_a_name() -> None:
    """Scenarios find the car by its short name."""
    assert VEHICLES["focus_st"] is FOCUS_ST


def test_curves_are_linear_between_points_and_flat_beyond() -> None:
    """A tabulated curve reads back its points."""
    table = tabulate([(1000.0, 10.0), (2000.0, 30.0)])
    assert [read(table, rpm) for rpm in (0.0, 1000.0, 1525.0, 2000.0, 7999.0)] == pytest.approx(
        [10.0, 10.0, 20.5, 30.0, 30.0]
    )
    with pytest.raises(ValueError, match="rising rpm"):
        tabulate([(2000.0, 1.0), (1000.0, 2.0)])
    with pytest.raises(ValueError, match="at least 2 points"):
        tabulate([(2000.0, 1.0)])


@pytest.mark.parametrize(("temperature_c", "pressure_kpa"), [(-61.0, 100.0), (20.0, 30.0)])
def test_impossible_air_is_refused(temperature_c: float, pressure_kpa: float) -> None:
    """The ambient must be one a car can stand in."""
    with pytest.raises(ValueError, match="expected"):
        Ambient(temperature_c, pressure_kpa)
