"""Faults of a network: bytes of TCP connections that are late, requests that do not arrive."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import simpy

from rig.faults import add_faults, fault
from sim.esp32 import BoardSetup, HttpAnswer, HttpRequest
from sim.network import LINUX_RTO_S, KeepAlive
from sim.route import COURSES
from sim.serial_line import SerialLine
from sim.socketcand.pipe import ClientPipe
from sim.vehicle import Cruise, Drive
from sim.world import Esp32Setup, World, WorldSetup


class Server:
    """A line that stands for a TCP server; each connection's bytes are kept at both ends."""

    def __init__(self, world: Any, make: Callable[[simpy.Environment], SerialLine]) -> None:
        self.env = world.env
        self.line = world.lines["can"]
        self._make = make
        self.at_host: list[tuple[float, bytes]] = []
        self.at_device: list[tuple[float, bytes]] = []
        self.closed_s: list[float] = []

    def connect(self) -> SerialLine | None:
        if self.line.unreachable:
            return None
        pipe = self._make(self.env)
        self.line.stands_for(pipe)
        pipe.attach_host(lambda data: self.at_host.append((self.env.now, data)))
        pipe.attach_device(lambda data: self.at_device.append((self.env.now, data)))
        pipe.on_hang_up.append(lambda: self.closed_s.append(self.env.now))
        return pipe

    def at(self, at_s: float, action: Callable[[], object]) -> None:
        event = self.env.timeout(at_s - self.env.now)
        event.callbacks.append(lambda _event: action())


@pytest.fixture(params=["pipe", "line"])
def server(world: Any, request: pytest.FixtureRequest) -> Server:
    """A socketcand pipe, and the plain unpaced line of a radio's TCP side."""
    if request.param == "pipe":
        return Server(world, lambda env: ClientPipe(env, "tcp"))
    return Server(world, lambda env: SerialLine(env, "tcp", paced=False, frame_s=0.0))


@pytest.fixture
def pipe(server: Server) -> SerialLine:
    """An open connection that carries a numbered message each way ten times a second."""
    pipe = server.connect()
    assert pipe is not None
    for number in range(300):
        at_s = number / 10.0 + 0.05
        server.at(at_s, lambda n=number: pipe.write(b"to host %03d" % n))  # type: ignore[misc]
        server.at(at_s, lambda n=number: pipe.feed(b"to device %03d" % n))  # type: ignore[misc]
    return pipe


def late_s(got: list[tuple[float, bytes]]) -> list[float]:
    """How late each message is, by its number; they must all be there, in order."""
    numbers = [int(data.split()[-1]) for _, data in got]
    assert numbers == list(range(300))
    return [at_s - number / 10.0 - 0.05 for number, (at_s, _) in enumerate(got)]


def test_latency_is_added_each_way(world: Any, server: Server, pipe: SerialLine) -> None:
    """And gone afterwards."""
    spec = fault("net_latency", "can", at_s=10.0, for_s=10.0, time="300 ms", jitter="200 ms")
    add_faults(world, spec)
    world.env.run(until=60.0)
    for got in (server.at_host, server.at_device):
        late = late_s(got)
        assert max(late[:99]) < 1e-6
        assert all(0.3 <= one < 0.51 for one in late[101:199])
        assert max(late[206:]) < 1e-3
    assert pipe.to_host.faults == server.line.to_host.faults == []


def test_lost_packets_come_later_and_hold_up_what_follows(
    world: Any, server: Server, pipe: SerialLine
) -> None:
    """After the retransmission timeout, or twice that and more; none is missing, none doubled."""
    add_faults(world, fault("net_loss", "can", at_s=5.0, for_s=20.0, probability="20 %"))
    world.env.run(until=60.0)
    for got in (server.at_host, server.at_device):
        late = late_s(got)
        assert 30 < sum(one > LINUX_RTO_S / 2.0 for one in late) < 170
        assert max(late) > LINUX_RTO_S
        assert max(late[:49]) < 1e-6


def test_a_narrow_way_carries_its_rate(world: Any, server: Server, pipe: SerialLine) -> None:
    """110 bytes a second want through where 55 can; what is queued at the end leaves then."""
    add_faults(world, fault("net_slow", "can", at_s=5.0, for_s=10.0, rate="55 B/s"))
    world.env.run(until=60.0)
    late = late_s(server.at_host)
    assert late[60] == pytest.approx(11 * 0.2 - 1.0, abs=0.05)
    assert late[85] == pytest.approx(36 * 0.2 - 3.5, abs=0.05)
    assert late[140] == pytest.approx(0.95, abs=0.01)
    assert max(late[151:]) < 0.01


