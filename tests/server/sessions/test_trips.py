"""Trips: found from readings, and found again."""

from __future__ import annotations

import random

import asyncpg
import pytest

from server.clock import SystemClock
from server.history.wanted import Wanted
from server.readings import Reading, State
from server.sessions.drive import FUEL_RATE, GPS_SPEED, MAF, RPM, SPEED, read_drive
from server.sessions.trips import STOP_NS, Trip, list_trips, refresh
from sim.vehicle import FOCUS_ST, Accelerate, Cruise, Drive, Idle, Vehicle
from tests.server.history.stored import S, reading, seal, store

NOW_NS = 1_800_000_000 * S
LAT, LON = 1001, 1002


def drive(start_s: int, length_s: int, kmh: float, signal: int = SPEED) -> list[Reading]:
    """A car that stands for a minute, drives at one speed, stands for a minute."""
    made = []
    for second in range(-60, length_s + 60):
        moving = 0 <= second < length_s
        time_ns = NOW_NS + (start_s + second) * S
        made.append(reading(signal, time_ns, kmh if moving else 0.0))
        made.append(reading(LAT, time_ns, 52.0 + max(0, min(second, length_s)) * 1e-5))
        made.append(reading(LON, time_ns, 13.0))
    return made


async def found(connection: asyncpg.Connection, after_s: int, device: str = "car-1") -> list[Trip]:
    """Give a device's trips as seen so long after the beginning, oldest first."""
    now_ns = NOW_NS + after_s * S
    await refresh(connection, device, SystemClock().now_ns())
    return (await list_trips(connection, now_ns, devices=frozenset({device})))[::-1]


async def test_trips_are_found(connection: asyncpg.Connection, database_url: str) -> None:
    """A stop of more than five minutes parts two trips; a shorter one does not."""
    made = drive(0, 600, 36.0) + drive(600 + 200, 100, 72.0) + drive(900 + 400, 300, 36.0)
    await store(database_url, "car-1", 1, made, size=500)
    first, second = await found(connection, 1700)
    assert (first.start_ns, first.end_ns) == (NOW_NS, NOW_NS + 899 * S)
    assert first.distance_m == pytest.approx(600 * 10 + 100 * 20, rel=0.01)
    assert (first.moving_s, first.max_kmh) == (pytest.approx(700, abs=3), 72.0)
    assert first.average_kmh == pytest.approx(8000 / 700 * 3.6, rel=0.01)
    assert (first.start_lat, first.start_lon) == (52.0, 13.0)
    assert first.end_lat == pytest.approx(52.001, abs=1e-5)
    assert first.is_over
    assert not second.is_over
    assert (await found(connection, 1900))[1].is_over


