"""What the fault layer costs a world when nothing is injected.

One world (adapter, receiver, board, a CAN bus with its traffic behind a socketcand door), two ways:
with the layer, and a fault of every kind that it can suffer scheduled for the day after; and
without, its lines, its pipes, its HTTP client and its clocks as they would be had nobody thought of
faults. Both in one process, interleaved, CPU seconds; they must say the same bytes. The figure is
the median of the ratios of neighbours.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import statistics
import time
from collections.abc import Iterator
from unittest import mock

import simpy

from rig.faults import FAULT_KINDS, FaultSpec, install_all
from rig.faults.catalogue import TARGETS, possible_kinds
from sim.can_setup import CanSetup, DoorSetup
from sim.esp32.crystal import Crystal
from sim.esp32.http_client import HttpClient
from sim.gnss.clock import ReceiverClock, Said
from sim.route import COURSES
from sim.serial_line import Direction, SerialLine
from sim.socketcand.pipe import ClientPipe
from sim.vehicle import Cruise, Drive
from sim.world import Esp32Setup, GpsSetup, ObdSetup, World, WorldSetup
from tests.benchmarks.figures import Beside, Goal, Row

GOAL_PCT = 3.0
SIM_S, QUICK_SIM_S = 30.0, 10.0
TIMES, QUICK_TIMES = 11, 3
NEVER_S = 86_400.0
EPOCH_NS = 1_777_622_400_000_000_000
WIRES = {"obd": ("serial",), "gps": ("serial",), "esp32": ("wifi",), "can": ("tcp", "bus")}
ASKED = (b"010C1\r", b"010D1\r", b"01111\r", b"010B1\r")


def measure(quick: bool) -> list[Row]:
    """Run the world both ways, again and again."""
    sim_s = QUICK_SIM_S if quick else SIM_S
    times = QUICK_TIMES if quick else TIMES
    _run(sim_s, layered=True)  # imports and caches
    pairs = []
    for number in range(times):
        # The first of a pair has no advantage of its place.
        order = (True, False) if number % 2 else (False, True)
        found = {layered: _run(sim_s, layered=layered) for layered in order}
        assert found[True][1] == found[False][1], "the layer has changed what the world says"
        pairs.append((found[True][0], found[False][0]))
    overheads = [100.0 * (layered / bare - 1.0) for layered, bare in pairs]
    bare_s = statistics.median(bare for _, bare in pairs)
    return [
        Row("fault layer, nothing injected: CPU", overheads, "%", Goal(most=GOAL_PCT)),
        Row(
            f"{sim_s:g} s of a world with the layer: CPU",
            [layered for layered, _ in pairs],
            "s",
            beside=Beside("without it", bare_s),
        ),
    ]


def _run(sim_s: float, *, layered: bool) -> tuple[float, str]:
    """Return CPU seconds and a digest of all bytes at the host ends."""
    with contextlib.nullcontext() if layered else _without_the_layer():
        world = _world()
        if layered:
            install_all(world, _scheduled())
        digest = hashlib.sha256()
        _attach(world, digest)
        gc.collect()
        begin_s = time.process_time()
        world.env.run(until=sim_s)
        return time.process_time() - begin_s, digest.hexdigest()


def _world() -> World:
    env = simpy.Environment()
    setup = WorldSetup(
        Drive([Cruise("cruise", 3600.0, 60.0)]),
        COURSES["highway"],
        obd=ObdSetup(profile="stn_fast", baud=115200),
        gps=GpsSetup(rate_hz=10.0, baud=115200, profile="ublox_m9"),
        esp32=Esp32Setup(own_segment=True),
        can=CanSetup({"can": DoorSetup("socketcand")}, broadcast=True),
    )
    world = World(env, setup, seed=1, epoch_ns=EPOCH_NS)
    assert world.fleet is not None
    for board in world.fleet:
        board.power_on()
    return world


def _scheduled() -> list[FaultSpec]:
    """A fault of each kind on each link, tomorrow."""
    faults = []
    for word, link in possible_kinds(tuple(WIRES), WIRES):
        kind = FAULT_KINDS[word]
        assert link not in TARGETS
        values = {
            p.field: p.default if p.default is not None else (p.choices or (p.maximum,))[0]
            for p in kind.parameters
        }
        window = (NEVER_S, NEVER_S + (1.0 if kind.lasts else 0.0))
        faults.append(FaultSpec(word, link, (window,), values, word))
    return faults


def _attach(world: World, digest: hashlib._Hash) -> None:
    """Read every line; ask the adapter as fast as it answers; listen to the bus."""
    for name, line in world.lines.items():
        if name not in ("obd", "can"):
            line.attach_host(digest.update)
    obd, count = world.lines["obd"], 0

    def answered(data: bytes) -> None:
        nonlocal count
        digest.update(data)
        if data.endswith(b">"):
            count += 1
            obd.feed(ASKED[count % len(ASKED)])

    obd.attach_host(answered)
    obd.feed(b"ATE0\r")
    pipe = world.connect("can")
    assert pipe is not None
    pipe.attach_host(digest.update)
    pipe.feed(b"< open can0 >< rawmode >")


@contextlib.contextmanager
def _without_the_layer() -> Iterator[None]:
    """Let the models be as if faults had never been thought of."""
    with contextlib.ExitStack() as stack:
        for owner, name, plain in (
            (Direction, "send", _plain_send),
            (ClientPipe, "_carry", _plain_carry),
            (SerialLine, "stands_for", _plain_stands_for),
            (HttpClient, "_travel", _plain_travel),
            (Crystal, "local_s", _plain_local_s),
            (Crystal, "true_s", _plain_true_s),
            (ReceiverClock, "shift_ns", lambda _clock, _utc_ns: 0),
            (ReceiverClock, "said", lambda _clock, time_ns: Said(time_ns)),
        ):
            stack.enter_context(mock.patch.object(owner, name, plain))
        yield


def _plain_send(self: Direction, data: bytes) -> None:
    if data:
        self.sent_bytes += len(data)
        self._transmit(0.0, data)


def _plain_carry(self: ClientPipe, direction: Direction, data: bytes, *, to_host: bool) -> None:
    if data and not self.hung_up and direction.receiver is not None:
        direction.sent_bytes += len(data)
        for tap in self.taps:
            tap(self.env.now, to_host, data)
        direction.receiver(data)


def _plain_stands_for(self: SerialLine, connection: SerialLine) -> None:
    connection.taps = self.taps


def _plain_travel(self: HttpClient, handle: int, size_bytes: int, arrived: object) -> None:
    way_s = self._station.one_way_s()
    if way_s is not None:
        self._after(way_s, arrived)  # type: ignore[arg-type]


def _plain_local_s(self: Crystal, true_s: float) -> float:
    return true_s * (self._rate + self._half_drift_per_s * true_s)


def _plain_true_s(self: Crystal, local_s: float, near_s: float) -> float:
    true_s = near_s
    for _ in range(2):
        rate = self._rate + 2.0 * self._half_drift_per_s * true_s
        true_s += (local_s - self.local_s(true_s)) / rate
    return true_s + 1e-7
