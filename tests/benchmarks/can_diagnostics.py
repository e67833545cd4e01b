"""UDS over ISO-TP against the world's ECUs, unpaced; beside it can-isotp on both sides.

Client: udsoncan over can-isotp's own stack and threads, on python-can's `virtual` bus. Behind it
either the model (through the bridge that `telerig device can` uses) or a responder of can-isotp
that answers at once with fixed bytes. All of it lives in one process, because `virtual` does: the
client's threads, the bridge's and the world share one interpreter. The event-driven tester shows
what the model needs when no client sleeps: can-isotp's protocol engine, fed frame by frame.

Identifier F186 answers in one frame, F190 in three; fifteen of F1xx together answer in 44, asked
for in five.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import can
import isotp
import simpy

from rig.walltime.can_bridge import CanBridge
from rig.walltime.can_interfaces import VIRTUAL, CanInterfaceSpec
from rig.walltime.clock import WallClock
from sim.can.bus import CanBus
from sim.can.frame import CanFrame
from sim.can.isotp import IsoTpChannel
from sim.ecu import build_ecus
from sim.vehicle import FOCUS_ST, Ambient, Drive, Vehicle
from sim.vehicle.drive import Idle
from tests.benchmarks.figures import Beside, Goal, Row

RUNS, REQUESTS, QUICK_REQUESTS = 5, 200, 30
MODEL_REQUESTS, QUICK_MODEL_REQUESTS = 4000, 400
TESTER_ID, ECU_ID = 0x7E0, 0x7E8
SINGLE, MULTI = b"\x22\xf1\x86", b"\x22\xf1\x90"
LONG = bytes.fromhex("22f187f188f189f18af18bf18cf190f191f192f194f195f197f111f113f124")
ANSWERS = {SINGLE: b"\x62\xf1\x86\x01", MULTI: b"\x62\xf1\x90" + FOCUS_ST.vin.encode()}
KNOWN_EMULATOR_MS = 508.0  # ELM327-emulator 4.0.0 over SLCAN: its flow control never matches
TIMEOUT_S = 2.0

Ask = Callable[[bytes], bytes]


def measure(quick: bool) -> list[Row]:
    """Ask model and peer in turns."""
    requests = QUICK_REQUESTS if quick else REQUESTS
    found: dict[str, list[float]] = {}
    for run in range(1 if quick else RUNS):
        for side, behind in (("model", _model), ("can-isotp", _peer)):
            for client, opened in (("udsoncan", _udsoncan), ("event-driven", _event_driven)):
                with ExitStack() as stack:
                    channel = f"diagnostics-{run}-{side}-{client}"
                    stack.enter_context(behind(channel))
                    ask = stack.enter_context(opened(channel))
                    for name, request in (("one frame", SINGLE), ("several frames", MULTI)):
                        p50_ms = _p50_ms(ask, request, requests)
                        found.setdefault(f"{client}, {name}, {side}", []).append(p50_ms)
    return [*_client_rows(found), *_model_rows(quick), *_wire_rows()]


def _client_rows(found: dict[str, list[float]]) -> list[Row]:
    rows = []
    for client in ("udsoncan", "event-driven"):
        for name in ("one frame", "several frames"):
            peer = found[f"{client}, {name}, can-isotp"]
            goal = Goal(most=10.0) if name == "several frames" else None
            rows.append(
                Row(f"{client} p50, answer of {name}", found[f"{client}, {name}, model"], "ms",
                    goal, Beside("can-isotp as ECU", statistics.median(peer)))
            )  # fmt: skip
    return rows


def _model_rows(quick: bool) -> list[Row]:
    requests = QUICK_MODEL_REQUESTS if quick else MODEL_REQUESTS
    rows = []
    for name, request in (("one frame", SINGLE), ("several frames", MULTI), ("44 frames", LONG)):
        values = []
        for _ in range(1 if quick else RUNS):
            bench = _Stepped(paced=False)
            start_s = time.perf_counter()
            for _ in range(requests):
                bench.ask(request)
            values.append((time.perf_counter() - start_s) / requests * 1e3)
        beside = Beside("ELM327-emulator", KNOWN_EMULATOR_MS) if name == "several frames" else None
        goal = Goal(most=10.0) if name == "several frames" else None
        rows.append(Row(f"model and tester alone, answer of {name}", values, "ms", goal, beside))
    return rows


def _wire_rows() -> list[Row]:
    """What 500 kbit/s need, in simulated time: from the request's first bit to the answer's last.

    The limit is the sum of the frames and the three bits between them.
    """
    rows = []
    for name, request in (("one frame", SINGLE), ("several frames", MULTI), ("44 frames", LONG)):
        bench = _Stepped(paced=True)
        start_s = bench.env.now
        bench.ask(request)
        limit_s = (bench.bus.busy_bits + 3 * (bench.bus.frame_count - 1)) / bench.bus.bitrate_bps
        took_ms = (bench.ended_s - start_s) * 1e3
        beside = Beside("frame times", limit_s * 1e3)
        rows.append(Row(f"on the wire, answer of {name}", [took_ms], "ms", None, beside))
    return rows


def _p50_ms(ask: Ask, request: bytes, requests: int) -> float:
    took_s = []
    for _ in range(requests):
        start_s = time.perf_counter()
        answer = ask(request)
        took_s.append(time.perf_counter() - start_s)
        assert answer[0] == request[0] + 0x40, answer
    return statistics.median(took_s) * 1e3


# -- what answers ---------------------------------------------------------------------------------
def _ecus(env: simpy.Environment, bus: CanBus) -> None:
    vehicle = Vehicle(
        FOCUS_ST, Drive([Idle("idle", 86_400.0)]), random.Random(1), ambient=Ambient()
    )
    build_ecus(env, bus, vehicle, random.Random, FOCUS_ST.vin, response_time_s=(0.0, 0.0))


@contextmanager
def _model(channel: str) -> Iterator[None]:
    """The world in a thread of its own, joined to the virtual bus."""
    clock = WallClock()
    bus = CanBus(clock.env, paced=False)
    _ecus(clock.env, bus)
    bridge = CanBridge(clock, bus, CanInterfaceSpec(VIRTUAL, channel))
    bridge.open()
    world = threading.Thread(target=clock.run)
    world.start()
    try:
        yield
    finally:
        clock.stop()
        world.join()
        bridge.close()


@contextmanager
def _peer(channel: str) -> Iterator[None]:
    """can-isotp as an ECU that answers at once, blocking, in a thread of its own."""
    with can.Bus(interface="virtual", channel=channel) as bus:
        address = isotp.Address(isotp.AddressingMode.Normal_11bits, ECU_ID, TESTER_ID)
        stack = isotp.CanStack(bus, address=address, params=_params())
        stack.start()
        stopping = threading.Event()

        def respond() -> None:
            while not stopping.is_set():
                request = stack.recv(block=True, timeout=0.2)
                if request is not None:
                    stack.send(ANSWERS[bytes(request)])

        thread = threading.Thread(target=respond)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()
            stack.stop()


def _params() -> dict[str, Any]:
    return {"stmin": 0, "blocksize": 0, "tx_padding": 0, "blocking_send": False}


# -- who asks -------------------------------------------------------------------------------------
@contextmanager
def _udsoncan(channel: str) -> Iterator[Ask]:
    """udsoncan over can-isotp, both as they come."""
    from udsoncan.client import Client
    from udsoncan.connections import PythonIsoTpConnection

    with can.Bus(interface="virtual", channel=channel) as bus:
        address = isotp.Address(isotp.AddressingMode.Normal_11bits, TESTER_ID, ECU_ID)
        stack = isotp.CanStack(bus, address=address, params=_params())
        with Client(PythonIsoTpConnection(stack), config=_client_config()) as client:

            def ask(request: bytes) -> bytes:
                did = int.from_bytes(request[1:3], "big")
                return bytes(client.read_data_by_identifier(did).original_payload)

            yield ask


def _client_config() -> dict[str, Any]:
    from udsoncan import AsciiCodec

    return {"data_identifiers": {0xF190: AsciiCodec(17), 0xF186: AsciiCodec(1)}}


@contextmanager
def _event_driven(channel: str) -> Iterator[Ask]:
    """can-isotp's engine, called when a frame is there and not before."""
    inbox: deque[isotp.CanMessage] = deque()
    with can.Bus(interface="virtual", channel=channel) as bus:
        engine = isotp.TransportLayerLogic(
            # Its own waiting would go on after the frame that it waited for.
            rxfn=lambda _timeout: inbox.popleft() if inbox else None,
            txfn=lambda message: bus.send(
                can.Message(arbitration_id=message.arbitration_id, data=message.data,
                            is_extended_id=False)
            ),
            address=isotp.Address(isotp.AddressingMode.Normal_11bits, TESTER_ID, ECU_ID),
            params=_params(),
        )  # fmt: skip

        def ask(request: bytes) -> bytes:
            engine.send(request)
            engine.process()
            while not engine.available():
                message = bus.recv(TIMEOUT_S)
                if message is None:
                    raise TimeoutError(f"the ECU did not answer within {TIMEOUT_S} s")
                inbox.append(
                    isotp.CanMessage(arbitration_id=message.arbitration_id, data=message.data)
                )
                engine.process()
            return bytes(engine.recv() or b"")

        yield ask


class _Stepped:
    """The car's ECUs and a tester in one loop, without threads."""

    def __init__(self, paced: bool) -> None:
        self.env = simpy.Environment()
        self.bus = CanBus(self.env, paced=paced)
        self.ended_s = 0.0
        _ecus(self.env, self.bus)
        node = self.bus.attach("tester", self._hear)
        self._channel = IsoTpChannel(self.env, node, TESTER_ID, ECU_ID, self._answered)
        self._answers: list[bytes] = []

    def _hear(self, frame: CanFrame, t_s: float) -> None:
        self._channel.on_frame(frame, t_s)

    def _answered(self, payload: bytes, _functional: bool) -> None:
        self._answers.append(payload)
        self.ended_s = self.env.now

    def ask(self, request: bytes) -> bytes:
        """Send a request and let the world go on until the answer is there."""
        self._channel.send(request)
        while not self._answers:
            self.env.step()
        return self._answers.pop()
