"""What the car's signals say belongs together."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from sim.broadcast.bends import KNOT_M, Bends
from sim.broadcast.readings import READ, Reading
from sim.vehicle import FOCUS_ST, Cruise, Drive, KeyOff, Vehicle

RADIUS_M = 100.0


def _left_circle(distance_m: float) -> float:
    return (-math.degrees(distance_m / RADIUS_M)) % 360.0


@pytest.fixture(scope="module")
def in_bend() -> Reading:
    vehicle = Vehicle(FOCUS_ST, Drive([Cruise("c", 60, 72)]), random.Random(1))
    return Reading(vehicle.at(40.0), FOCUS_ST, FOCUS_ST.vin, Bends(_left_circle))


def _value(reading: Reading, name: str) -> float:
    value = READ[name](reading)
    assert value is not None
    return float(value)


def test_left_bend(in_bend: Reading) -> None:
    """In a bend to the left the left wheels are slower and everything turns left."""
    speed_kph = _value(in_bend, "VehicleSpeed")
    assert speed_kph == pytest.approx(72.0, abs=1.0)
    for axle in "FR":
        assert _value(in_bend, f"WheelSpeed{axle}L") < _value(in_bend, f"WheelSpeed{axle}R")
    mean = 0.5 * (_value(in_bend, "WheelSpeedRL") + _value(in_bend, "WheelSpeedRR"))
    assert mean == pytest.approx(speed_kph)
    speed_mps = speed_kph / 3.6
    assert _value(in_bend, "YawRate") == pytest.approx(math.degrees(speed_mps / RADIUS_M), rel=0.01)
    assert _value(in_bend, "LateralAcceleration") == pytest.approx(
        speed_mps**2 / RADIUS_M, rel=0.01
    )
    assert _value(in_bend, "SteeringWheelAngle") > 0.0
    assert _value(in_bend, "SteeringAngleRight") == 0.0
    assert _value(in_bend, "SteeringAngleMagnitude") == _value(in_bend, "SteeringWheelAngle")


def test_straight_without_a_road() -> None:
    """Without a road the four wheels turn alike and the compass is not available."""
    vehicle = Vehicle(FOCUS_ST, Drive([Cruise("c", 60, 72)]), random.Random(1))
    reading = Reading(vehicle.at(20.0), FOCUS_ST, FOCUS_ST.vin, None)
    wheels = {_value(reading, f"WheelSpeed{wheel}") for wheel in ("FL", "FR", "RL", "RR")}
    assert len(wheels) == 1
    assert READ["Compass"](reading) is None


def test_engine_speed_fits_road_speed(in_bend: Reading) -> None:
    """Engine and road speed differ by the ratio of the gear that is shown."""
    gear = int(_value(in_bend, "CurrentGear"))
    metres_per_minute = _value(in_bend, "VehicleSpeed") / 0.06
    ratio = _value(in_bend, "EngineSpeed") * FOCUS_ST.tyre_circumference_m / metres_per_minute
    assert ratio == pytest.approx(FOCUS_ST.gear_ratios[gear - 1], rel=1e-9)


def test_parked_car() -> None:
    """A parked car has its parking brake on, its ignition off and no consumption to show."""
    vehicle = Vehicle(FOCUS_ST, Drive([KeyOff("k", 10)]), random.Random(1))
    reading = Reading(vehicle.at(5.0), FOCUS_ST, FOCUS_ST.vin, None)
    assert _value(reading, "ParkingBrake") == 1
    assert _value(reading, "IgnitionStatus") == 0
    assert _value(reading, "EngineState") == 0
    assert READ["InstantConsumption"](reading) is None
    assert READ["TyrePressureFL"](reading) is None


def test_bends_are_continuous() -> None:
    """Curvature has no steps where the road's heading has them, and none at north."""
    bends = Bends(lambda distance_m: (350.0 + 30.0 * (distance_m > 95.0)) % 360.0)
    values = [bends.at(0.25 * step)[0] for step in range(1200)]
    assert max(abs(b - a) for a, b in pairwise(values)) < 0.001
    assert min(values) == pytest.approx(-math.radians(30.0) / (2 * KNOT_M))
    assert values[0] == 0.0
