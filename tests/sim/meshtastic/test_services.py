"""What radios say of themselves: who, where, how, and by which way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("meshtastic", reason="the package meshtastic (extra mesh) is not installed")

import simpy

from sim.lora.channel import Channel
from sim.lora.presets import preset_named
from sim.lora.propagation import Place
from sim.lora.regions import region_named
from sim.meshtastic.node import MeshNode
from sim.meshtastic.protobufs import BROADCAST, telemetry_pb2
from sim.meshtastic.radio import Radio
from sim.meshtastic.services import Beacons, Fix, truncate_position
from sim.meshtastic.settings import RadioSetup
from sim.serial_line import SerialLine
from sim.streams import RandomStreams
from tests.sim.meshtastic.bench import EPOCH_NS, Bench, Client, Port, mesh_pb2


@pytest.fixture
def bench() -> Bench:
    """A radio with a connected client, and one node that does not speak by itself."""
    bench = Bench(nodes=1, beacon_s=100_000.0)
    bench.connect_all()
    bench.client.run(20.0)  # the node's first words are over
    return bench


def ask(bench: Bench, port: int, payload: bytes = b"", wait_s: float = 5.0) -> Any:
    """Ask the node; returns its answer."""
    packet_id = bench.client.send(
        payload, port=port, to=bench.nodes[0].number, want_response=True, wait_s=wait_s
    )
    return bench.client.answer(packet_id)


def test_position_is_answered_once_in_three_minutes(bench: Bench) -> None:
    """Where the node is, in its channel's precision; a second request is ignored."""
    position = mesh_pb2.Position.FromString(ask(bench, Port.POSITION_APP, wait_s=15.0))
    assert position.precision_bits == 13
    assert abs(position.latitude_i - 505_330_000) < 10_000_000
    assert ask(bench, Port.POSITION_APP, wait_s=15.0) is None
    bench.client.run(180.0)
    assert ask(bench, Port.POSITION_APP, wait_s=15.0) is not None


def test_device_metrics_are_answered(bench: Bench) -> None:
    """Powered, and how busy the channel is."""
    request = telemetry_pb2.Telemetry()
    request.device_metrics.SetInParent()
    answer = ask(bench, Port.TELEMETRY_APP, request.SerializeToString(), wait_s=12.0)
    metrics = telemetry_pb2.Telemetry.FromString(answer).device_metrics
    assert metrics.battery_level == 101
    assert metrics.channel_utilization > 0
    assert metrics.uptime_seconds >= 20


def test_local_stats_are_answered(bench: Bench) -> None:
    """Packets and nodes."""
    request = telemetry_pb2.Telemetry()
    request.local_stats.SetInParent()
    answer = ask(bench, Port.TELEMETRY_APP, request.SerializeToString(), wait_s=12.0)
    stats = telemetry_pb2.Telemetry.FromString(answer).local_stats
    assert stats.num_total_nodes == 2
    assert stats.num_packets_rx >= 1


@pytest.mark.parametrize("variant", ["environment_metrics", "power_metrics", None])
def test_sensors_that_it_has_not_are_refused(bench: Bench, variant: str | None) -> None:
    """NO_RESPONSE: no module answers."""
    request = telemetry_pb2.Telemetry()
    if variant is not None:
        getattr(request, variant).SetInParent()
    payload = request.SerializeToString()
    assert ask(bench, Port.TELEMETRY_APP, payload, wait_s=12.0) == "NO_RESPONSE"


def test_ports_without_a_service_are_refused(bench: Bench) -> None:
    """NO_RESPONSE for a request on the private port."""
    assert ask(bench, Port.PRIVATE_APP, b"?") == "NO_RESPONSE"


def test_node_info_is_answered_once_in_ten_minutes(bench: Bench) -> None:
    """With names and public key."""
    bench.client.run(600.0)
    answer = ask(bench, Port.NODEINFO_APP, bench.radio.settings.owner.SerializeToString())
    user = mesh_pb2.User.FromString(answer)
    assert user.long_name == "Node 1"
    assert len(user.public_key) == 32
    again = ask(bench, Port.NODEINFO_APP, bench.radio.settings.owner.SerializeToString())
    assert again is None


