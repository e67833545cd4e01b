"""What a scenario file says, as values: frozen, with the unit in each name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rig.faults.spec import FaultSpec
from rig.fleet.spec import FleetSpec
from rig.judge.limits import Limit
from rig.scenario.document import Plain

# 2026-05-01T08:00:00Z: any instant would do; a fixed one makes every run the same.
DEFAULT_EPOCH_NS = 1_777_622_400_000_000_000

DEFAULT_PLAN_HZ: Mapping[str, float] = {
    # What a driver watches, then what explains it, then what changes slowly. 19.5 queries a second:
    # a genuine adapter at 38400 baud can just serve them.
    "RPM": 5.0,
    "SPEED": 5.0,
    "THROTTLE_POS": 2.0,
    "ENGINE_LOAD": 2.0,
    "INTAKE_PRESSURE": 2.0,
    "MAF": 2.0,
    "COOLANT_TEMP": 0.5,
    "INTAKE_TEMP": 0.5,
    "OIL_TEMP": 0.1,
    "CONTROL_MODULE_VOLTAGE": 0.1,
    "FUEL_LEVEL": 0.1,
    "BAROMETRIC_PRESSURE": 0.1,
    "AMBIANT_AIR_TEMP": 0.1,
}

MESH = "mesh"
CAN = "can"
OBD = "obd"
ELM327 = "elm327"
CAR = "car"
BASE = "base"
GPS_SIGNALS = ("LAT", "LON", "ALT", "GPS_SPEED")
BOARD_GPS_SIGNALS = (*GPS_SIGNALS, "GPS_HEADING")


@dataclass(frozen=True, slots=True)
class GpsSpec:
    """The GNSS receiver.

    Attributes:
        profile: name of a chip profile in `sim.gnss`.
        rate_hz: fixes per second.
        baud: of its serial line.
        cold_start_s: time without a fix after the start.
        sentences: the sentences that it sends; None for those of the profile.
        paced: False delivers each sentence at once.
    """

    profile: str = "ublox_m8"
    rate_hz: float = 1.0
    baud: int = 9600
    cold_start_s: float = 0.0
    sentences: tuple[str, ...] | None = None
    paced: bool = True


@dataclass(frozen=True, slots=True)
class CanDoorSpec:
    """A door to the car's CAN bus.

    Attributes:
        door: "socketcand" (TCP) or "slcan" (an adapter on a serial port).
        profile: of the slcan adapter, in `sim.slcan`; None: the usual one.
        baud: of the slcan adapter's serial line; None: the profile's.
    """

    door: str = "socketcand"
    profile: str | None = None
    baud: int | None = None


@dataclass(frozen=True, slots=True)
class CanPlaySpec:
    """A log of frames that is played into the bus.

    Attributes:
        path: the log: BLF, ASC, candump or CSV.
        offset_s: so much of its beginning is left out.
        loop: it begins again when it ends.
        only: identifiers that are played; none: all.
        without: identifiers that are not played.
    """

    path: Path
    offset_s: float = 0.0
    loop: bool = False
    only: tuple[int, ...] = ()
    without: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CanSpec:
    """The traffic on the car's CAN bus, and the door at which the gateway reads it.

    Attributes:
        link: the door.
        broadcast: the car's modules send what they know.
        load_pct: more frames fill the bus up to this load; None: none do.
        play: a log that is played into the bus.
        auto_recovery_s: a control unit of the car that is bus-off comes back after so long.
    """

    link: CanDoorSpec = CanDoorSpec()
    broadcast: bool = True
    load_pct: float | None = None
    play: CanPlaySpec | None = None
    auto_recovery_s: float = 0.1


@dataclass(frozen=True, slots=True)
class CanPlanSpec:
    """What the gateway reads of the CAN bus.

    Attributes:
        dbc: names of databases that the world brings along, or paths of files.
        signals: signal -> readings a second at most, "all" or "change"; None: all at `rate_hz`.
        rate_hz: readings a second of each signal where `signals` is None, or "all" or "change".
        queue_frames: bound of the link's frame queue; None: the gateway's own.
        timestamps: it asks an slcan adapter for time stamps.
    """

    dbc: tuple[str, ...] = ("focus_st",)
    signals: Mapping[str, float | str] | None = None
    rate_hz: float | str = 10.0
    queue_frames: int | None = None
    timestamps: bool = False


@dataclass(frozen=True, slots=True)
class ObdSpec:
    """The OBD adapter and the ECUs behind it.

    Attributes:
        profile: name of an adapter profile in `sim.elm327`.
        baud: of its serial line.
        ecu_latency_s: shortest and longest response time of an ECU.
        paced: False delivers each reply at once.
        can: the door at which the gateway itself speaks ISO-TP, without an adapter; None: it has
            an adapter.
    """

    profile: str = "elm327_v15"
    baud: int = 38400
    ecu_latency_s: tuple[float, float] = (0.008, 0.020)
    paced: bool = True
    can: CanDoorSpec | None = None


@dataclass(frozen=True, slots=True)
class WifiSpec:
    """The air around the ESP32 boards.

    Attributes:
        latency_s: shortest and longest time of a request on its way, and of an answer.
        loss_pct: of requests, and of answers.
    """

    latency_s: tuple[float, float] = (0.015, 0.060)
    loss_pct: float = 0.0


@dataclass(frozen=True, slots=True)
class Esp32Spec:
    """The ESP32 boards: the first one in the car, each further one in a car of its own.

    Attributes:
        count: of boards.
        segment: "shared" or "own": whether the first board sits on the adapter's CAN segment; None:
            on its own where there is an adapter.
        transport: "wifi" or "serial": how their readings reach the gateway.
        profile: file of a trained codec profile; None: one that the firmware makes itself.
        flush_s: longest time that a reading waits in an open packet; None: the firmware's own.
        gps: the receiver on each board.
        wifi: the air.
        provisioned: False: in factory state, to be provisioned in the run.
        plan: OBD signal -> readings a second.
        bounds: signal -> largest error in its unit; the others are lossless.
    """

    count: int = 1
    segment: str | None = None
    transport: str = "wifi"
    profile: Path | None = None
    flush_s: float | None = None
    gps: GpsSpec = GpsSpec(baud=38400, sentences=("RMC", "GGA"))
    wifi: WifiSpec = WifiSpec()
    provisioned: bool = True
    plan: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_PLAN_HZ))
    bounds: Mapping[str, float] = field(default_factory=dict)

    @property
    def wish(self) -> dict[str, object]:
        """The sampling plan as the firmware takes it, GNSS included."""
        rates_hz = {**self.plan, **dict.fromkeys(BOARD_GPS_SIGNALS, self.gps.rate_hz)}
        wish: dict[str, object] = {"rates": rates_hz}
        if self.bounds:
            wish["bounds"] = dict(self.bounds)
        if self.flush_s is not None:
            wish["flush_ms"] = round(self.flush_s * 1000)
        return wish


@dataclass(frozen=True, slots=True)
class RadioPlaceSpec:
    """Where a radio stands.

    Attributes:
        at_m: so far along the course.
        beside_m: so far to the right of it; negative: to the left.
        height_m: of its antenna above the ground.
        beacon_s: an ordinary node tells its position and its battery so often; None: it is silent.
    """

    at_m: float = 0.0
    beside_m: float = 40.0
    height_m: float = 12.0
    beacon_s: float | None = None


@dataclass(frozen=True, slots=True)
class MeshSpec:
    """The Meshtastic radios: the car's, the base station's, and what lies between.

    Attributes:
        preset: modem preset, by its Meshtastic name.
        region: by its Meshtastic name.
        transport: "serial" or "tcp": how gateways reach their radios.
        vehicles: that send; the first one is the car, each further one a car of its own.
        base: the base station's radio.
        relays: radios that only relay.
        nodes: ordinary nodes, which say where they are now and then.
        power_dbm: of every transmitter; None: what the region allows.
        role: of the vehicles' and the base station's radios: a CLIENT relays for others too.
        hop_limit: of every radio.
        clutter_db: what houses and trees take away.
        shadowing_db: standard deviation of what a place takes away or adds.
    """

    preset: str = "LONG_FAST"
    region: str = "EU_868"
    transport: str = "serial"
    vehicles: int = 1
    base: RadioPlaceSpec = RadioPlaceSpec()
    relays: tuple[RadioPlaceSpec, ...] = ()
    nodes: tuple[RadioPlaceSpec, ...] = ()
    power_dbm: float | None = None
    role: str = "CLIENT"
    hop_limit: int = 3
    clutter_db: float | None = None
    shadowing_db: float | None = None


@dataclass(frozen=True, slots=True)
class MeshPlanSpec:
    """What the car sends over the mesh; None leaves the gateway's default.

    Attributes:
        plan: signal -> readings a second.
        bounds: signal -> largest error in its unit; the others are lossless.
        period_s: of the grid on which readings are taken.
        flush_s: longest time that a reading waits in an open packet.
        duty_cycle_pct: most of the time that the radio may send for the gateway.
        profile: file of a trained codec profile.
    """

    plan: Mapping[str, float] | None = None
    bounds: Mapping[str, float] = field(default_factory=dict)
    period_s: float | None = None
    flush_s: float | None = None
    duty_cycle_pct: float | None = None
    profile: Path | None = None


@dataclass(frozen=True, slots=True)
class WiresSpec:
    """Recorded wires that take the place of modelled devices.

    Attributes:
        record: folder of the record.
        links: that are played.
        answers: "order" or "time": which of the recorded answers to a request is given.
    """

    record: Path
    links: tuple[str, ...]
    answers: str = "order"


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """The car and what surrounds it.

    Attributes:
        vehicle: name of a vehicle in `sim.vehicle`.
        ambient_c: air temperature.
        pressure_kpa: air pressure.
        coolant_c: coolant temperature at the start; None for a warm engine.
        route: name of a course in `sim.route`; None for the default one, or for the positions of
            the recorded drive where a phase has them.
        epoch_ns: UTC at virtual second 0, nanoseconds since 1970.
        wires: recorded wires that are played; None: every device is a model.
    """

    vehicle: str = "focus_st"
    ambient_c: float = 20.0
    pressure_kpa: float = 101.3
    coolant_c: float | None = None
    route: str | None = None
    epoch_ns: int = DEFAULT_EPOCH_NS
    gps: GpsSpec = GpsSpec()
    obd: ObdSpec = ObdSpec()
    esp32: Esp32Spec = Esp32Spec()
    mesh: MeshSpec = MeshSpec()
    can: CanSpec = CanSpec()
    fleet: FleetSpec = field(default_factory=FleetSpec)
    wires: WiresSpec | None = None

    @property
    def played(self) -> tuple[str, ...]:
        """The links whose device is a recording."""
        return () if self.wires is None else self.wires.links


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """When the gateway makes segments of its hot log; None leaves its default.

    Attributes:
        compact_after_s: age of the oldest row at which a cycle of the hot log ends.
        compact_bytes: size at which it ends before that.
        window_s: longest part of time in one segment.
    """

    compact_after_s: float | None = None
    compact_bytes: int | None = None
    window_s: float | None = None


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """The gateway's configuration, as far as the scenario sets it; None leaves its default.

    Attributes:
        plan: signal name -> queries per second.
        flush_ms: longest time to a commit.
        publish_ms: longest time to the live stream.
        queue_readings: bound of the reading queue.
        reply_timeout_s: the OBD link's own watchdog.
        stale_s: age at which an OBD signal counts as stale.
        fast: whether the OBD link sends the response digit.
        protocol: OBD protocol number; None searches.
        mesh: what it sends by radio.
        can: what it reads of the CAN bus.
        store: when it compacts; None: never.
        config: further sections and keys of the gateway's TOML, as they are.
    """

    plan: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_PLAN_HZ))
    flush_ms: float | None = None
    publish_ms: float | None = None
    queue_readings: int | None = None
    reply_timeout_s: float | None = None
    stale_s: float | None = None
    fast: bool | None = None
    protocol: str | None = None
    mesh: MeshPlanSpec = field(default_factory=MeshPlanSpec)
    can: CanPlanSpec = CanPlanSpec()
    store: StoreSpec | None = None
    config: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhaseSpec:
    """One phase of the drive; its name is a window that limits and faults can refer to.

    Attributes:
        kind: "idle", "cruise", "accelerate", "cycle", "drive" or "off".
        name: unique in the scenario.
        duration_s: always definite.
        speed_kph: of a cruise.
        to_kph: of an acceleration.
        pedal_pct: of an acceleration.
        cycle: name of a built-in cycle.
        from_s: where in that cycle it begins.
        path: file of a cycle or of a recorded drive.
        line: where it stands in the scenario file.
    """

    kind: str
    name: str
    duration_s: float
    speed_kph: float | None = None
    to_kph: float | None = None
    pedal_pct: float = 100.0
    cycle: str | None = None
    from_s: float = 0.0
    path: Path | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: a drive, what goes wrong in it, and what the gateway must achieve.

    Attributes:
        name: as the file names it.
        path: the file.
        variant: "baud=38400,profile=stn_fast" where `matrix:` made it; else empty.
        seed: of every random stream.
        needs: links, in order.
        tags: free words; `long` and `nightly` become pytest markers.
        mode: "virtual" or "paced".
        matrix: the values of this variant.
        limits: judged over the record.
        after: judged once the gateway has stopped.
        features: of the bench, which it needs beside its links.
    """

    name: str
    path: Path
    variant: str
    about: str
    seed: int
    needs: tuple[str, ...]
    tags: tuple[str, ...]
    mode: str
    matrix: Mapping[str, str]
    world: WorldSpec
    gateway: GatewaySpec
    phases: tuple[PhaseSpec, ...]
    faults: tuple[FaultSpec, ...]
    limits: tuple[Limit, ...]
    after: tuple[Limit, ...]
    features: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name and variant: unique in the file."""
        return f"{self.name}[{self.variant}]" if self.variant else self.name

    @property
    def gateways(self) -> tuple[str, ...]:
        """The gateways of a run: the car's, and where it sends by radio the base station's."""
        return (CAR, BASE) if MESH in self.needs else (CAR,)

    @property
    def duration_s(self) -> float:
        """Length of the drive."""
        return sum(phase.duration_s for phase in self.phases)

    @property
    def windows(self) -> tuple[tuple[str, float, float], ...]:
        """(phase name, start, end) in virtual seconds, in order."""
        windows = []
        start_s = 0.0
        for phase in self.phases:
            end_s = start_s + phase.duration_s
            windows.append((phase.name, start_s, end_s))
            start_s = end_s
        return tuple(windows)

    def phase_at(self, time_s: float) -> str | None:
        """Return the name of the phase at virtual second `time_s`; None outside the drive."""
        for name, start_s, end_s in self.windows:
            if start_s <= time_s < end_s:
                return name
        return None
