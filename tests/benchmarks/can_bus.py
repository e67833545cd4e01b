"""The CAN bus model: frames per second of CPU.

Every node takes every frame; the frames hold 8 bytes that differ. Idle: each frame finds a free
bus. Saturated: every node always has a frame waiting, so each one is arbitrated. With errors: one
attempt in ten is destroyed. Beside it what a real bus of 500 kbit/s can carry at most (the model in
wall time must be faster), and python-can's `virtual` interface with as many receivers in one
process, which has no time, no arbitration and no errors.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import can
import simpy

from sim.can.bit_length import INTERFRAME_BITS, bit_length
from sim.can.bus import CanBus, CanNode
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from tests.benchmarks.figures import Beside, Goal, Row

NODES = (3, 10, 20)
FIRST_ID = 0x100
IDLE_GAP_S = 0.001
PEER = "python-can virtual"
LIMIT = "saturated 500 kbit/s"
FRAMES = [
    CanFrame(FIRST_ID, (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big"))
    for number in range(1024)
]


def measure(quick: bool) -> list[Row]:
    """Measure the model and its peer, in turn."""
    frames, times = (2_000, 1) if quick else (20_000, 5)
    rows = []
    for count in NODES:
        model: dict[str, list[float]] = {"idle": [], "saturated": [], "saturated, errors": []}
        peer = []
        for _ in range(times):
            model["idle"].append(_rate(_idle, count, frames))
            model["saturated"].append(_rate(_saturated, count, frames))
            model["saturated, errors"].append(_rate(_with_errors, count, frames))
            peer.append(_rate(_virtual, count, frames))
        peer_median = sorted(peer)[len(peer) // 2]
        rows += [
            Row(f"{count} nodes, {name}", values, "frames/s", beside=Beside(PEER, peer_median))
            for name, values in model.items()
        ]
        rows.append(
            Row(f"{count} nodes, {PEER}", peer, "frames/s", beside=Beside(LIMIT, physical_limit()))
        )
    worst = min(row.median for row in rows if PEER not in row.name)
    rows.append(
        Row(
            "slowest of the model",
            [worst],
            "frames/s",
            goal=Goal(least=4 * physical_limit()),
            beside=Beside(LIMIT, physical_limit()),
        )
    )
    return rows


def physical_limit() -> float:
    """Frames a second that a bus of 500 kbit/s carries, of those used here."""
    bits = sum(bit_length(frame) + INTERFRAME_BITS for frame in FRAMES) / len(FRAMES)
    return 500_000 / bits


def _rate(run: Callable[[int, int], int], nodes: int, frames: int) -> float:
    began_s = time.process_time()
    done = run(nodes, frames)
    return done / (time.process_time() - began_s)


def _nodes(bus: CanBus, count: int) -> list[CanNode]:
    heard = [0] * count

    def node(number: int) -> CanNode:
        def on_frame(_frame: CanFrame, _t_s: float) -> None:
            heard[number] += 1

        return bus.attach(f"node {number}", on_frame)

    return [node(number) for number in range(count)]


def _idle(count: int, frames: int) -> int:
    env = simpy.Environment()
    bus = CanBus(env)
    sender = _nodes(bus, count)[0]

    def tick(_event: simpy.Event) -> None:
        sender.send(FRAMES[bus.frame_count % len(FRAMES)])
        env.timeout(IDLE_GAP_S).callbacks.append(tick)

    env.timeout(0).callbacks.append(tick)
    env.run(until=frames * IDLE_GAP_S)
    return bus.frame_count


def _saturated(count: int, frames: int) -> int:
    env = simpy.Environment()
    bus = CanBus(env)
    _saturate(bus, count)
    env.run(until=frames / physical_limit())
    return bus.frame_count


def _with_errors(count: int, frames: int) -> int:
    env = simpy.Environment()
    bus = CanBus(env)
    attempts = itertools.count(1)
    bus.faults.append(lambda *_: ErrorKind.BIT if not next(attempts) % 10 else None)
    _saturate(bus, count)
    env.run(until=frames / physical_limit())
    return bus.frame_count


def _saturate(bus: CanBus, count: int) -> None:
    for number, node in enumerate(_nodes(bus, count)):
        own = [CanFrame(FIRST_ID + number, frame.data) for frame in FRAMES]
        _repeat(node, itertools.cycle(own))


def _repeat(node: CanNode, frames: itertools.cycle[CanFrame]) -> None:
    def again(_t_s: float) -> None:
        node.send(next(frames), again)

    again(0.0)


def _virtual(count: int, frames: int) -> int:
    buses = [can.Bus(f"model {count}", interface="virtual") for _ in range(count)]
    messages = [
        can.Message(arbitration_id=FIRST_ID, data=frame.data, is_extended_id=False)
        for frame in FRAMES
    ]
    try:
        for number in range(frames):
            buses[0].send(messages[number % len(messages)])
            for bus in buses[1:]:
                assert bus.recv(0) is not None
    finally:
        for bus in buses:
            bus.shutdown()
    return frames