def test_a_broadcast_request_is_refused_by_the_radio_itself(bench: Bench) -> None:
    """As the firmware does with a request to all that comes from its own client."""
    packet_id = bench.client.send(
        b"", port=Port.TELEMETRY_APP, to=BROADCAST, want_response=True, wait_s=1.0
    )
    assert bench.client.acks(packet_id)[0] == (bench.radio.number, "NO_RESPONSE")


def test_traceroute_tells_the_way_there_and_back(bench: Bench) -> None:
    """A neighbour: no node between, one SNR each way."""
    answer = ask(bench, Port.TRACEROUTE_APP, wait_s=8.0)
    route = mesh_pb2.RouteDiscovery.FromString(answer)
    assert (list(route.route), list(route.route_back)) == ([], [])
    assert (len(route.snr_towards), len(route.snr_back)) == (1, 1)


def test_beacons_reach_the_client_and_the_node_list() -> None:
    """Position and telemetry of nodes, without being asked."""
    bench = Bench(nodes=2, beacon_s=60.0)
    bench.connect_all()
    bench.client.run(150.0)
    for port in (Port.POSITION_APP, Port.TELEMETRY_APP):
        others = {getattr(packet, "from") for packet in bench.client.packets(port)}
        assert {node.number for node in bench.nodes} <= others
    known = bench.radio.nodes.get(bench.nodes[0].number)
    assert known is not None
    assert known.position.precision_bits == 13
    assert known.device_metrics.battery_level == 101


def test_the_client_gets_its_own_radios_metrics_every_minute(bench: Bench) -> None:
    """And its statistics every quarter of an hour."""
    bench.client.run(16 * 60.0)
    own = [
        telemetry_pb2.Telemetry.FromString(packet.decoded.payload).WhichOneof("variant")
        for packet in bench.client.packets(Port.TELEMETRY_APP)
        if getattr(packet, "from") == bench.radio.number
    ]
    assert own.count("local_stats") == 1
    assert 15 <= own.count("device_metrics") <= 18


def test_a_busy_channel_is_left_to_others(bench: Bench) -> None:
    """Above 25 % nobody speaks by itself."""
    node = bench.nodes[0]
    node.services.beacons = Beacons(telemetry_s=10.0, first_s=0.0)
    node.services.start()
    before = node.counters["sent"]
    for _ in range(6):
        node.node.airtime.log_received(20_000)
        bench.client.run(10.0)
    assert node.counters["sent"] == before


@pytest.mark.parametrize(
    "port",
    [Port.NODEINFO_APP, Port.TELEMETRY_APP, Port.ADMIN_APP, Port.ROUTING_APP, Port.TRACEROUTE_APP],
)
def test_undecodable_payloads_on_known_ports_are_counted(port: int) -> None:
    """They reach the client as they are, change nothing, and bring nothing down."""
    bench = Bench(radios=2)
    bench.connect_all()
    before = bench.radio.nodes.get(bench.radios[1].number)
    assert before is not None
    name = before.user.long_name
    for payload in (b"\xff\xff\xff", b"\x0a\x05ab", bytes(50)):
        packet = bench.radios[1].new_packet(port, payload)
        bench.radios[1].send(packet)
        bench.client.run(3.0)
    assert [bytes(p.decoded.payload)[:1] for p in bench.client.packets(port)][:1] == [b"\xff"]
    assert before.user.long_name == name
    if port in (Port.NODEINFO_APP, Port.TELEMETRY_APP):
        assert bench.radio.counters["undecodable"] == 3


