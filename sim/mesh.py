"""The radios of a world on one channel: of vehicles and base station, relays, ordinary nodes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import simpy

from sim import route
from sim.car import Car
from sim.lora.channel import Channel, Position
from sim.lora.presets import preset_named
from sim.lora.propagation import Place, TwoRay
from sim.lora.regions import region_named
from sim.mesh_setup import (
    BASE_LINE,
    MESH,
    TCP,
    MeshSetup,
    RadioPlace,
    base_node,
    numbered,
    ordinary_node,
    relay_node,
    vehicle_name,
    vehicle_node,
)
from sim.meshtastic.channels import ChannelTable
from sim.meshtastic.node import MeshNode
from sim.meshtastic.radio import Radio
from sim.meshtastic.services import Beacons, Fix
from sim.meshtastic.settings import RadioSetup
from sim.meshtastic.tcp_side import TcpConnection
from sim.route import Route
from sim.serial_line import SerialLine

CLUTTER_DB = 20.0
SHADOWING_DB = 6.0
CAR_ANTENNA_M = 1.5
BAUD = 115_200
NODE_INFO_EVERY = 10  # positions
TELEMETRY_EVERY = 3

Streams = Callable[[str], random.Random]
OnEvent = Callable[[str, str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class MeshVehicle:
    """A further vehicle: a car and a node; what it sends is the rig's affair."""

    name: str
    car: Car
    node: MeshNode


class Mesh:
    """All radios of a world.

    Args:
        env: the world's clock.
        setup: what to build.
        car: the world's own.
        further: builds the car of a further vehicle, by its number from 2 on.
        stream: gives random streams by name.
        epoch_ns: UTC nanoseconds at env time 0.
        on_event: told (radio, kind, detail) of reboots, power, clients.

    Attributes:
        channel: the air.
        car_radio, base_radio: with the API that gateways speak.
        vehicles: those beyond the world's own car.
        nodes: all nodes by name: "mesh", "mesh-2", "base", "relay", "relay-2", "node".
        lines: the cables of the two radios with an API, by name; over TCP what is pulled is the
            network's.
    """

    def __init__(
        self,
        env: simpy.Environment,
        setup: MeshSetup,
        car: Car,
        further: Callable[[int], Car],
        stream: Streams,
        epoch_ns: int,
        on_event: OnEvent | None = None,
    ) -> None:
        self.env = env
        self.setup = setup
        self.nodes: dict[str, MeshNode] = {}
        self.lines: dict[str, SerialLine] = {}
        self._stream = stream
        self._epoch_ns = epoch_ns
        self._on_event = on_event
        self._region = region_named(setup.region)
        self._fading = _Fading(_path_loss(setup, self._region.centre_mhz))
        self.channel = Channel(
            env,
            preset_named(setup.preset),
            self._region.centre_mhz,
            stream("mesh/channel"),
            self._fading,
            shadowing_db=SHADOWING_DB if setup.shadowing_db is None else setup.shadowing_db,
        )
        course = car.course
        self._radios: dict[str, Radio] = {}
        self.base_radio = self._api_radio(
            BASE_LINE, "base", base_node(), setup.base.on(course), "Base", "BASE"
        )
        self.car_radio = self._api_radio(MESH, MESH, vehicle_node(1), _moving(car), "Car", "CAR")
        for number, relay in enumerate(setup.relays, 1):
            self._node(numbered("relay", number), relay_node(number), relay.on(course), "CLIENT")
        for number, node in enumerate(setup.nodes, 1):
            self._ordinary_node(number, node, course)
        self.vehicles = tuple(
            self._vehicle(number, further(number)) for number in range(2, setup.vehicles + 1)
        )

    def fade(self, by_db: float) -> None:
        """Weaken every signal by so much more (less where negative)."""
        self._fading.extra_db += by_db
        # Strengths between fixed radios are kept; this lets them be computed anew.
        self.channel.reconfigure(next(iter(self.channel.stations.values())))

    def reboot(self) -> None:
        """Reboot the car's radio."""
        self.car_radio.reboot()

    def freeze(self, frozen: bool) -> None:
        """Let the car's radio serve its client no more, or again; on the mesh it goes on."""
        self.car_radio.freeze(frozen)

    def connect(self, name: str) -> TcpConnection | None:
        """Open a TCP connection to the radio of line `name`; None where nobody listens."""
        line = self.lines[name]
        reachable = not line.hung_up and not line.unreachable
        connection = self._radios[name].tcp.connect() if reachable else None
        if connection is not None:
            line.stands_for(connection)
        return connection

    def _api_radio(self, line_name: str, *who: Any) -> Radio:
        """Return a radio that a gateway can reach, over the transport of this world."""
        line = self.lines[line_name] = SerialLine(self.env, line_name, BAUD)
        by_tcp = self.setup.transport == TCP
        radio = self._radios[line_name] = self._radio(*who, line=None if by_tcp else line)
        if by_tcp:
            line.on_hang_up.append(radio.tcp.drop)
        return radio

    def _node(self, name: str, number: int, position: Position, role: str) -> MeshNode:
        setup = self.setup
        node = MeshNode(
            self.env,
            number,
            self.channel,
            position,
            self._stream(f"mesh/node/{name}"),
            region=self._region,
            role=role,
            tx_power_dbm=setup.tx_power_dbm or 0.0,
            hop_limit=setup.hop_limit,
        )
        node.keys = {public_channel(setup.preset)}
        self.nodes[name] = node
        return node

    def _radio(
        self,
        name: str,
        number: int,
        position: Position,
        long_name: str,
        short_name: str,
        **more: Any,
    ) -> Radio:
        setup, on_event = self.setup, self._on_event

        def event(_time_s: float, kind: str, detail: Mapping[str, Any]) -> None:
            if on_event is not None:
                on_event(name, kind, detail)

        return Radio(
            self.env,
            more.pop("line", None),
            self._node(name, number, position, setup.role),
            self._stream(f"mesh/radio/{name}"),
            setup=RadioSetup(
                name=long_name,
                short_name=short_name,
                preset=setup.preset,
                region=setup.region,
                role=setup.role,
                hop_limit=setup.hop_limit,
                tx_power_dbm=round(setup.tx_power_dbm or 0),
            ),
            on_event=event,
            **more,
        )

    def _ordinary_node(self, number: int, place: RadioPlace, course: Route) -> None:
        every_s = place.beacon_s or 0.0
        fix = _fix(course, place)
        self._radio(
            numbered("node", number),
            ordinary_node(number),
            place.on(course),
            f"Node {number}",
            f"N{number}",
            epoch_ns=self._epoch_ns,
            fix=lambda: fix,
            beacons=Beacons(every_s * NODE_INFO_EVERY, every_s, every_s * TELEMETRY_EVERY),
        )

    def _vehicle(self, number: int, car: Car) -> MeshVehicle:
        name = vehicle_name(number)
        node = self._node(name, vehicle_node(number), _moving(car), self.setup.role)
        return MeshVehicle(name, car, node)


