"""A car: its physics, its road, its bus and the ECUs on it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import simpy

from sim.can.bus import CanBus
from sim.ecu import Ecus, build_ecus
from sim.gnss import Motion
from sim.route import Route
from sim.vehicle import Ambient, Drive, Vehicle, VehicleSpec
from sim.vehicle.drive import Idle, KeyOff

SECOND_SEGMENT = "can1"
SERIAL_DIGITS = 6
CHECK_DIGIT = 8  # its place in a VIN
LONGEST_WAIT_S = 20.0  # of a fleet's car before it sets off
_VIN_VALUES = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)),
               strict=True)),
}  # fmt: skip
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


@dataclass(frozen=True, slots=True)
class Car:
    """What a device in a car has around it.

    Attributes:
        vehicle: its state at any instant.
        course: the road.
        bus: the CAN bus, or that segment of it at which the device sits.
        ecus: what answers on it.
        vin: 17 characters.
        start_m: where on the course it begins.
    """

    vehicle: Vehicle
    course: Route
    bus: CanBus
    ecus: Ecus
    vin: str
    start_m: float = 0.0

    def motion(self, time_s: float) -> Motion:
        """Where the car truly is and how it moves at `time_s`; not earlier than asked before."""
        state = self.vehicle.at(time_s)
        place = self.course.at(self.start_m + state.distance_m)
        lat_deg, lon_deg, alt_m = self.course.to_geodetic(place)
        # A receiver reports speed over ground; the car's is along the slope.
        ground_mps = state.speed_mps / math.hypot(1.0, place.grade)
        return Motion(lat_deg, lon_deg, alt_m, ground_mps, place.heading_deg)

    def on_second_segment(
        self, env: simpy.Environment, stream: Callable[[str], random.Random], *, on_sample: Any
    ) -> Car:
        """Return this car as a device sees it on another segment behind its gateway module.

        The segment is a bus of its own on which the same ECUs answer. Call it once for a segment.

        Args:
            env: the world's clock.
            stream: gives "ecu.ecm" and "ecu.tcm" of that segment.
            on_sample: see `sim.ecu.build_ecus`, for values that are asked for there.
        """
        bus = CanBus(env, name=SECOND_SEGMENT)
        self.ecus.attach(bus, stream, on_sample=on_sample)
        return replace(self, bus=bus)


def build_car(
    env: simpy.Environment,
    spec: VehicleSpec,
    drive: Drive,
    course: Route,
    stream: Callable[[str], random.Random],
    *,
    ambient: Ambient,
    coolant_c: float | None,
    on_sample: Any,
    response_time_s: tuple[float, float],
    start_m: float = 0.0,
    paced_bus: bool = True,
) -> Car:
    """Build a car; `stream` gives "vehicle", "ecu.ecm" and "ecu.tcm"."""
    vehicle = Vehicle(
        spec,
        drive,
        stream("vehicle"),
        ambient=ambient,
        coolant_c=coolant_c,
        grade=lambda distance_m: course.at(start_m + distance_m).grade,
    )
    bus = CanBus(env, paced=paced_bus)
    ecus = build_ecus(
        env,
        bus,
        vehicle,
        stream,
        vin=spec.vin,
        on_sample=on_sample,
        response_time_s=response_time_s,
    )
    return Car(vehicle, course, bus, ecus, spec.vin, start_m)


def fleet_spec(spec: VehicleSpec, number: int) -> VehicleSpec:
    """Return the `number`-th car of a fleet of this kind: the first one is `spec` itself."""
    return spec if number == 1 else replace(spec, vin=fleet_vin(spec.vin, number))


def fleet_vin(vin: str, number: int) -> str:
    """Return the VIN of the `number`-th car after the plant's serial number, check digit right."""
    serial = int(vin[-SERIAL_DIGITS:]) + number - 1
    plain = f"{vin[:-SERIAL_DIGITS]}{serial:0{SERIAL_DIGITS}d}"
    total = sum(_VIN_VALUES[c] * w for c, w in zip(plain, _VIN_WEIGHTS, strict=True))
    digit = "0123456789X"[total % 11]
    return plain[:CHECK_DIGIT] + digit + plain[CHECK_DIGIT + 1 :]


def fleet_drive(drive: Drive, rng: random.Random) -> Drive:
    """Return the drive of a fleet's car: the same, but it stands a little longer at first."""
    first = drive.phases[0]
    if not isinstance(first, Idle | KeyOff):
        return drive
    wait_s = round(LONGEST_WAIT_S * rng.random(), 3)
    return Drive([replace(first, duration_s=first.duration_s + wait_s), *drive.phases[1:]])
