"""The world: one vehicle state, and every device that a gateway's links lead to."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from sim.can_setup import CanSetup
from sim.car import Car, build_car, fleet_drive, fleet_spec
from sim.elm327 import PROFILES as ADAPTERS
from sim.elm327 import Elm327
from sim.esp32 import Askers, Board, BoardSetup, Fleet
from sim.esp32.board import MakeFirmware, logger_firmware
from sim.esp32.wifi import Air
from sim.gnss import HOT, GnssReceiver, Motion
from sim.gnss import PROFILES as RECEIVERS
from sim.mesh_setup import MESH, MeshSetup
from sim.route import Route
from sim.serial_line import USB_FRAME_S, SerialLine
from sim.streams import RandomStreams
from sim.vehicle import FOCUS_ST, Ambient, Drive, VehicleSpec

if TYPE_CHECKING:  # they need packages that not every world has
    from sim.can_side import CanSide
    from sim.mesh import Mesh

NoteListener = Callable[[float, str, str, str, Mapping[str, Any]], None]

ECU_RESPONSE_S = (0.008, 0.020)
ESP32 = "esp32"
CAN = "can"
CAR_SPACING_M = 137.0  # between the starts of the cars of a fleet


@dataclass(frozen=True, slots=True)
class ObdSetup:
    """The OBD adapter on its serial line, and the ECUs' response time range in seconds."""

    profile: str = "elm327_v15"
    baud: int = 38400
    paced: bool = True
    ecu_response_s: tuple[float, float] = ECU_RESPONSE_S
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
class Esp32Setup:
    """The ESP32 boards: the first one in the world's own car, each other one in a car of its own.

    Attributes:
        count: of boards.
        own_segment: the first one sits on a second CAN segment of the world's own car, as behind
            the gateway module of modern cars. Two testers on one segment take each other's answers
            for theirs, and the ECUs' time.
        board: what each is like.
        firmware: what they run.
        unique: real randomness for the chips: two runs of one seed shall not be taken for one
            board by a gateway that remembers.
    """

    count: int = 1
    own_segment: bool = False
    board: BoardSetup = field(default_factory=BoardSetup)
    firmware: MakeFirmware = logger_firmware
    unique: bool = False


@dataclass(frozen=True, slots=True)
class WorldSetup:
    """Everything that makes a world besides its seed.

    Attributes:
        drive: what the driver does.
        course: where the road leads.
        coolant_c: coolant temperature at the start; None is warm.
        obd, gps, esp32, mesh: None leaves the device out.
        can: what stands on the car's bus besides its diagnostics; None: nothing.
        ecu_response_s: the ECUs' response time range in seconds, where `obd` does not say it.
    """

    drive: Drive
    course: Route
    vehicle: VehicleSpec = FOCUS_ST
    ambient: Ambient = field(default_factory=Ambient)
    coolant_c: float | None = None
    obd: ObdSetup | None = field(default_factory=ObdSetup)
    gps: GpsSetup | None = field(default_factory=GpsSetup)
    esp32: Esp32Setup | None = None
    mesh: MeshSetup | None = None
    can: CanSetup | None = None
    ecu_response_s: tuple[float, float] = ECU_RESPONSE_S