def test_a_partition_lets_nothing_through_and_then_everything(
    world: Any, server: Server, pipe: SerialLine
) -> None:
    """With the first retransmission after its end; the connection lives, a new one does not."""
    refused: list[object] = []
    add_faults(world, fault("net_partition", "can", at_s=10.0, for_s=5.0))
    server.at(12.0, lambda: refused.append(server.connect()))
    world.env.run(until=60.0)
    for got in (server.at_host, server.at_device):
        assert not [data for at_s, data in got if 10.0 < at_s < 15.0]
        late = late_s(got)
        # 10 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 s
        assert late[100] == pytest.approx(6.15, abs=0.01)
        assert max(late[165:]) < 0.01
    assert refused == [None]
    assert server.closed_s == []
    assert server.connect() is not None


def test_a_new_connection_does_not_wait_for_an_old_one(
    world: Any, server: Server, pipe: SerialLine
) -> None:
    """What TCP sends again on one connection holds up that one alone."""
    add_faults(world, fault("net_partition", "can", at_s=10.0, for_s=5.0))

    def connect() -> None:
        fresh = server.connect()
        assert fresh is not None
        fresh.write(b"fresh")

    server.at(15.5, connect)
    world.env.run(until=60.0)
    assert next(at_s for at_s, data in server.at_host if data == b"fresh") == pytest.approx(15.5)
    assert min(at_s for at_s, _ in server.at_host if at_s > 10.0 and _ != b"fresh") > 16.0


def test_two_network_faults_at_once_add_up(world: Any, server: Server, pipe: SerialLine) -> None:
    """And each ends by itself."""
    for at_s in (5.0, 10.0):
        add_faults(world, fault("net_latency", "can", at_s=at_s, for_s=10.0, time="500 ms"))
    world.env.run(until=60.0)
    late = late_s(server.at_host)
    assert late[60] == pytest.approx(0.5)
    assert late[120] == pytest.approx(1.0)
    assert late[180] == pytest.approx(0.5)
    assert max(late[215:]) < 0.01


def test_a_half_open_connection_says_nothing_until_it_is_written_to(
    world: Any, server: Server
) -> None:
    """Nobody is told at its begin; when the peer is back, the next write is reset."""
    pipe = server.connect()
    assert pipe is not None
    pipe.keep_alive = KeepAlive()
    refused: list[object] = []
    for at_s in (4.0, 6.0, 9.0, 11.0):
        server.at(at_s, lambda: pipe.write(b"x"))
    for at_s in (4.0, 6.0, 12.0):
        server.at(at_s, lambda: pipe.feed(b"y"))
    add_faults(world, fault("half_open", "can", at_s=5.0, for_s=5.0))
    server.at(7.0, lambda: refused.append(server.connect()))
    world.env.run(until=20.0)
    assert server.at_host == [(4.0, b"x")]
    assert server.at_device == [(4.0, b"y")]
    assert server.closed_s == [12.0]
    assert refused == [None]
    anew = server.connect()
    assert anew is not None
    anew.write(b"z")
    world.env.run(until=21.0)
    assert server.at_host[1:] == [(20.0, b"z")]


@pytest.mark.parametrize(
    ("kind", "for_s", "closed_s"),
    [
        ("half_open", 30.0, [21.0]),  # 10 + 5 + 3 * 2 s: no probe was answered
        ("half_open", 6.5, [17.0]),  # the peer is back, and answers the next probe with a reset
        ("net_partition", 30.0, [21.0]),
        ("net_partition", 6.5, []),
    ],
)
def test_a_client_that_probes_finds_out(
    world: Any, server: Server, kind: str, for_s: float, closed_s: list[float]
) -> None:
    """With the intervals of the gateway's own socketcand client, although it writes nothing."""
    pipe = server.connect()
    assert pipe is not None
    pipe.keep_alive = KeepAlive(is_on=True, idle_s=5.0, interval_s=2.0, probes=3)
    add_faults(world, fault(kind, "can", at_s=10.0, for_s=for_s))
    world.env.run(until=60.0)
    assert server.closed_s == closed_s


def test_a_half_open_serial_port_swallows_both_ways_and_does_not_hang_up(world: Any) -> None:
    """The device hears nothing, and lives on at the end."""
    told: list[str] = []
    world.line.on_hang_up.append(lambda: told.append("gone"))
    add_faults(world, fault("half_open", "obd", at_s=5.0, for_s=5.0))
    for at_s in (4.0, 6.0, 11.0):
        world.send(at_s, b"x")
        world.send(at_s, b"y", to_device=True)
    world.env.run(until=20.0)
    assert world.at_host == [(4.0, b"x"), (11.0, b"x")]
    assert world.at_device == [(4.0, b"y"), (11.0, b"y")]
    assert told == []


