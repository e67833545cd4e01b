"""The world behind a device alone: the car that drives, and the one device."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import simpy

from rig.assembly import DEFAULT_COURSE, shifted_faults, world_setup
from rig.faults.install import install_all
from rig.scenario.model import Scenario
from sim.can_setup import CanSetup
from sim.gnss import PROFILES as RECEIVERS
from sim.route import COURSES
from sim.vehicle import Cruise, Drive, Idle, Phase
from sim.world import Esp32Setup, GpsSetup, ObdSetup, World, WorldSetup

DEVICES = ("obd", "gps", "esp32")
ADAPTER_BAUD = 38400
# Without a scenario: a car that warms up, drives and stops, for a day.
ROUND_PHASES: tuple[Phase, ...] = (
    Idle("idle", 30.0),
    Cruise("town", 60.0, 50.0),
    Cruise("road", 120.0, 90.0),
    Idle("stop", 30.0),
)
ROUNDS_A_DAY = 360
KEEP_UP_S = 1.0
FACTORY_USER = "wifiprov"
FACTORY_PASSWORD = "abcd1234"


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """What the command line says.

    Attributes:
        kind: "obd", "gps" or "esp32".
        profile: name of an adapter or chip profile; None for the default.
        baud: of the serial line; None for the device's usual one.
        rate_hz: fixes per second of a GNSS receiver; None for 1, or the scenario's.
        unpaced: no UART pace and no ECU response time: as fast as the machine can.
        traffic: the car's control units broadcast behind an OBD adapter.
        link: symbolic link to the PTY.
        tcp: also serve the line on this TCP port of the loopback interface (0: any free one).
        http: TCP port of the loopback interface for a board's access point (0: any free one).
        memory: file that keeps a board's settings and flash; None: factory state at each start.
        user, password: with which a board in factory state is provisioned.
        scenario: drives the car and strikes its faults; None for a round trip that repeats.
        as_json: speak JSON lines.
    """

    kind: str
    profile: str | None = None
    baud: int | None = None
    rate_hz: float | None = None
    unpaced: bool = False
    traffic: bool = False
    link: Path | None = None
    tcp: int | None = None
    http: int = 0
    memory: Path | None = None
    user: str = FACTORY_USER
    password: str = FACTORY_PASSWORD
    scenario: Scenario | None = None
    seed: int = 0
    as_json: bool = False


def device_world(env: simpy.Environment, options: DeviceOptions) -> World:
    """Build the world of one device on `env`, beginning now.

    Raises:
        ValueError: the device cannot be what the options ask for (a rate that the chip has not).
    """
    world = World(env, _setup(options), seed=options.seed, epoch_ns=time.time_ns())
    if options.scenario is not None:
        faults = [f for f in shifted_faults(options.scenario) if f.link == options.kind]
        install_all(world, faults)
    env.process(keep_up(world))
    return world


def keep_up(world: World) -> Generator[simpy.Event, None, None]:
    """Drive on while nobody asks: the first request after an hour does not wait for that hour."""
    while True:
        world.vehicle.at(world.env.now)
        yield world.env.timeout(KEEP_UP_S)


def round_trip() -> WorldSetup:
    """Return a car that drives round trips for a day, without devices."""
    return WorldSetup(
        drive=Drive(_round_trips()), course=COURSES[DEFAULT_COURSE], obd=None, gps=None
    )


def _setup(options: DeviceOptions) -> WorldSetup:
    setup = round_trip() if options.scenario is None else world_setup(options.scenario)
    if options.kind == "esp32":
        board = setup.esp32 or Esp32Setup()
        return replace(setup, obd=None, gps=None, esp32=replace(board, count=1, unique=True))
    setup = replace(setup, esp32=None)
    if options.kind == "obd":
        can = CanSetup(doors={}, broadcast=True) if options.traffic else setup.can
        return replace(setup, obd=_obd(setup.obd, options), gps=None, can=can)
    return replace(setup, obd=None, gps=_gps(setup.gps, options))


def _obd(base: ObdSetup | None, options: DeviceOptions) -> ObdSetup:
    setup = base or ObdSetup(baud=ADAPTER_BAUD)
    if options.profile is not None:
        setup = replace(setup, profile=options.profile)
    if options.baud is not None:
        setup = replace(setup, baud=options.baud)
    if options.unpaced:
        setup = replace(setup, paced=False, ecu_response_s=(0.0, 0.0), frame_s=0.0)
    return setup


def _gps(base: GpsSetup | None, options: DeviceOptions) -> GpsSetup:
    setup = base or GpsSetup()
    if options.profile is not None:
        setup = replace(setup, profile=options.profile)
    if options.baud is not None:
        setup = replace(setup, baud=options.baud)
    elif base is None:
        setup = replace(setup, baud=RECEIVERS[setup.profile].baud)
    if options.rate_hz is not None:
        setup = replace(setup, rate_hz=options.rate_hz)
    if options.unpaced:
        setup = replace(setup, paced=False, frame_s=0.0)
    return setup


def _round_trips() -> list[Phase]:
    return [
        replace(phase, name=f"{phase.name}-{number}")
        for number in range(1, ROUNDS_A_DAY + 1)
        for phase in ROUND_PHASES
    ]
