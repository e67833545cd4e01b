"""Connects a world and a gateway with the record of their run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from typing import TYPE_CHECKING, Any

import simpy

from rig.record.manifest import FaultWindow
from rig.record.streams import (
    CAN_ERROR,
    CAN_EXTENDED,
    CAN_REMOTE,
    CanRow,
    Reception,
    Transmission,
    http_stream_name,
)
from rig.record.writer import RecordWriter
from rig.scenario.model import BOARD_GPS_SIGNALS
from sim.can.frame import CanFrame
from sim.ecu.pids import PIDS
from sim.gnss import Fix, Motion
from sim.vehicle import VehicleState
from sim.world import World

if TYPE_CHECKING:
    from sim.can.faults import ErrorKind
    from sim.can_side import CanSide
    from sim.mesh import Mesh

TRUTH_PERIOD_S = 0.1

# Columns of the truth: name (a signal's short name where the column is that signal's truth) and
# how it comes from the vehicle's state.
STATE_COLUMNS: tuple[tuple[str, str], ...] = (
    ("RPM", "rpm"),
    ("SPEED", "speed_mps"),
    ("gear", "gear"),
    ("distance_m", "distance_m"),
    ("accel_mps2", "accel_mps2"),
    ("pedal_pct", "pedal_pct"),
    ("THROTTLE_POS", "throttle_pct"),
    ("ENGINE_LOAD", "load_pct"),
    ("INTAKE_PRESSURE", "map_kpa"),
    ("boost_kpa", "boost_kpa"),
    ("MAF", "maf_gps"),
    ("COOLANT_TEMP", "coolant_c"),
    ("OIL_TEMP", "oil_c"),
    ("INTAKE_TEMP", "intake_c"),
    ("battery_v", "battery_v"),
    ("fuel_rate_lph", "fuel_rate_lph"),
    ("fuel_used_l", "fuel_used_l"),
)
POSITION_COLUMNS = ("LAT", "LON", "ALT", "GPS_HEADING")
TRUTH_COLUMNS = [name for name, _ in STATE_COLUMNS] + list(POSITION_COLUMNS)
MPS_TO_KPH = 3.6
CAN = "can"
DERIVED = "derived"  # source of the samples of what the gateway computes out of others
PSI_PER_KPA = 0.1450377377
SPEED_COLUMN = 1


Decode = Callable[[CanFrame], Mapping[str, float]]


class Recording:
    """Taps every link of a world, samples its truth, and listens to the gateway.

    `attach(world)` before the world's first event; then everything happens at the instants at which
    it happens.

    Args:
        writer: of the record.
        epoch_ns: UTC of the world's zero.
        decode: gives signal -> value of a frame of the CAN bus whose sender says neither; with it
            the stream `can` is kept.
        has_truth: False where every device is a recording: nobody knows what the car did.
    """

    def __init__(
        self,
        writer: RecordWriter,
        epoch_ns: int,
        decode: Decode | None = None,
        *,
        has_truth: bool = True,
    ) -> None:
        self._writer = writer
        self._has_truth = has_truth
        self._epoch_ns = epoch_ns
        self._decode = decode
        self.readings = 0
        self._faults: list[FaultWindow] = []
        self._open_faults: dict[tuple[str, Any, Any], int] = {}
        self._barometer_kpa: float | None = None  # as the ECU last said it

    def attach(self, world: World) -> None:
        for name, line in world.lines.items():
            line.taps.append(self._tap(name))
        for board in world.fleet or ():
            if board.line.to_host.receiver is None:
                board.line.attach_host(lambda _data: None)  # nobody listens, but it is recorded
            board.on_http.append(self._http_tap(http_stream_name(board.name), world.env))
        if world.mesh is not None:
            self._attach_radios(world.mesh)
        if world.can is not None and self._decode is not None:
            self._attach_bus(world.can, self._decode)
        world.listeners.append(self._note)
        if self._has_truth:
            world.env.process(self._truth(world))

    # -- the world ---------------------------------------------------------------------------------
    def _tap(self, link: str) -> Any:
        wire, epoch_ns = self._writer.wire, self._epoch_ns

        def tap(time_s: float, to_host: bool, data: bytes) -> None:
            wire(link, epoch_ns + round(time_s * 1e9), to_host, data)

        return tap

    def _http_tap(self, stream: str, env: simpy.Environment) -> Any:
        wire, epoch_ns = self._writer.wire, self._epoch_ns

        def tap(to_host: bool, status: int, body: bytes) -> None:
            wire(stream, epoch_ns + round(env.now * 1e9), to_host, body)

        return tap

    def _attach_radios(self, mesh: Mesh) -> None:
        epoch_ns, air, heard = self._epoch_ns, self._writer.air, self._writer.heard

        def on_air(time_s: float, node: Any, packet: Any, airtime_us: int, kind: str) -> None:
            text = packet.payload.decode("latin-1") if kind == "own" else ""
            row = Transmission(
                epoch_ns + round(time_s * 1e9),
                node.number,
                kind,
                packet.sender,
                packet.to,
                packet.id,
                packet.frame_bytes,
                airtime_us,
                text,
            )
            air(row)

        def on_outcome(time_s: float, signal: Any, outcome: Any) -> None:
            transmission = signal.transmission
            packet = transmission.frame
            row = Reception(
                epoch_ns + round(time_s * 1e9),
                signal.station.number,
                transmission.station.number,
                packet.sender,
                packet.id,
                outcome.value,
                signal.reported_snr_db,
            )
            heard(row)

        for node in mesh.nodes.values():
            node.on_air.append(on_air)
        mesh.channel.on_outcome.append(on_outcome)

    def _attach_bus(self, side: CanSide, decode: Decode) -> None:
        """Keep each frame at its end, and each error frame; and the values that frames carried.

        A value counts as taken when its frame has ended: nobody can know it before, and how long a
        frame waits for the bus is no affair of a gateway.
        """
        epoch_ns, bus, sample = self._epoch_ns, side.bus, self._writer.sample
        row, seen_bits = self._writer.can, 0
        under_way: dict[str, Mapping[str, tuple[float | None, float]]] = {}

        def bits() -> int:
            nonlocal seen_bits
            before, seen_bits = seen_bits, bus.busy_bits + bus.error_bits
            return seen_bits - before

        def on_frame(time_s: float, sender: str, frame: CanFrame) -> None:
            time_ns = epoch_ns + round(time_s * 1e9)
            flags = CAN_EXTENDED * frame.is_extended + CAN_REMOTE * frame.is_remote
            text = frame.data.decode("latin-1")
            row(CanRow(time_ns, sender, frame.arbitration_id, flags, text, bits()))
            if sender in side.strangers:
                for signal, value in decode(frame).items():
                    sample(time_ns, CAN, signal, None, value)

        def on_error(time_s: float, sender: str, kind: ErrorKind, frame: CanFrame) -> None:
            time_ns = epoch_ns + round(time_s * 1e9)
            flags = CAN_ERROR + CAN_EXTENDED * frame.is_extended + CAN_REMOTE * frame.is_remote
            row(CanRow(time_ns, sender, frame.arbitration_id, flags, kind.value, bits()))

        def on_sent(time_s: float, message: str, _sampled_s: float) -> None:
            time_ns = epoch_ns + round(time_s * 1e9)
            for signal, (true, wire) in under_way[message].items():
                # What the car does not know is said by a number that is no value.
                sample(time_ns, CAN, signal, true, None if true is None else wire)

        bus.taps.append(on_frame)
        bus.error_taps.append(on_error)
        side.on_sample = lambda _time_s, name, values: under_way.update({name: values})
        side.on_sent = on_sent

    def on_sample(
        self, time_s: float, ecu: str, pid: int, data: bytes, state: VehicleState
    ) -> None:
        """An ECU took a value: this is the instant measured."""
        spec = PIDS[pid]
        true = spec.truth(state)
        if true is None or ecu != "ecm":
            return
        time_ns, wire = self._epoch_ns + round(time_s * 1e9), spec.decode(data)
        self._writer.sample(time_ns, "obd", spec.name, true, wire)
        if spec.name == "BAROMETRIC_PRESSURE":
            self._barometer_kpa = wire
        elif spec.name == "INTAKE_PRESSURE":
            self._sample_boost(time_ns, wire, state)

    def _sample_boost(self, time_ns: int, manifold_kpa: float | None, state: VehicleState) -> None:
        """Boost is the manifold's pressure above the barometer's; nothing before both were said."""
        true = state.boost_kpa * PSI_PER_KPA
        wire = None
        if manifold_kpa is not None and self._barometer_kpa is not None:
            wire = (manifold_kpa - self._barometer_kpa) * PSI_PER_KPA
        self._writer.sample(time_ns, DERIVED, "BOOST", true, wire)

    def on_board_sample(
        self, board: str, time_s: float, ecu: str, pid: int, data: bytes, state: VehicleState
    ) -> None:
        """An ECU took a value that a board asked for."""
        spec = PIDS[pid]
        true = spec.truth(state)
        if true is not None and ecu == "ecm":
            time_ns = self._epoch_ns + round(time_s * 1e9)
            self._writer.sample(time_ns, board, spec.name, true, spec.decode(data))

    def on_board_epoch(self, board: str, time_s: float, motion: Motion, fix: Fix | None) -> None:
        """A board's receiver measured."""
        self._epoch(board, time_s, motion, fix, BOARD_GPS_SIGNALS)

    def on_epoch(self, time_s: float, motion: Motion, fix: Fix | None) -> None:
        """The receiver measured."""
        self._epoch("gps", time_s, motion, fix)

    def _epoch(
        self,
        source: str,
        time_s: float,
        motion: Motion,
        fix: Fix | None,
        only: Collection[str] = (),
    ) -> None:
        time_ns = self._epoch_ns + round(time_s * 1e9)
        sample = self._writer.sample
        has_fix = fix is not None and fix.valid
        for signal, true, wire in (
            ("LAT", motion.lat_deg, fix.lat_deg if fix else None),
            ("LON", motion.lon_deg, fix.lon_deg if fix else None),
            ("ALT", motion.alt_m, fix.alt_m if fix else None),
            (
                "GPS_SPEED",
                motion.speed_mps * MPS_TO_KPH,
                fix.speed_mps * MPS_TO_KPH if fix else None,
            ),
            ("GPS_HEADING", motion.course_deg, fix.course_deg if fix else None),
            # No truth but the receiver's own: it says which satellites it uses.
            ("HDOP", None, fix.hdop if fix else None),
            ("SATS", None, fix.satellites if fix else None),
        ):
            if not only or signal in only:
                sample(time_ns, source, signal, true, wire if has_fix else None)

    def _truth(self, world: World) -> Generator[simpy.Event, None, None]:
        truth, timeout = self._writer.truth, world.env.timeout
        fields = [field for _, field in STATE_COLUMNS]
        count = 0
        while True:
            time_s = world.env.now
            state = world.vehicle.at(time_s)
            values = [float(getattr(state, field)) for field in fields]
            values[SPEED_COLUMN] *= MPS_TO_KPH
            place = world.course.at(state.distance_m)
            values += [*world.course.to_geodetic(place), place.heading_deg]
            truth(self._epoch_ns + round(time_s * 1e9), values)
            count += 1
            # From the count, not by adding up: the grid stays exact.
            yield timeout(count * TRUTH_PERIOD_S - world.env.now)

    def _note(
        self, time_s: float, kind: str, name: str, phase: str, detail: Mapping[str, Any]
    ) -> None:
        time_ns = self._epoch_ns + round(time_s * 1e9)
        self._writer.event(time_ns, kind, {"name": name, "phase": phase, **detail})
        if kind == "fault":
            self._fault(time_ns, name, phase, detail)

    def _fault(self, time_ns: int, name: str, phase: str, detail: Mapping[str, Any]) -> None:
        key = (name, detail.get("index"), detail.get("number"))
        if phase == "start":
            self._open_faults[key] = time_ns
            return
        start_ns = self._open_faults.pop(key, time_ns)
        self._faults.append(
            FaultWindow(name, str(detail["kind"]), str(detail["link"]), start_ns, time_ns)
        )

    def fault_windows(self, end_ns: int) -> list[FaultWindow]:
        """Every fault while it was active, in order; one that is still active ends at `end_ns`."""
        still = [
            FaultWindow(name, name, "", start_ns, end_ns)
            for (name, *_), start_ns in self._open_faults.items()
        ]
        return sorted([*self._faults, *still], key=lambda window: (window.start_ns, window.name))

    # -- the gateway -------------------------------------------------------------------------------
    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None:
        self.readings += len(rows)
        self._writer.published(arrived_ns, rows, device, boot)

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None:
        self._writer.stored_at(boot, upto_seq, time_ns, device, first_seq)

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        if kind == "hello":
            boot, boots = detail.get("boot", 0), self._writer.boots
            if "gateway" not in detail and boot not in boots:
                boots.append(boot)
        else:
            self._writer.event(time_ns, "gateway." + kind, dict(detail))
