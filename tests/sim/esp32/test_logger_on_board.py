"""The edge logger on its board: power cuts in the middle of writes, outages, a full flash."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import simpy

from server.wire.codec.decoder import Decoder, PacketError, peek
from server.wire.codec.profile import Profile
from server.wire.telemetry_pb2 import Downlink, Uplink
from sim.esp32 import BoardSetup, HttpAnswer, HttpRequest
from sim.route import COURSES
from sim.vehicle import Cruise, Drive, Idle
from sim.world import Esp32Setup, World, WorldSetup

PLAN = {"rates": {"RPM": 10, "SPEED": 10, "LAT": 1, "LON": 1}, "flush_ms": 1000}
EPOCH_NS = 1_777_622_400_000_000_000
WAY_S = 0.05
BEFORE_THE_FIX = 40  # with it the numbers of rows may jump


class TakingGateway:
    """Unpacks whatever comes, keeps its rows, and acknowledges it."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.rows: dict[tuple[int, int], list[int | None]] = {}
        self.conflicts: list[tuple[int, int]] = []
        self.boots: list[int] = []
        self.refused = 0
        self._profiles: dict[bytes, Profile] = {}
        self._decoders: dict[int, tuple[Profile, Decoder]] = {}
        self._acked: dict[int, set[int]] = {}

    def exchange(self, request: HttpRequest, answer: Callable[[HttpAnswer], None]) -> None:
        message = Uplink()
        message.ParseFromString(request.body)
        boot = message.boot
        if boot not in self.boots:
            self.boots.append(boot)
        if message.hello.profile:
            profile = Profile.from_bytes(message.hello.profile)
            self._profiles[profile.hash] = profile
        if message.HasField("hello") and message.hello.profile_hash in self._profiles:
            profile = self._profiles[message.hello.profile_hash]
            self._decoders.setdefault(boot, (profile, Decoder(profile, boot)))
        reply = Downlink(boot=boot, need_profile=boot not in self._decoders)
        acked = self._acked.setdefault(boot, set())
        acked.update(message.voids)
        if boot in self._decoders:
            for packet in message.packets:
                self._take(boot, bytes(packet), acked, reply)
        while reply.ack in acked:
            reply.ack += 1
        told = {peek(bytes(packet))[0] for packet in message.packets} | {*message.voids}
        reply.acked.extend(sorted(told & acked))
        event = self.env.timeout(WAY_S)
        body = reply.SerializeToString()
        event.callbacks.append(lambda _event: answer(HttpAnswer(200, body)))

    def _take(self, boot: int, packet: bytes, acked: set[int], reply: Downlink) -> None:
        if peek(packet)[0] in acked:
            return
        try:
            decoded = self._decoders[boot][1].decode(packet)
        except PacketError:
            self.refused += 1
            return
        self._decoders[boot][1].commit(decoded)
        acked.add(decoded.seq)
        for number, row in enumerate(decoded.rows, decoded.first_row):
            known = self.rows.setdefault((boot, number), row)
            if known != row:
                self.conflicts.append((boot, number))


class Bench:
    """A car with a board that is set up."""

    def __init__(self, setup: BoardSetup, **plan: Any) -> None:
        self.env = simpy.Environment()
        drive = Drive([Idle("idle", 5.0), Cruise("cruise", 600.0, 70.0)])
        esp32 = Esp32Setup(board=setup)
        world_setup = WorldSetup(
            drive=drive, course=COURSES["highway"], obd=None, gps=None, esp32=esp32
        )
        self.world = World(self.env, world_setup, seed=5, epoch_ns=EPOCH_NS)
        assert self.world.fleet is not None
        self.fleet = self.world.fleet
        (self.board,) = self.fleet
        self.gateway = TakingGateway(self.env)
        self.board.internet = self.gateway
        settings = {
            "wifi.ssid": "telerig",
            "wifi.pass": "drive safely",
            "gw.url": "http://gateway.test",
            "gw.device": "esp-1",
            "gw.key": "key",
            "plan": json.dumps({**PLAN, **plan}),
        }
        self.board.nvs.load({key: value.encode() for key, value in settings.items()})

    def run(self, until_s: float) -> None:
        self.env.run(until=until_s)

    def cut_the_power_in_writes(self, every: int, until_s: float) -> list[float]:
        """Cut it in the middle of every so-maniest change of the flash; return the instants."""
        cuts: list[float] = []
        add, count = self.board.busy.add, iter(range(1, 1_000_000))

        def adding(duration_s: float, *more: Any) -> None:
            add(duration_s, *more)
            if next(count) % every == 0 and self.env.now < until_s:
                cuts.append(self.env.now)
                event = self.env.timeout(duration_s / 2)
                event.callbacks.append(lambda _event: self.board.power_cycle())

        self.board.busy.add = adding  # type: ignore[method-assign]
        return cuts

    def numbers(self, boot: int) -> list[int]:
        """The rows that came of a boot, but for those of before the first fix."""
        numbers = sorted(number for one, number in self.gateway.rows if one == boot)
        return [number for number in numbers if number > BEFORE_THE_FIX]


