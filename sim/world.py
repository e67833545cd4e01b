"""The world: one vehicle state, and every device that a gateway's links lead to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from sim.can.bus import CanBus
from sim.ecu import Ecus, build_ecus
from sim.elm327 import PROFILES as ADAPTERS
from sim.elm327 import Elm327
from sim.gnss import HOT, GnssReceiver, Motion
from sim.gnss import PROFILES as RECEIVERS
from sim.route import Route
from sim.serial_line import USB_FRAME_S, SerialLine
from sim.streams import RandomStreams
from sim.vehicle import FOCUS_ST, Ambient, Drive, Vehicle, VehicleSpec

NoteListener = Callable[[float, str, str, str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class ObdSetup:
    """The OBD adapter on its serial line, and the ECUs' response time range in seconds."""

    profile: str = "elm327_v15"
    baud: int = 38400
    paced: bool = True
    ecu_response_s: tuple[float, float] = (0.008, 0.020)
    frame_s: float = USB_FRAME_S


@dataclass(frozen=True, slots=True)
class GpsSetup:
    """The GNSS receiver on its serial line."""

    profile: str = "ublox_m8"
    baud: int = 9600
    rate_hz: float = 1.0
    sentences: tuple[str, ...] | None = None
    cold_start_s: float = 0.0
    paced: bool = True
    frame_s: float = USB_FRAME_S


@dataclass(frozen=True, slots=True)
class WorldSetup:
    """Everything that makes a world besides its seed.

    Attributes:
        drive: what the driver does.
        course: where the road leads.
        coolant_c: coolant temperature at the start; None is warm.
        obd, gps: None leaves the device out.
    """

    drive: Drive
    course: Route
    vehicle: VehicleSpec = FOCUS_ST
    ambient: Ambient = field(default_factory=Ambient)
    coolant_c: float | None = None
    obd: ObdSetup | None = field(default_factory=ObdSetup)
    gps: GpsSetup | None = field(default_factory=GpsSetup)


class World:
    """A car that drives, with its bus, its ECUs and the devices attached to it.

    Args:
        env: the clock; virtual or wall time is the rig's affair.
        setup: what to build.
        seed: of all random streams.
        epoch_ns: UTC nanoseconds at env time 0.
        on_sample: see `sim.ecu.build_ecus`.
        on_epoch: see `sim.gnss.GnssReceiver`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        setup: WorldSetup,
        *,
        seed: int,
        epoch_ns: int,
        on_sample: Any = None,
        on_epoch: Any = None,
    ) -> None:
        self.env = env
        self.setup = setup
        self.epoch_ns = epoch_ns
        self.streams = RandomStreams(seed)
        self.lines: dict[str, SerialLine] = {}
        self.listeners: list[NoteListener] = []
        self.course = setup.course
        self.vehicle = Vehicle(
            setup.vehicle,
            setup.drive,
            self.streams.stream("vehicle"),
            ambient=setup.ambient,
            coolant_c=setup.coolant_c,
            grade=lambda distance_m: setup.course.at(distance_m).grade,
        )
        self.bus = CanBus(env)
        self.ecus: Ecus = build_ecus(
            env,
            self.bus,
            self.vehicle,
            self.streams.stream,
            vin=setup.vehicle.vin,
            on_sample=on_sample,
            response_time_s=setup.obd.ecu_response_s if setup.obd else (0.008, 0.020),
        )
        self.adapter: Elm327 | None = None
        self.receiver: GnssReceiver | None = None
        if setup.obd is not None:
            self.adapter = self._attach_adapter(setup.obd)
        if setup.gps is not None:
            self.receiver = self._attach_receiver(setup.gps, on_epoch)

    def motion(self, time_s: float) -> Motion:
        """Where the car truly is and how it moves at `time_s`; not earlier than asked before."""
        state = self.vehicle.at(time_s)
        place = self.course.at(state.distance_m)
        lat_deg, lon_deg, alt_m = self.course.to_geodetic(place)
        # A receiver reports speed over ground; the car's is along the slope.
        ground_mps = state.speed_mps / math.hypot(1.0, place.grade)
        return Motion(lat_deg, lon_deg, alt_m, ground_mps, place.heading_deg)

    def utc_ns(self) -> int:
        """The world's true time, UTC nanoseconds."""
        return self.epoch_ns + round(self.env.now * 1e9)

    def note(
        self, kind: str, name: str, phase: str = "", detail: Mapping[str, Any] | None = None
    ) -> None:
        """Tell whoever listens that something happened (a fault starts or ends, a phase begins)."""
        for listener in self.listeners:
            listener(self.env.now, kind, name, phase, detail or {})

    def _attach_adapter(self, setup: ObdSetup) -> Elm327:
        line = SerialLine(self.env, "obd", setup.baud, paced=setup.paced, frame_s=setup.frame_s)
        self.lines["obd"] = line
        return Elm327(
            self.env,
            self.bus,
            line,
            ADAPTERS[setup.profile],
            self.streams.stream("elm327"),
            battery_v=lambda: self.vehicle.at(self.env.now).battery_v,
        )

    def _attach_receiver(self, setup: GpsSetup, on_epoch: Any) -> GnssReceiver:
        line = SerialLine(self.env, "gps", setup.baud, paced=setup.paced, frame_s=setup.frame_s)
        self.lines["gps"] = line
        receiver = GnssReceiver(
            self.env,
            line,
            self.motion,
            RECEIVERS[setup.profile],
            self.streams.stream("gnss"),
            self.epoch_ns,
            rate_hz=setup.rate_hz,
            sentences=setup.sentences,
            cold_start_s=setup.cold_start_s,
            on_epoch=on_epoch,
        )
        # A USB receiver lives on bus power: plugged in again, it starts anew with what it
        # remembers.
        line.on_replug.append(lambda: receiver.restart(HOT))
        return receiver