def test_numbers_that_are_none_pass_through() -> None:
    """A sensor's NaN is stored and told as it came."""
    bench = Bench(radios=2)
    bench.connect_all()
    telemetry = telemetry_pb2.Telemetry()
    telemetry.device_metrics.voltage = float("nan")
    other = bench.radios[1]
    other.send(other.new_packet(Port.TELEMETRY_APP, telemetry.SerializeToString()))
    bench.client.run(3.0)
    infos = [m.node_info for m in bench.client.connect() if m.HasField("node_info")]
    voltage = next(i.device_metrics.voltage for i in infos if i.num == other.number)
    assert voltage != voltage


def test_a_stranger_is_greeted_and_answers() -> None:
    """A node that is heard for the first time is told who this is, and says who it is."""
    bench = Bench(radios=2)
    one, two = bench.radios
    for radio, other in ((one, two), (two, one)):
        radio.nodes.remove(other.number)
    bench.connect_all()
    bench.clients[1].send(b"hello", wait_s=20.0)
    known = one.nodes.get(two.number)
    assert known is not None
    assert known.user.long_name == "telerig 2"


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1), st.integers(1, 32))
def test_truncation_moves_a_position_into_the_middle_of_its_cell(
    latitude: int, longitude: int, bits: int
) -> None:
    """At most half a cell away, the same for all points of a cell, and still 32 bits."""
    position = mesh_pb2.Position(latitude_i=latitude, longitude_i=longitude)
    truncate_position(position, bits)
    cell = 1 << (32 - bits)
    assert abs(position.latitude_i - latitude) <= cell // 2
    assert abs(position.longitude_i - longitude) <= cell // 2
    assert position.precision_bits == bits


class Chain:
    """Three radios in a row: the outer ones hear only the one in the middle."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        streams = RandomStreams(3)

        def loss_db(a: Place, b: Place) -> float:
            return 100.0 if abs(a.x_m - b.x_m) < 1500.0 else 190.0

        channel = Channel(
            self.env, preset_named("SHORT_FAST"), 869.5, streams.stream("air"), loss_db,
            shadowing_db=0.0,
        )  # fmt: skip
        self.radios = []
        for number in range(3):
            node = MeshNode(
                self.env,
                0xC0000001 + number,
                channel,
                Place(1000.0 * number, 0.0),
                streams.stream(f"node {number}"),
                region=region_named("EU_868"),
            )
            line = SerialLine(self.env, f"chain {number}", 115200)
            self.radios.append(
                Radio(
                    *(self.env, line, node, streams.stream(f"radio {number}")),
                    setup=RadioSetup(name=f"R{number}", preset="SHORT_FAST"),
                    epoch_ns=EPOCH_NS,
                    fix=lambda: Fix(50.0, 7.0),
                    beacons=Beacons(node_info_s=0, position_s=0, telemetry_s=0),
                    log_text=False,
                )
            )
        for radio in self.radios:
            radio.know(self.radios)
        assert self.radios[0].line is not None
        self.client = Client(self.env, self.radios[0].line)


def test_traceroute_names_the_relay() -> None:
    """A node between writes itself down, there and back."""
    chain = Chain()
    chain.client.connect()
    relay, last = chain.radios[1].number, chain.radios[2].number
    packet_id = chain.client.send(
        b"", port=Port.TRACEROUTE_APP, to=last, want_response=True, wait_s=20.0
    )
    route = mesh_pb2.RouteDiscovery.FromString(chain.client.answer(packet_id))
    assert (list(route.route), list(route.route_back)) == ([relay], [relay])
    assert (len(route.snr_towards), len(route.snr_back)) == (2, 2)


def test_packets_over_a_relay_tell_their_hops() -> None:
    """One hop was used; the node list knows it."""
    chain = Chain()
    chain.client.connect()
    last = chain.radios[2]
    last.send(last.new_packet(Port.PRIVATE_APP, b"far"))
    chain.client.run(10.0)
    (packet,) = chain.client.packets(Port.PRIVATE_APP)
    assert packet.hop_start - packet.hop_limit == 1
    known = chain.radios[0].nodes.get(last.number)
    assert known is not None
    assert known.hops_away == 1
