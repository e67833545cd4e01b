"""Whatever the drive, the car stays a car."""

from __future__ import annotations

import math
import random
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.vehicle import (
    FOCUS_ST,
    STEP_S,
    Accelerate,
    Ambient,
    Cruise,
    Drive,
    Idle,
    KeyOff,
    Phase,
    Trace,
    Vehicle,
    VehicleState,
)

SECONDS = st.floats(0.3, 25.0)
KPH = st.floats(0.0, 250.0)
PHASES: st.SearchStrategy[Phase] = st.one_of(
    st.builds(Idle, st.just("idle"), SECONDS),
    st.builds(Cruise, st.just("cruise"), SECONDS, KPH),
    st.builds(Accelerate, st.just("pull"), SECONDS, KPH, st.floats(1.0, 100.0)),
    st.builds(KeyOff, st.just("off"), SECONDS),
    st.lists(KPH, min_size=2, max_size=20).map(
        lambda speeds: Trace("trace", tuple(float(i) for i in range(len(speeds))), tuple(speeds))
    ),
)


def _check(state: VehicleState) -> None:
    for field in fields(state):
        assert math.isfinite(getattr(state, field.name)), field.name
    assert 0.0 <= state.speed_mps <= 80.0
    # 0.95 g of brakes, and a hill of 15 % with some air on top
    assert -11.5 <= state.accel_mps2 <= 8.0
    assert 0.0 <= state.rpm <= FOCUS_ST.engine.cut_rpm + 400.0
    assert 0 <= state.gear <= 6
    assert 0.0 <= state.pedal_pct <= 100.0
    assert 0.0 <= state.brake_pct <= 100.0
    assert 0.0 <= state.load_pct <= 100.0
    assert 15.0 <= state.map_kpa <= 255.0
    assert state.fuel_rate_lph >= 0.0
    assert 0.8 <= state.lambda_ratio <= 1.99
    assert -60.0 <= state.intake_c <= 120.0
    assert -60.0 <= state.coolant_c <= 125.0
    assert 9.0 <= state.battery_v <= 15.2
    if state.engine_on and state.t_s > 0.0:
        assert state.rpm >= 590.0, "the engine has stalled"
    if state.clutch_closed:
        turns = state.rpm / 60.0 * FOCUS_ST.tyre_circumference_m
        ratio = FOCUS_ST.gear_ratios[state.gear - 1]
        assert turns == pytest.approx(ratio * state.speed_mps, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    phases=st.lists(PHASES, min_size=1, max_size=5),
    slope=st.floats(-0.15, 0.15),
    temperature_c=st.floats(-30.0, 45.0),
    pressure_kpa=st.floats(70.0, 105.0),
    cold=st.booleans(),
)
def test_any_drive_keeps_within_physics(
    phases: list[Phase], slope: float, temperature_c: float, pressure_kpa: float, cold: bool
) -> None:
    """No drive, hill or weather breaks a range, stalls the engine or leaves the gear's ratio."""
    car = Vehicle(
        FOCUS_ST,
        Drive(phases),
        random.Random(1),
        Ambient(temperature_c, pressure_kpa),
        temperature_c if cold else None,
        grade=lambda distance_m: slope if int(distance_m / 300.0) % 2 else -slope,
    )
    distance_m = fuel_l = 0.0
    for step in range(int(car.drive.duration_s / STEP_S) + 40):
        state = car.at(step * STEP_S + 0.013)
        _check(state)
        assert state.distance_m >= distance_m
        assert state.fuel_used_l >= fuel_l
        distance_m, fuel_l = state.distance_m, state.fuel_used_l
