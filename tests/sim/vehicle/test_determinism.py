"""The same seed gives the same car, whoever asks and whenever."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.vehicle import (
    FOCUS_ST,
    STEP_S,
    Accelerate,
    Cruise,
    Drive,
    Idle,
    KeyOff,
    Vehicle,
)
from tests.sim.vehicle.conftest import MakeCar

PHASES = (Idle("idle", 3.0), Accelerate("pull", 8.0, 90.0), Cruise("on", 9.0, 40.0), KeyOff("x", 5))


def _car(seed: int = 7) -> Vehicle:
    return Vehicle(FOCUS_ST, Drive(PHASES), random.Random(seed))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, 15.0), min_size=1, max_size=30))
def test_the_answer_depends_on_the_instant_alone(instants: list[float]) -> None:
    """Any set of rising instants gives the states that one dense run gives, bit for bit."""
    dense = _car()
    for step in range(1000):
        dense.at(step * 0.0173)
    sparse = _car()
    for instant in sorted(instants):
        assert sparse.at(instant) == dense.at(instant)


def test_two_cars_of_one_seed_are_equal() -> None:
    """Two runs of one seed agree in every bit."""
    one, two = _car(), _car()
    assert [one.at(step * 0.1) for step in range(250)] == [
        two.at(step * 0.1) for step in range(250)
    ]


def test_another_seed_differs() -> None:
    """The seed reaches the noise: idle and voltage differ."""
    one, two = _car(7).at(2.0), _car(8).at(2.0)
    assert one.rpm != two.rpm
    assert one.battery_v != two.battery_v


def test_values_are_continuous_between_grid_instants() -> None:
    """Just before and just after a grid instant, speed, distance and rpm are the same."""
    car = _car()
    for step in range(1, 400):
        grid_s = step * STEP_S
        before, after = car.at(grid_s - 1e-7), car.at(grid_s + 1e-7)
        assert after.speed_mps == pytest.approx(before.speed_mps, abs=1e-5)
        assert after.distance_m == pytest.approx(before.distance_m, abs=1e-4)
        assert after.rpm == pytest.approx(before.rpm, abs=0.1)


def test_distance_is_the_integral_of_speed() -> None:
    """Speed times a short time is the way, also within a grid step."""
    car = _car()
    for step in range(300, 1500):
        left, right = car.at(step * 0.01), car.at((step + 1) * 0.01)
        way_m = 0.5 * (left.speed_mps + right.speed_mps) * 0.01
        assert right.distance_m - left.distance_m == pytest.approx(way_m, abs=2e-3)


def test_a_recent_instant_may_be_asked_again(make_car: MakeCar) -> None:
    """A device that samples a little late gets the state of its own instant."""
    car = make_car(*PHASES)
    early = car.at(4.0)
    car.at(15.0)
    assert car.at(4.0) == early


@pytest.mark.parametrize("instant", [-0.1, float("nan"), float("inf")])
def test_an_impossible_instant_is_refused(make_car: MakeCar, instant: float) -> None:
    """An instant before 0, or none at all, is named in the error."""
    with pytest.raises(ValueError, match="expected an instant"):
        make_car(*PHASES).at(instant)


def test_an_instant_too_far_back_is_refused(make_car: MakeCar) -> None:
    """Only the last 20 s are kept, and the error says so."""
    car = make_car(*PHASES)
    car.at(60.0)
    with pytest.raises(ValueError, match="last 20 s"):
        car.at(10.0)
