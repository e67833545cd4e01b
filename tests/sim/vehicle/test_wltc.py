"""The driver and the engine on the WLTC."""

from __future__ import annotations

import pytest

from sim.drives import cycle_trace, load_cycle
from sim.vehicle import FOCUS_ST, Vehicle
from sim.vehicle.state import VehicleState
from tests.sim.vehicle.conftest import MakeCar


@pytest.fixture(scope="module")
def states(make_car: MakeCar) -> list[VehicleState]:
    """The WLTC at 10 Hz."""
    car: Vehicle = make_car(cycle_trace("wltc"))
    return [car.at(step / 10.0) for step in range(18_000)]


def test_the_driver_follows_within_2_kph(states: list[VehicleState]) -> None:
    """The speed is within 2 km/h of the trace at least 99 % of the time."""
    _, wanted = load_cycle("wltc")
    good = 0
    for state in states:
        second = int(state.t_s)
        share = state.t_s - second
        target = wanted[second] + (wanted[second + 1] - wanted[second]) * share
        good += abs(state.speed_mps * 3.6 - target) <= 2.0
    assert good / len(states) >= 0.99


def test_fuel_consumption(states: list[VehicleState]) -> None:
    """The WLTC takes 7.0 to 9.5 l/100 km."""
    last = states[-1]
    assert 7.0 <= last.fuel_used_l / last.distance_m * 1e5 <= 9.5


def test_distance(states: list[VehicleState]) -> None:
    """The way driven is the cycle's 23.27 km within 0.5 %."""
    assert states[-1].distance_m == pytest.approx(23_266.0, rel=0.005)


def test_rpm_always_fits_a_gear(states: list[VehicleState]) -> None:
    """With the clutch closed, rpm over speed is exactly the overall ratio of the gear."""
    closed = [state for state in states if state.clutch_closed]
    assert len(closed) > 10_000
    for state in closed:
        turns = state.rpm / 60.0 * FOCUS_ST.tyre_circumference_m
        assert turns / state.speed_mps == pytest.approx(
            FOCUS_ST.gear_ratios[state.gear - 1], rel=1e-9
        )
    assert {state.gear for state in closed} == {1, 2, 3, 4, 5, 6}


def test_an_open_clutch_is_brief_on_the_move(states: list[VehicleState]) -> None:
    """On the move the clutch is closed most of the time."""
    moving = [state for state in states if state.speed_mps > 5.0]
    assert sum(state.clutch_closed for state in moving) / len(moving) > 0.85


def test_the_engine_never_stalls_nor_overspeeds(states: list[VehicleState]) -> None:
    """Rpm stays between idle and a moderate drive's most."""
    assert min(state.rpm for state in states) >= 650.0
    assert max(state.rpm for state in states) <= 6800.0


def test_signals_stay_within_their_ranges(states: list[VehicleState]) -> None:
    """Every signal stays within what its PID can say."""
    for state in states:
        assert 15.0 <= state.map_kpa <= 255.0
        assert 0.0 < state.maf_gps <= 220.0
        assert 0.0 <= state.load_pct <= 100.0
        assert 0.0 <= state.pedal_pct <= 100.0
        assert 10.0 <= state.throttle_pct <= 90.0
        assert 0.0 <= state.brake_pct <= 100.0
        assert -20.0 <= state.timing_deg <= 50.0
        assert 0.8 <= state.lambda_ratio <= 1.99
        assert 12.5 <= state.battery_v <= 15.2
        assert 2000.0 <= state.rail_kpa <= 15_500.0
        assert 80.0 <= state.coolant_c <= 105.0
        assert state.boost_kpa == pytest.approx(state.map_kpa - state.baro_kpa)


def test_air_and_fuel_belong_together(states: list[VehicleState]) -> None:
    """Fuel flow is air flow over the mixture, unless the fuel is cut in overrun."""
    spec = FOCUS_ST.engine
    on_grid = [state for state in states if not state.fuel_cut and state.engine_on]
    differing = 0
    for state in on_grid:
        fuel_gps = state.maf_gps / (spec.air_fuel_ratio * state.lambda_ratio)
        lph = fuel_gps * 3.6 / spec.fuel_density_kg_l
        differing += abs(lph - state.fuel_rate_lph) > 0.01 * lph
    assert differing < 0.02 * len(on_grid)  # a cut that begins within a grid step is interpolated


def test_fuel_is_cut_in_overrun(states: list[VehicleState]) -> None:
    """Lifting off at speed cuts the fuel, and then the engine brakes."""
    cut = [state for state in states if state.fuel_cut]
    assert len(cut) > 500
    assert all(state.torque_nm < 5.0 for state in cut)
    assert min(state.fuel_rate_lph for state in cut) == 0.0