async def test_only_what_is_new_is_looked_at(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """A trip grows with its readings and keeps its number; compaction changes nothing; late
    readings close a gap; from the beginning it is all the same."""
    made = drive(0, 300, 36.0)
    await store(database_url, "car-1", 1, made[: len(made) // 2], size=500)
    (half,) = await found(connection, 150)
    await store(database_url, "car-1", 1, made[len(made) // 2 :], size=500, first=10_000)
    (whole,) = await found(connection, 400)
    assert (whole.id, whole.start_ns) == (half.id, half.start_ns)
    assert whole.distance_m == pytest.approx(3000, rel=0.01)
    assert half.distance_m < 2000
    await seal(database_url)
    assert await found(connection, 400) == [whole]
    await store(database_url, "car-1", 1, drive(1000, 300, 36.0), size=500, first=20_000)
    two = await found(connection, 3000)
    assert len(two) == 2
    between = [reading(SPEED, NOW_NS + s * S, 36.0) for s in range(300, 1000)]
    await store(database_url, "car-1", 1, between, size=500, first=30_000)
    (one,) = await found(connection, 3000)
    assert (one.id, one.start_ns, one.end_ns) == (whole.id, NOW_NS, NOW_NS + 1299 * S)
    await refresh(connection, "car-1", NOW_NS, whole=True)
    assert await found(connection, 3000) == [one]


async def test_two_cars_never_mix(connection: asyncpg.Connection, database_url: str) -> None:
    """Trips of two devices at the same time are each its own; a device has the vehicle of its
    boot."""
    for device, kmh in (("car-1", 36.0), ("car-2", 72.0)):
        await store(database_url, device, 1, drive(0, 600, kmh), size=500)
    await connection.execute("UPDATE sessions SET vin = 'WF0DXXGAKDEU12345' WHERE device = 'car-2'")
    (first,) = await found(connection, 3600, "car-1")
    (second,) = await found(connection, 3600, "car-2")
    assert (first.max_kmh, first.vin) == (36.0, None)
    assert (second.max_kmh, second.vin) == (72.0, "WF0DXXGAKDEU12345")
    both = await list_trips(connection, NOW_NS, vin="WF0DXXGAKDEU12345")
    assert [trip.device for trip in both] == ["car-2"]


async def test_predictions_and_a_wandering_receiver_are_no_trip(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Predicted speeds, or a receiver that stands, make no trip; a receiver that drives does."""
    held = [reading(SPEED, NOW_NS + s * S, 50.0, State.HELD) for s in range(600)]
    standing = [reading(GPS_SPEED, NOW_NS + s * S, 2.9 if s % 3 else 3.5) for s in range(20)]
    await store(database_url, "car-1", 1, held + standing, size=500)
    assert await found(connection, 3600) == []
    await store(database_url, "car-2", 1, drive(0, 100, 36.0, GPS_SPEED), size=500)
    (trip,) = await found(connection, 3600, "car-2")
    assert (trip.distance_source, trip.distance_m) == ("GPS_SPEED", pytest.approx(1000, rel=0.02))
    assert STOP_NS < 3600 * S


async def test_drive_figures(connection: asyncpg.Connection, database_url: str) -> None:
    """Way, times and fuel are integrals of what was measured; a gap counts nothing."""
    made = []
    for second in (*range(100), *range(500, 601)):
        time_ns = NOW_NS + second * S
        made.append(reading(SPEED, time_ns, 36.0))
        made.append(reading(RPM, time_ns, 2000.0 + second))
        made.append(reading(FUEL_RATE, time_ns, 7.2))
    await store(database_url, "car-1", 1, made, size=500)
    figures = await read_drive(connection, Wanted("car-1"))
    assert figures.distance_m == pytest.approx(10 * 199)
    assert (figures.distance_source, figures.fuel_source) == ("SPEED", "FUEL_RATE")
    assert (figures.covered_s, figures.moving_s, figures.engine_s) == (199, 199, 199)
    assert figures.fuel_l == pytest.approx(7.2 * 199 / 3600)
    assert figures.fuel_l_per_100km == pytest.approx(7.2 / 36 * 100)
    assert (figures.max_kmh, figures.max_rpm, figures.average_kmh) == (36.0, 2600.0, 36.0)
    air = [reading(MAF, NOW_NS + s * S, 14.7) for s in range(101)]
    await store(database_url, "car-2", 1, air, size=500)
    figures = await read_drive(connection, Wanted("car-2"))
    assert (figures.fuel_source, figures.fuel_l) == ("MAF", pytest.approx(100 / 745))
    assert (figures.distance_m, figures.average_kmh, figures.max_kmh) == (None, None, None)


async def test_way_and_fuel_are_those_of_the_world(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Of a simulated car whose speed and air are read five times a second in an ECU's steps, way
    and fuel come within a hundredth and a twentieth of what the car itself counts."""
    phases = (
        Idle("a", 20.0),
        Accelerate("b", 20.0, 70.0),
        Cruise("c", 60.0, 50.0),
        Idle("d", 20.0),
    )
    car = Vehicle(FOCUS_ST, Drive(phases), random.Random(4))
    full_pct = car.at(0.0).fuel_level_pct
    made = []
    for number in range(5 * 120):
        state = car.at(number / 5)
        time_ns = NOW_NS + number * S // 5
        made.append(reading(SPEED, time_ns, float(round(state.speed_mps * 3.6))))
        made.append(reading(MAF, time_ns, round(state.maf_gps, 2)))
    await store(database_url, "car-1", 1, made, size=500)
    figures = await read_drive(connection, Wanted("car-1"))
    assert figures.distance_m == pytest.approx(state.distance_m, rel=0.01)
    (trip,) = await found(connection, 3600)
    assert trip.distance_m == pytest.approx(state.distance_m, rel=0.01)
    burnt_pct = full_pct - state.fuel_level_pct
    assert figures.fuel_l == pytest.approx(burnt_pct / 100 * FOCUS_ST.tank_l, rel=0.05)
