"""Further vehicles: the production uplink on a node of the world, without a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import simpy

from rig import assembly
from rig.scenario import expand_scenario
from server.wire import air

pytest.importorskip("meshtastic", reason="the package meshtastic is not installed")

from rig.mesh.vehicles import start_vehicles
from sim.mesh import public_channel
from sim.mesh_setup import base_node, vehicle_node
from sim.meshtastic.packet import BROADCAST, Packet, private_data
from sim.world import World

TEXT = """\
rig: 1
needs: [gps, mesh]
world: {mesh: {vehicles: 2, preset: SHORT_FAST, shadowing: 0 dB}}
gateway: {mesh: {plan: {RPM: 1 Hz, LAT: 1 Hz, COOLANT_TEMP: 0.5 Hz}, flush: 5 s}}
phases: [{cruise: {speed: 50 km/h, for: 60 s}}]
limits: {readings.lost: {equals: 0}}
"""


class Writer:
    """Keeps samples."""

    def __init__(self) -> None:
        self.samples: list[tuple[Any, ...]] = []

    def sample(self, *row: Any) -> None:
        """Keep one."""
        self.samples.append(row)


class Drive:
    """A world with two vehicles that has run for a while."""

    def __init__(self, tmp_path: Path) -> None:
        path = tmp_path / "two.scenario.yaml"
        path.write_text(TEXT)
        (scenario,) = expand_scenario(path)
        setup = assembly.world_setup(scenario)
        self.env = simpy.Environment()
        self.epoch_ns = scenario.world.epoch_ns
        self.world = World(self.env, setup, seed=5, epoch_ns=self.epoch_ns)
        self.writer = Writer()
        self.messages: list[Any] = []
        assert self.world.mesh is not None
        self.mesh = self.world.mesh
        self.mesh.nodes["mesh-2"].on_air.append(self._on_air)
        start_vehicles(self.world, scenario, self.writer)  # type: ignore[arg-type]

    def _on_air(self, _time_s: float, _node: Any, packet: Any, _us: int, kind: str) -> None:
        if kind == "own" and packet.data.port == 256:
            self.messages.append(air.read(packet.data.payload))

    def run(self, until_s: float) -> None:
        """Go on."""
        self.env.run(until=until_s)

    def say(self, message: air.Acks) -> None:
        """Let the base station's node send."""
        hash_, key = public_channel("SHORT_FAST")
        node = self.mesh.nodes["base"]
        data = private_data(message.to_bytes())
        packet = Packet(base_node(), BROADCAST, 7, data, channel_hash=hash_, key=key)
        assert node.send(packet) == 0


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    """Two vehicles."""
    return Drive(tmp_path)


def test_it_takes_what_its_sensors_would_give_once_a_row(drive: Drive) -> None:
    """Quantised as its ECUs do it, beside the truth, under its own name."""
    drive.run(40.0)
    rpm = [row for row in drive.writer.samples if row[2] == "RPM"]
    assert {row[1] for row in rpm} == {"mesh-2"}
    assert 30 <= len(rpm) <= 41
    assert all(row[4] * 4 == round(row[4] * 4) for row in rpm)
    assert all(abs(row[3] - row[4]) <= 0.126 for row in rpm)
    lat = [row[4] for row in drive.writer.samples if row[2] == "LAT"]
    assert lat[-1] != lat[0]


def test_what_it_sends_is_of_the_gateways_own_protocol(drive: Drive) -> None:
    """A greeting with its VIN, then packets with ascending numbers."""
    drive.run(50.0)
    hellos = [message for message in drive.messages if isinstance(message, air.Hello)]
    data = [message for message in drive.messages if isinstance(message, air.Data)]
    assert hellos[0].vin == drive.mesh.vehicles[0].car.vin
    assert len(data) >= 3
    assert {message.stream for message in data} == {hellos[0].stream}


def test_it_hears_the_base_station(drive: Drive) -> None:
    """Asked for its profile it sends it."""
    drive.run(10.0)
    hello = next(message for message in drive.messages if isinstance(message, air.Hello))
    assert not [m for m in drive.messages if isinstance(m, air.ProfilePart)]
    ack = air.Ack(vehicle_node(2), hello.stream, air.WANT_PROFILE, 0, 0)
    drive.say(air.Acks([ack]))
    drive.run(30.0)
    assert [m for m in drive.messages if isinstance(m, air.ProfilePart)]
