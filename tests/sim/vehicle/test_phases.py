"""What each phase makes the car do."""

from __future__ import annotations

import pytest

from sim.vehicle import Accelerate, Ambient, Cruise, Idle, KeyOff, Trace
from tests.sim.vehicle.conftest import MakeCar


def test_idle_stands_with_the_engine_running(make_car: MakeCar) -> None:
    """A warm car idles at 700-850 rpm, in vacuum, on little fuel."""
    car = make_car(Idle("idle", 60.0))
    states = [car.at(0.5 * step) for step in range(120)]
    assert all(state.speed_mps == 0.0 and state.gear == 0 for state in states)
    assert all(700.0 <= state.rpm <= 850.0 for state in states)
    assert all(25.0 <= state.map_kpa <= 40.0 for state in states)
    assert all(0.6 <= state.fuel_rate_lph <= 1.2 for state in states)
    assert len({round(state.rpm, 1) for state in states}) > 50, "an idle hunts a little"


def test_cruise_goes_there_and_holds(make_car: MakeCar) -> None:
    """A cruise reaches its speed without overshoot worth a fine and holds it within 0.5 km/h."""
    car = make_car(Cruise("cruise", 120.0, 110.0))
    speeds = [car.at(0.1 * step).speed_mps * 3.6 for step in range(1200)]
    assert max(speeds) < 112.5
    assert all(abs(speed - 110.0) < 0.5 for speed in speeds[600:])


def test_cruise_holds_on_a_hill(make_car: MakeCar) -> None:
    """Uphill and downhill the speed is held, with throttle or with brakes."""
    car = make_car(
        Cruise("cruise", 200.0, 80.0),
        grade=lambda distance_m: 0.06 if distance_m < 2500.0 else -0.08,
    )
    up, down = car.at(80.0), car.at(180.0)
    assert up.grade == pytest.approx(0.06)
    assert down.grade == pytest.approx(-0.08)
    assert up.speed_mps * 3.6 == pytest.approx(80.0, abs=1.0)
    assert down.speed_mps * 3.6 == pytest.approx(80.0, abs=1.0)
    assert up.fuel_rate_lph > 8.0
    assert down.fuel_rate_lph < 1.0
    assert down.brake_pct > 0.0


def test_cruise_brakes_down_to_a_lower_speed(make_car: MakeCar) -> None:
    """A slower cruise after a faster one brakes at an everyday pace."""
    car = make_car(Cruise("fast", 60.0, 120.0), Cruise("slow", 60.0, 50.0))
    hardest = min(car.at(60.0 + 0.1 * step).accel_mps2 for step in range(300))
    assert -2.6 < hardest < -1.2
    assert car.at(110.0).speed_mps * 3.6 == pytest.approx(50.0, abs=0.5)


def test_accelerate_holds_what_it_reached(make_car: MakeCar) -> None:
    """After the target the driver holds it for the rest of the phase."""
    car = make_car(Idle("idle", 2.0), Accelerate("pull", 40.0, 100.0))
    assert car.at(6.0).pedal_pct == 100.0
    speeds = [car.at(12.0 + 0.1 * step).speed_mps * 3.6 for step in range(290)]
    assert max(speeds) < 103.0
    assert speeds[-1] == pytest.approx(100.0, abs=0.5)


def test_accelerate_with_less_pedal_is_slower(make_car: MakeCar) -> None:
    """Half the pedal takes longer to 80 km/h than all of it, and shifts up earlier."""
    half = make_car(Accelerate("pull", 60.0, 80.0, pedal_pct=50.0))
    full = make_car(Accelerate("pull", 60.0, 80.0))

    def reached_s(car: object) -> float:
        at = car.at  # type: ignore[attr-defined]
        return next(t / 20 for t in range(1200) if at(t / 20).speed_mps * 3.6 >= 79.0)

    assert reached_s(half) > reached_s(full) + 0.5
    assert max(half.at(t / 20).rpm for t in range(900, 1200)) < 6000.0


def test_idle_after_driving_brakes_to_a_stop(make_car: MakeCar) -> None:
    """Idle at speed means: brake, stop, stand."""
    car = make_car(Cruise("on", 40.0, 60.0), Idle("idle", 30.0))
    assert car.at(45.0).brake_pct > 3.0
    state = car.at(69.0)
    assert state.speed_mps == 0.0
    assert state.engine_on


