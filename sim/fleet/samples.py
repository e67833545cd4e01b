"""What a vehicle's sensors say, row by row: from the vehicle's model, without bus and receiver."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

from firmware_stubs.plan import Plan
from firmware_stubs.signals import Signal
from sim.ecu.pids import PIDS
from sim.fleet.plan import is_gnss
from sim.route import COURSES, Route
from sim.vehicle import FOCUS_ST, Accelerate, Cruise, Drive, Idle, Vehicle, VehicleSpec
from sim.vehicle.drive import Phase
from sim.vehicle.state import VehicleState

MPS_TO_KPH = 3.6
COURSE = "highway"
_GNSS: Mapping[str, Callable[[VehicleState, tuple[float, float, float], float], float]] = {
    "LAT": lambda _state, place, _heading: place[0],
    "LON": lambda _state, place, _heading: place[1],
    "ALT": lambda _state, place, _heading: place[2],
    "GPS_SPEED": lambda state, _place, _heading: state.speed_mps * MPS_TO_KPH,
    "GPS_HEADING": lambda _state, _place, heading: heading % 360.0,
}


def sampled(
    plan: Plan,
    drive: Drive,
    rng: random.Random,
    rows: int,
    *,
    start_m: float = 0.0,
    spec: VehicleSpec = FOCUS_ST,
    course: Route | None = None,
) -> list[list[int | None]]:
    """Drive a vehicle and return its readings as raw integers of the sensors, a list for each row.

    Every signal is due in every row.

    Args:
        plan: signals and period.
        drive: what the driver does.
        rng: of the vehicle.
        rows: how many.
        start_m: where on the course it begins.
        spec: of the vehicle.
        course: the road; None is the default one.
    """
    road = course or COURSES[COURSE]
    vehicle = Vehicle(spec, drive, rng, grade=lambda metres: road.at(start_m + metres).grade)
    read = [_reader(source) for source in plan.sources]
    out: list[list[int | None]] = []
    for row in range(rows):
        state = vehicle.at(row * plan.period_ms / 1000.0)
        place = road.at(start_m + state.distance_m)
        where = road.to_geodetic(place)
        out.append([take(state, where, place.heading_deg) for take in read])
    return out


_Read = Callable[[VehicleState, tuple[float, float, float], float], int]


def _reader(source: Signal) -> _Read:
    if not is_gnss(source):
        encode = next(spec for spec in PIDS.values() if spec.pid == source.id).encode
        return lambda state, _place, _heading: source.raw(encode(state))
    true = _GNSS[source.name]
    per_unit = source.scale_den / source.scale_num

    def gnss(state: VehicleState, place: tuple[float, float, float], heading: float) -> int:
        raw = math.floor(true(state, place, heading) * per_unit + 0.5)
        return min(source.maximum, max(source.minimum, raw))

    return gnss


def everyday_drive(rng: random.Random, seconds: float) -> Drive:
    """Return a drive of at least `seconds`: stops, pulling away, town and country, as it comes."""
    phases: list[Phase] = [Idle("start", 3.0 + 12.0 * rng.random())]
    left_s = seconds - phases[0].duration_s
    while left_s > 0.0:
        number = len(phases)
        kind = rng.choices(("town", "country", "stop", "hurry"), (5, 3, 3, 1))[0]
        if kind == "stop":
            phase: Phase = Idle(f"stop-{number}", 5.0 + 25.0 * rng.random())
        elif kind == "hurry":
            phase = Accelerate(f"hurry-{number}", 12.0, 90.0 + 40.0 * rng.random(), 70.0)
        else:
            low, high = (25.0, 55.0) if kind == "town" else (60.0, 125.0)
            phase = Cruise(f"{kind}-{number}", rng.uniform(20.0, 60.0), rng.uniform(low, high))
        phases.append(phase)
        left_s -= phase.duration_s
    return Drive(phases)


def duration_rows(phases: Sequence[Phase], period_ms: int) -> int:
    """Return how many whole rows the phases take."""
    return int(sum(phase.duration_s for phase in phases) * 1000.0) // period_ms