# -- boards ----------------------------------------------------------------------------------------
class Poster:
    """Firmware that joins the network and posts a numbered body, one after the other."""

    def __init__(self, hal: Any, results: list[tuple[float, int, bytes]], env: Any) -> None:
        self._hal, self._results, self._env = hal, results, env
        self._handle = self._number = 0

    def start(self) -> None:
        self._hal.wifi_connect("telerig", "drive safely")

    def poll(self) -> int:
        hal = self._hal
        if hal.wifi_state() != 2:
            return 100
        if self._handle:
            found = hal.http_poll(self._handle)
            if found is None:
                return 100
            self._results.append((self._env.now, *found))
            self._handle = 0
            return 500
        self._number += 1
        body = b"%04d" % self._number + bytes(996)
        self._handle = hal.http_start("POST", "http://gateway/x", [], body)
        return 100


class Internet:
    """Answers at once; keeps when which request arrived."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.arrived: list[tuple[float, int]] = []

    def exchange(self, request: HttpRequest, answer: Callable[[HttpAnswer], None]) -> None:
        self.arrived.append((self._env.now, int(request.body[:4])))
        answer(HttpAnswer(200, b"taken"))


class Boards:
    """A world with one board that posts."""

    def __init__(self) -> None:
        self.env = simpy.Environment()
        self.results: list[tuple[float, int, bytes]] = []
        setup = WorldSetup(
            Drive([Cruise("cruise", 100.0, 50.0)]),
            COURSES["highway"],
            obd=None,
            gps=None,
            esp32=Esp32Setup(
                board=BoardSetup(), firmware=lambda hal: Poster(hal, self.results, self.env)
            ),
        )
        self.world = World(self.env, setup, seed=1, epoch_ns=1_777_622_400_000_000_000)
        assert self.world.fleet is not None
        (board,) = self.world.fleet
        self.internet = Internet(self.env)
        board.internet = self.internet
        board.gnss.line.to_host.receiver = None
        board.power_on()

    def exchanges_s(self, start_s: float, end_s: float) -> list[float]:
        """From the arrival of a request to its answer's, of those answered in this time."""
        arrived = {number: at_s for at_s, number in self.internet.arrived}
        answered = [
            (at_s, number)
            for number, (at_s, status, _) in enumerate(self.results, 1)
            if status == 200 and start_s <= at_s < end_s
        ]
        return [at_s - arrived[number] for at_s, number in answered]


@pytest.fixture
def boards() -> Boards:
    """On a good network an exchange takes less than 0.3 s."""
    return Boards()


def test_a_partition_keeps_requests_from_the_gateway(boards: Boards) -> None:
    """None arrives within it; the one that waited does soon after, unless its board gave it up."""
    add_faults(boards.world, fault("net_partition", "esp32", at_s=20.0, for_s=30.0))
    boards.env.run(until=80.0)
    assert not [at_s for at_s, _ in boards.internet.arrived if 20.1 < at_s < 50.0]
    assert [body for at_s, status, body in boards.results if not status] == [b"timed out"] * 3
    assert len([at_s for at_s, _ in boards.internet.arrived if 50.0 <= at_s < 80.0]) > 20
    numbers = [number for _, number in boards.internet.arrived]
    assert len(set(numbers)) == len(numbers)


def test_latency_and_a_narrow_way_make_answers_late(boards: Boards) -> None:
    """Two seconds more one way; a kilobyte at 500 B/s takes two seconds up."""
    add_faults(boards.world, fault("net_latency", "esp32", at_s=20.0, for_s=20.0, time="2 s"))
    add_faults(boards.world, fault("net_slow", "esp32", at_s=50.0, for_s=20.0, rate="500 B/s"))
    boards.env.run(until=80.0)
    assert max(boards.exchanges_s(5.0, 19.0)) < 0.25
    assert min(boards.exchanges_s(25.0, 40.0)) > 2.0
    starts = [at_s for at_s, _ in boards.internet.arrived if 52.0 < at_s < 69.0]
    assert min(b - a for a, b in itertools.pairwise(starts)) > 2.5
    assert max(boards.exchanges_s(75.0, 80.0)) < 0.25


def test_lost_packets_cost_an_esp32_a_second_and_a_half(boards: Boards) -> None:
    """Its TCP waits that long; the request arrives once."""
    add_faults(boards.world, fault("net_loss", "esp32", at_s=10.0, for_s=60.0, probability="40 %"))
    boards.env.run(until=80.0)
    numbers = [number for _, number in boards.internet.arrived]
    assert len(set(numbers)) == len(numbers)
    waits = boards.exchanges_s(12.0, 70.0)
    assert any(1.4 < wait_s < 1.8 for wait_s in waits)
    assert any(wait_s < 0.25 for wait_s in waits)