def test_key_off_stops_the_engine_and_on_starts_it(make_car: MakeCar) -> None:
    """Key off: no rpm, no fuel, MAP at ambient. Then: starter, voltage dip, run time from 0."""
    car = make_car(Cruise("on", 20.0, 30.0), KeyOff("off", 20.0), Idle("again", 20.0))
    off = car.at(38.0)
    assert not off.engine_on
    assert (off.rpm, off.fuel_rate_lph, off.maf_gps, off.run_time_s) == (0.0, 0.0, 0.0, 0.0)
    assert off.map_kpa == pytest.approx(off.baro_kpa)
    assert off.battery_v < 13.8
    cranking = car.at(40.5)
    assert not cranking.engine_on
    assert 100.0 < cranking.rpm < 300.0
    assert cranking.battery_v < 11.0
    running = car.at(55.0)
    assert running.engine_on
    assert running.run_time_s == pytest.approx(55.0 - 40.8, abs=0.3)
    assert running.battery_v > 13.5


def test_a_drive_may_begin_with_the_key_off(make_car: MakeCar) -> None:
    """A car that begins with the key off stands dead until the next phase."""
    car = make_car(KeyOff("off", 5.0), Idle("idle", 10.0), coolant_c=5.0)
    assert not car.at(4.0).engine_on
    assert car.at(12.0).engine_on


def test_a_trace_that_starts_at_speed_is_caught_up(make_car: MakeCar) -> None:
    """A trace that begins at 50 km/h is approached from rest and then followed."""
    car = make_car(Trace("trace", (0.0, 60.0), (50.0, 50.0)))
    assert car.at(0.5).speed_mps * 3.6 < 20.0
    assert car.at(20.0).speed_mps * 3.6 == pytest.approx(50.0, abs=1.0)


def test_a_noisy_10_hz_trace_is_driven_smoothly(make_car: MakeCar) -> None:
    """Steps of 1 km/h at 10 Hz, as OBD gives them, do not make the driver pump the pedal."""
    times_s = tuple(step / 10.0 for step in range(900))
    speeds = tuple(60.0 + (step % 2) for step in range(900))
    car = make_car(Trace("trace", times_s, speeds))
    pedals = [car.at(40.0 + 0.1 * step).pedal_pct for step in range(400)]
    assert max(pedals) - min(pedals) < 8.0


def test_the_drive_goes_on_after_its_end(make_car: MakeCar) -> None:
    """Asked past its end, the driver goes on as in the last phase."""
    car = make_car(Cruise("on", 30.0, 70.0))
    assert car.at(60.0).speed_mps * 3.6 == pytest.approx(70.0, abs=0.5)


def test_a_cold_engine_idles_fast_and_rich_and_warms_up(make_car: MakeCar) -> None:
    """From 0 degrees: raised idle, rich at first, open loop; warm after ten minutes of driving."""
    car = make_car(Idle("idle", 20.0), Cruise("on", 600.0, 80.0), coolant_c=0.0)
    start, begun, warm = car.at(0.5), car.at(15.0), car.at(600.0)
    assert start.coolant_c == pytest.approx(0.0, abs=0.5)
    assert begun.rpm > 1050.0
    assert start.lambda_ratio < 0.97
    assert not start.closed_loop
    assert warm.closed_loop
    assert 80.0 < warm.coolant_c < 95.0
    assert 60.0 < warm.oil_c < 100.0
    assert begun.fuel_rate_lph > 1.3


def test_heat_soak_at_rest(make_car: MakeCar) -> None:
    """Standing behind a warm radiator heats the charge air; driving cools it."""
    car = make_car(Idle("idle", 600.0), Cruise("on", 120.0, 100.0))
    soaked, moving = car.at(599.0), car.at(715.0)
    assert soaked.intake_c > 35.0
    assert moving.intake_c < 28.0


def test_thin_air_means_less_manifold_pressure_at_full_throttle(make_car: MakeCar) -> None:
    """The barometer reaches the state, and air resistance follows the density."""
    low = make_car(Cruise("on", 90.0, 120.0))
    high = make_car(Cruise("on", 90.0, 120.0), ambient=Ambient(20.0, 80.0))
    assert high.at(85.0).baro_kpa == 80.0
    assert high.at(85.0).torque_nm < low.at(85.0).torque_nm
