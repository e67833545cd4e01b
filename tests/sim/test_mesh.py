"""The radios of a world: where they stand, who hears whom, how they are reached."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import simpy

from sim.mesh_setup import MeshSetup, RadioPlace, base_node, vehicle_node
from sim.route import COURSES
from sim.vehicle import Cruise, Drive, Idle
from sim.world import World, WorldSetup

pytest.importorskip("meshtastic", reason="the package meshtastic is not installed")

EPOCH_NS = 1_777_622_400_000_000_000
DRIVE = Drive([Idle("idle", 5.0), Cruise("cruise", 60.0, speed_kph=72.0)])


def build(**changes: object) -> World:
    """A world with radios alone, on a straight road without hills or houses between."""
    mesh = replace(MeshSetup(shadowing_db=0.0), **changes)  # type: ignore[arg-type]
    setup = WorldSetup(DRIVE, COURSES["highway"], obd=None, gps=None, mesh=mesh)
    return World(simpy.Environment(), setup, seed=3, epoch_ns=EPOCH_NS)


def test_a_place_is_along_the_course_and_to_its_right() -> None:
    """In local metres, the antenna's height above the ground."""
    course = COURSES["highway"]
    road = course.at(2000.0)
    right = RadioPlace(2000.0, 100.0, 15.0).on(course)
    left = RadioPlace(2000.0, -100.0, 15.0).on(course)
    heading = math.radians(road.heading_deg)
    across = (right.x_m - road.east_m, right.y_m - road.north_m)
    assert math.hypot(*across) == pytest.approx(100.0)
    assert across[0] * math.sin(heading) + across[1] * math.cos(heading) == pytest.approx(0.0)
    assert across[0] * math.cos(heading) > 0  # heading north, east is to the right
    assert (left.x_m + right.x_m) / 2 == pytest.approx(road.east_m)
    assert right.height_m == 15.0


def test_the_cars_radio_moves_with_it_and_gets_weaker() -> None:
    """As it drives away from the base station."""
    world = build()
    mesh = world.mesh
    assert mesh is not None
    stations = mesh.channel.stations
    strengths, places = [], []
    for time_s in (1.0, 30.0, 60.0):
        world.env.run(until=time_s)
        places.append(mesh.nodes["mesh"].place)
        link = mesh.channel.link(stations[vehicle_node(1)], stations[base_node()])
        strengths.append(link[0])
    assert places[0].height_m == 1.5
    assert math.dist(*((p.x_m, p.y_m) for p in places[1:])) == pytest.approx(600.0, rel=0.05)
    assert strengths == sorted(strengths, reverse=True)


def test_fading_weakens_every_signal_and_ends() -> None:
    """Between radios that stand, too: their strengths are kept."""
    world = build(relays=(RadioPlace(1000.0, 0.0, 50.0),))
    mesh = world.mesh
    assert mesh is not None
    pair = mesh.channel.stations[base_node()], mesh.channel.stations[mesh.nodes["relay"].number]
    before = mesh.channel.link(*pair)[0]
    mesh.fade(30.0)
    assert mesh.channel.link(*pair)[0] == pytest.approx(before - 30.0)
    mesh.fade(-30.0)
    assert mesh.channel.link(*pair)[0] == pytest.approx(before)


def test_each_further_vehicle_is_a_car_of_its_own() -> None:
    """Another VIN, another place on the road, a node that reads the same channel."""
    world = build(vehicles=3)
    mesh = world.mesh
    assert mesh is not None
    assert [vehicle.name for vehicle in mesh.vehicles] == ["mesh-2", "mesh-3"]
    assert len({world.car.vin, *(vehicle.car.vin for vehicle in mesh.vehicles)}) == 3
    assert [vehicle.node.number for vehicle in mesh.vehicles] == [vehicle_node(2), vehicle_node(3)]
    assert mesh.vehicles[0].node.keys & mesh.nodes["base"].keys


def test_over_tcp_a_radio_is_reached_while_its_cable_is_in() -> None:
    """Pulled, the connection breaks and no other is made; bytes are on the record all the same."""
    world = build(transport="tcp")
    mesh = world.mesh
    assert mesh is not None
    seen: list[bytes] = []
    mesh.lines["mesh"].taps.append(lambda _time_s, _to_host, data: seen.append(data))
    connection = mesh.connect("mesh")
    assert connection is not None
    connection.attach_host(lambda _data: None)
    connection.feed(b"\xc3" * 8)
    world.env.run(until=1.0)
    assert seen == [b"\xc3" * 8]
    world.lines["mesh"].hang_up()
    world.env.run(until=2.0)
    assert connection.hung_up
    assert mesh.connect("mesh") is None
    world.lines["mesh"].replug()
    assert mesh.connect("mesh") is not None


def test_an_ordinary_node_beacons() -> None:
    """Its position goes on the air by itself, now and then."""
    world = build(nodes=(RadioPlace(500.0, 100.0, 3.0, beacon_s=20.0),))
    mesh = world.mesh
    assert mesh is not None
    ports: list[int] = []
    mesh.nodes["node"].on_air.append(
        lambda _t, _node, packet, _us, _kind: ports.append(packet.data.port)
    )
    world.env.run(until=200.0)
    assert ports.count(3) >= 3