class World:
    """A car that drives, with its bus, its ECUs and the devices attached to it.

    Args:
        env: the clock; virtual or wall time is the rig's affair.
        setup: what to build.
        seed: of all random streams.
        epoch_ns: UTC nanoseconds at env time 0.
        on_sample: see `sim.ecu.build_ecus`.
        on_epoch: see `sim.gnss.GnssReceiver`.
        on_board_sample, on_board_epoch: the same of the boards, with the board's name before.
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
        on_board_sample: Any = None,
        on_board_epoch: Any = None,
    ) -> None:
        self.env = env
        self.setup = setup
        self.epoch_ns = epoch_ns
        self.streams = RandomStreams(seed)
        self.lines: dict[str, SerialLine] = {}
        self.listeners: list[NoteListener] = []
        self._on_board_sample = on_board_sample
        self._on_board_epoch = on_board_epoch
        self._askers: Askers | None = None
        self.car = self._build_car(setup.vehicle, setup.drive, "", 0.0, self._attributed(on_sample))
        self.course = self.car.course
        self.vehicle = self.car.vehicle
        self.bus = self.car.bus
        self.ecus = self.car.ecus
        self.adapter: Elm327 | None = None
        self.receiver: GnssReceiver | None = None
        self.fleet: Fleet | None = None
        if setup.obd is not None:
            self.adapter = self._attach_adapter(setup.obd)
        if setup.gps is not None:
            self.receiver = self._attach_receiver(setup.gps, on_epoch)
        if setup.esp32 is not None:
            self.fleet = self._attach_boards(setup.esp32)
        self.mesh: Mesh | None = None
        if setup.mesh is not None:
            self.mesh = self._attach_radios(setup.mesh)
        self.can: CanSide | None = None
        if setup.can is not None:
            self.can = self._attach_can(setup.can)

    def connect(self, line: str) -> SerialLine | None:
        """Open a connection to the TCP server of the device on `line`; None where it refuses."""
        if self.can is not None and line in self.can.doors:
            return self.can.connect(line)
        assert self.mesh is not None
        return self.mesh.connect(line)

    def motion(self, time_s: float) -> Motion:
        """Where the car truly is and how it moves at `time_s`; not earlier than asked before."""
        return self.car.motion(time_s)

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

    def _attach_boards(self, setup: Esp32Setup) -> Fleet:
        air = Air(setup.board.wifi)
        cars = [self._fleet_car(number, setup) for number in range(1, setup.count + 1)]
        if self.setup.obd is not None and not setup.own_segment:
            self._askers = Askers(self.bus)
        return Fleet([self._attach_board(n, car, setup, air) for n, car in enumerate(cars, 1)], air)

    def _attach_board(self, number: int, car: Car, setup: Esp32Setup, air: Air) -> Board:
        name = board_name(number)
        on_epoch = self._on_board_epoch
        board = Board(
            self.env,
            name,
            car,
            setup.board,
            self.streams.stream,
            self.epoch_ns,
            air=air,
            firmware=setup.firmware,
            entropy=random.SystemRandom() if setup.unique else None,
            on_epoch=None if on_epoch is None else lambda *epoch: on_epoch(name, *epoch),
        )
        board.on_note.append(lambda what, detail: self.note(ESP32, what, name, detail))
        self.lines[name] = board.line
        return board

    def _attach_radios(self, setup: MeshSetup) -> Mesh:
        from sim.mesh import Mesh

        mesh = Mesh(
            self.env,
            setup,
            self.car,
            self._mesh_car,
            self.streams.stream,
            self.epoch_ns,
            lambda radio, what, detail: self.note(MESH, what, radio, detail),
        )
        self.lines.update(mesh.lines)
        return mesh

    def _attach_can(self, setup: CanSetup) -> CanSide:
        from sim.can_side import CanSide

        side = CanSide(
            self.env,
            setup,
            self.car,
            self.streams.stream,
            self.epoch_ns,
            lambda what, node: self.note(CAN, what, node),
        )
        self.lines.update(side.lines)
        return side

    def _mesh_car(self, number: int) -> Car:
        """Return the car of the `number`-th vehicle with a radio; nothing asks its ECUs."""
        setup, prefix = self.setup, f"mesh-car-{number}/"
        return self._build_car(
            fleet_spec(setup.vehicle, number),
            fleet_drive(setup.drive, self.streams.stream(prefix + "drive")),
            prefix,
            (number - 1) * CAR_SPACING_M,
            None,
        )

    def _fleet_car(self, number: int, boards: Esp32Setup) -> Car:
        """Return the car of the `number`-th board."""
        on_sample = self._sampled_by(board_name(number))
        if number == 1:
            return self._second_segment(on_sample) if boards.own_segment else self.car
        setup, prefix = self.setup, f"car-{number}/"
        return self._build_car(
            fleet_spec(setup.vehicle, number),
            fleet_drive(setup.drive, self.streams.stream(prefix + "drive")),
            prefix,
            (number - 1) * CAR_SPACING_M,
            on_sample,
        )

    def _second_segment(self, on_sample: Any) -> Car:
        return self.car.on_second_segment(
            self.env,
            lambda component: self.streams.stream(f"segment-2/{component}"),
            on_sample=on_sample,
        )

    def _sampled_by(self, board: str) -> Any:
        on_sample = self._on_board_sample
        return None if on_sample is None else lambda *sample: on_sample(board, *sample)

    def _build_car(
        self, spec: VehicleSpec, drive: Drive, prefix: str, start_m: float, on_sample: Any
    ) -> Car:
        setup = self.setup
        return build_car(
            self.env,
            spec,
            drive,
            setup.course,
            lambda component: self.streams.stream(prefix + component),
            ambient=setup.ambient,
            coolant_c=setup.coolant_c,
            on_sample=on_sample,
            response_time_s=setup.obd.ecu_response_s if setup.obd else setup.ecu_response_s,
            start_m=start_m,
            paced_bus=setup.can is None or setup.can.paced,
        )

    def _attributed(self, on_sample: Any) -> Any:
        """Return `on_sample` for the ECUs of the world's own car: to whom a sample belongs."""
        if self.setup.esp32 is None or self.setup.esp32.own_segment:
            return on_sample
        name, on_board_sample = board_name(1), self._on_board_sample

        def sampled(time_s: float, ecu: str, pid: int, data: bytes, state: Any) -> None:
            askers = self._askers
            if askers is not None and askers.who(pid, time_s) != name:
                if on_sample is not None:
                    on_sample(time_s, ecu, pid, data, state)
            elif on_board_sample is not None:
                on_board_sample(name, time_s, ecu, pid, data, state)

        return sampled


def board_name(number: int) -> str:
    """Return the name of the `number`-th board, counted from 1, and of its line."""
    return ESP32 if number == 1 else f"{ESP32}-{number}"
