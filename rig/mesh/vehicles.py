"""Vehicles with a radio and no gateway of their own: the production uplink, fed from the truth.

A run with thirty vehicles would need thirty gateways and thirty serial ports. Instead each further
vehicle takes its readings from its car's true state, as the sensors would give them, hands them to
`server.mesh.uplink.uplink.Uplink` and its messages to a node of the world.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

import simpy

from rig.mesh.setup import mesh_plan_hz
from rig.record.writer import RecordWriter
from rig.scenario.model import MeshPlanSpec, Scenario
from server.catalogue import by_name
from server.mesh.air.budget import OwnAirtime
from server.mesh.uplink.uplink import Uplink, UplinkSettings
from server.readings import Reading
from sim.ecu.parameter import PidSpec
from sim.ecu.pids import PIDS
from sim.gnss import Motion
from sim.mesh import Mesh, MeshVehicle, public_channel
from sim.meshtastic.node import Reception
from sim.meshtastic.packet import BROADCAST, PRIVATE_APP, Packet, private_data
from sim.vehicle import VehicleState
from sim.world import World

MPS_TO_KPH = 3.6
_PIDS: Mapping[str, PidSpec] = {spec.name: spec for spec in PIDS.values()}
_MOTION: Mapping[str, Callable[[Motion], float]] = {
    "LAT": lambda motion: motion.lat_deg,
    "LON": lambda motion: motion.lon_deg,
    "ALT": lambda motion: motion.alt_m,
    "GPS_SPEED": lambda motion: motion.speed_mps * MPS_TO_KPH,
    "GPS_HEADING": lambda motion: motion.course_deg,
}


def start_vehicles(world: World, scenario: Scenario, writer: RecordWriter) -> None:
    """Let every further vehicle of the world take readings and send."""
    mesh = world.mesh
    if mesh is None:
        return
    for vehicle in mesh.vehicles:
        env_process = _Vehicle(world, mesh, vehicle, scenario, writer).run()
        world.env.process(env_process)


def uplink_settings(spec: MeshPlanSpec) -> UplinkSettings:
    """Return the settings that the car's own gateway makes of its configuration."""
    default = UplinkSettings.of()
    return UplinkSettings.of(
        rates_hz=mesh_plan_hz(spec),
        bounds=spec.bounds,
        period_s=default.profile.period_ms / 1000.0 if spec.period_s is None else spec.period_s,
        profile=spec.profile,
        flush_s=default.flush_s if spec.flush_s is None else spec.flush_s,
        duty_cycle_pct=spec.duty_cycle_pct,
    )


class _Vehicle:
    """One of them."""

    def __init__(
        self,
        world: World,
        mesh: Mesh,
        vehicle: MeshVehicle,
        scenario: Scenario,
        writer: RecordWriter,
    ) -> None:
        self._env = world.env
        self._epoch_ns = world.epoch_ns
        self._vehicle = vehicle
        self._node = vehicle.node
        self._writer = writer
        self._stream = world.streams.stream(f"mesh/uplink/{vehicle.name}")
        self._channel = public_channel(mesh.setup.preset)
        settings = uplink_settings(scenario.gateway.mesh)
        signals = mesh_plan_hz(scenario.gateway.mesh)
        self._pids = [(by_name(name).id, _PIDS[name]) for name in signals if name in _PIDS]
        self._motions = [
            (by_name(name).id, name, _MOTION[name]) for name in signals if name in _MOTION
        ]
        boot = self._stream.getrandbits(32) or 1
        self._uplink = Uplink(settings, boot, self._node.number, vin=vehicle.car.vin)
        self._uplink.radio(
            mesh.setup.preset, region_duty_pct=float(self._node.region.duty_cycle_pct)
        )
        self._own = OwnAirtime()
        self._node.on_packet = self._heard

    def run(self) -> Generator[simpy.Event, None, None]:
        """Take a reading of each signal and send what may be sent, once a row."""
        yield self._env.timeout(self._stream.uniform(0.0, 5.0))
        while True:
            self._uplink.offer(self._readings())
            self._send()
            yield self._env.timeout(self._uplink.wait_s(self._now_ns(), self._env.now))

    def _readings(self) -> list[Reading]:
        now_s, now_ns = self._env.now, self._now_ns()
        state = self._vehicle.car.vehicle.at(now_s)
        readings = [
            self._reading(signal, spec.name, now_ns, spec.truth(state), _given(spec, state))
            for signal, spec in self._pids
        ]
        motion = self._vehicle.car.motion(now_s)
        for signal, name, value_of in self._motions:
            value = value_of(motion)
            readings.append(self._reading(signal, name, now_ns, value, value))
        return readings

    def _reading(
        self, signal: int, name: str, now_ns: int, true: float | None, value: float
    ) -> Reading:
        self._writer.sample(now_ns, self._vehicle.name, name, true, value)
        return Reading(signal, now_ns, value, now_ns)

    def _send(self) -> None:
        uplink, node = self._uplink, self._node
        while True:
            outgoing = uplink.next(
                self._now_ns(),
                self._env.now,
                queue_free=node.queue_free,
                utilisation_pct=self._others_pct(),
            )
            if outgoing is None:
                return
            self._own.sent(self._env.now, outgoing.airtime_s)
            error = node.send(self._packet(outgoing.payload))
            if error:
                uplink.refused(outgoing, error, self._env.now)

    def _others_pct(self) -> float:
        channel_pct = self._node.airtime.channel_utilisation_pct()
        return self._own.others_pct(self._env.now, channel_pct)

    def _packet(self, payload: bytes) -> Packet:
        hash_, key = self._channel
        return Packet(
            self._node.number,
            BROADCAST,
            self._node.new_packet_id(),
            private_data(payload),
            channel_hash=hash_,
            key=key,
            hop_limit=self._node.hop_limit,
            hop_start=self._node.hop_limit,
        )

    def _heard(self, packet: Packet, _reception: Reception) -> None:
        is_for_us = self._node.can_read(packet) and packet.data.port == PRIVATE_APP
        if is_for_us and self._uplink.take(packet.data.payload, self._env.now):
            self._send()

    def _now_ns(self) -> int:
        return self._epoch_ns + round(self._env.now * 1e9)


def _given(spec: PidSpec, state: VehicleState) -> float:
    value = spec.decode(spec.encode(state))
    assert value is not None
    return value