class _Fading:
    """A path loss that can be made worse."""

    def __init__(self, path_loss: TwoRay) -> None:
        self._path_loss = path_loss
        self.extra_db = 0.0

    def __call__(self, a: Place, b: Place) -> float:
        return self._path_loss(a, b) + self.extra_db


def _path_loss(setup: MeshSetup, frequency_mhz: float) -> TwoRay:
    clutter_db = CLUTTER_DB if setup.clutter_db is None else setup.clutter_db
    return TwoRay(frequency_mhz, clutter_db=clutter_db)


def _moving(car: Car) -> Callable[[float], Place]:
    def place(time_s: float) -> Place:
        where = car.course.at(car.start_m + car.vehicle.at(time_s).distance_m)
        return Place(where.east_m, where.north_m, CAR_ANTENNA_M)

    return place


def _fix(course: Route, place: RadioPlace) -> Fix:
    """Return what the receiver of a radio that stands says."""
    where, ground_m = place.on(course), course.at(place.at_m).up_m
    spot = route.Place(where.x_m, where.y_m, ground_m + where.height_m, 0.0, 0.0)
    return Fix(*course.to_geodetic(spot))


def public_channel(preset: str) -> tuple[int, Any]:
    """Return (hash, key) of the channel that every radio of this preset has from the factory."""
    from sim.meshtastic.protobufs import config_pb2

    presets = config_pb2.Config.LoRaConfig.ModemPreset
    lora = config_pb2.Config.LoRaConfig(use_preset=True, modem_preset=presets.Value(preset))
    table = ChannelTable(lambda: lora)
    hash_ = table.hash(0)
    assert hash_ is not None
    return hash_, table.key(0)