def gaps(numbers: list[int]) -> int:
    return numbers[-1] - numbers[0] + 1 - len(numbers)


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    """A bench whose board is not yet on; keywords go to the plan, `board` to the set-up."""
    return lambda board=None, **plan: Bench(board or BoardSetup(), **plan)


@pytest.mark.parametrize("every", [1, 2, 3, 5, 8])
def test_a_power_cut_in_any_write_leaves_a_logger_that_works(make_bench: Any, every: int) -> None:
    """Nothing that was torn is ever sent as whole; no start fails; in the end it catches up."""
    bench = make_bench()
    bench.fleet.wifi_out(True)
    cuts = bench.cut_the_power_in_writes(every, until_s=120.0)
    bench.board.power_on()
    bench.run(125.0)
    bench.fleet.wifi_out(False)
    bench.run(240.0)
    assert len(cuts) > 5
    assert bench.board.crashes == 0
    assert (bench.gateway.refused, bench.gateway.conflicts) == (0, [])
    last = bench.gateway.boots[-1]
    numbers = bench.numbers(last)
    assert len(numbers) > 1000  # more than 100 s at 10 rows a second …
    assert gaps(numbers) == 0


def test_packets_of_before_a_reset_come_after_it(make_bench: Any) -> None:
    """What was on the flash when the power went, from every boot."""
    bench = make_bench()
    bench.fleet.wifi_out(True)
    bench.board.power_on()
    for until_s in (30.0, 60.0, 90.0):
        bench.run(until_s)
        bench.fleet.reset("power-on")
    bench.fleet.wifi_out(False)
    bench.run(150.0)
    rows = [sum(boot == one for boot, _ in bench.gateway.rows) for one in bench.gateway.boots]
    assert len(rows) == 4
    # 30 s at 10 rows a second, less the start, the rows not closed and the open packet: 3 s.
    assert all(count > 250 for count in rows)


def test_a_full_flash_gives_up_the_oldest(make_bench: Any) -> None:
    """And tells how many rows that were; the newest are all there."""
    bench = make_bench(replace(BoardSetup(), flash_bytes=4 * 4096))
    bench.fleet.wifi_out(True)
    bench.board.power_on()
    bench.run(900.0)
    bench.fleet.wifi_out(False)
    bench.run(1000.0)
    assert bench.board.crashes == 0
    (boot,) = bench.gateway.boots
    numbers = bench.numbers(boot)
    assert numbers[0] > 100  # the first ones are gone
    assert gaps(numbers) == 0
    assert numbers[-1] > 9900


def test_requests_that_get_lost_double_nothing_and_lose_nothing(make_bench: Any) -> None:
    """A third of the requests, and a third of the answers."""
    bench = make_bench()
    bench.fleet.wifi_loss(0.33)
    bench.board.power_on()
    bench.run(180.0)
    bench.fleet.wifi_loss(-0.33)
    bench.run(240.0)
    assert (bench.gateway.refused, bench.gateway.conflicts) == (0, [])
    numbers = bench.numbers(bench.gateway.boots[0])
    assert gaps(numbers) == 0
    assert len(numbers) > 2300


def test_flash_wears_evenly(make_bench: Any) -> None:
    """No sector is erased more than twice as often as another, over an hour offline and on."""
    bench = make_bench(replace(BoardSetup(), flash_bytes=4 * 4096))
    bench.board.power_on()
    for minute in range(10):
        bench.fleet.wifi_out(minute % 2 == 0)
        bench.run(60.0 * (minute + 1))
        if minute % 2 == 0:
            bench.fleet.wifi_out(False)
    erases = bench.board.flash.erases
    assert max(erases) <= 2 * (min(erases) + 1)
