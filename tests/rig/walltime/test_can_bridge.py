"""Interfaces of python-can joined to the modelled bus."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

pytest.importorskip("can", reason="the package python-can (extra can) is not installed")

import can

from rig.walltime import can_bridge
from rig.walltime.can_bridge import QUEUE_FRAMES, CanBridge
from rig.walltime.can_interfaces import CanDoorError, CanInterfaceSpec, open_interface
from rig.walltime.clock import WallClock
from sim.can.bus import CanBus
from sim.can.frame import CanFrame

PATIENCE_S = 20.0
VIRTUAL = CanInterfaceSpec("virtual", "bench")


class Bench:
    """A world's bus with a node, joined to an interface."""

    def __init__(self, spec: CanInterfaceSpec = VIRTUAL) -> None:
        self.clock = WallClock()
        self.bus = CanBus(self.clock.env)
        self.heard: list[CanFrame] = []
        self.node = self.bus.attach("ecu", lambda frame, _t_s: self.heard.append(frame))
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.bridge = CanBridge(self.clock, self.bus, spec, lambda *e: self.events.append(e))

    def run_until(self, done: Callable[[], bool]) -> None:
        """Let the world go on until something is true."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline_s, (self.events, self.bridge.counters)
            self.clock.run(until_s=self.clock.env.now + 0.01)

    @property
    def told(self) -> list[str]:
        """What kinds of events there were."""
        return [kind for kind, _detail in self.events]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """An open bridge to a virtual channel."""
    bench = Bench()
    bench.bridge.open()
    yield bench
    bench.bridge.close()


def test_frames_go_both_ways_and_never_back(bench: Bench) -> None:
    """Identifiers, lengths, remote frames; each once, in order, and no echo."""
    frames = [
        CanFrame(0x123, b"\x01\x02"),
        CanFrame(0x1ABCDEF0, bytes(8), True),
        CanFrame(0x7FF, b"", False, True, 5),
        CanFrame(0x000),
    ]
    with can.Bus(interface="virtual", channel="bench") as client:
        for frame in frames:
            bench.node.send(frame)
            bench.run_until(lambda: bench.bus.frame_count > 0)
            bench.run_until(lambda: not bench.node.pending_frames)
        bench.run_until(lambda: bench.bridge.counters["to_interface"] == len(frames))
        got = [client.recv(PATIENCE_S) for _ in frames]
        for message, frame in zip(got, frames, strict=True):
            assert message.arbitration_id == frame.arbitration_id
            assert bytes(message.data) == frame.data
            assert message.dlc == frame.dlc
            assert message.is_extended_id == frame.is_extended
            assert message.is_remote_frame == frame.is_remote
        for message in got:
            client.send(message)
        bench.run_until(lambda: len(bench.heard) == len(frames))
        assert bench.heard == frames
        assert client.recv(0.05) is None
    assert bench.bus.frame_count == 2 * len(frames)


def test_what_a_classical_bus_cannot_carry_is_left_out(bench: Bench) -> None:
    """CAN FD is counted, an error frame is told once."""
    with can.Bus(interface="virtual", channel="bench") as client:
        client.send(can.Message(is_fd=True, data=bytes(12)))
        client.send(can.Message(is_error_frame=True))
        client.send(can.Message(is_error_frame=True))
        client.send(can.Message(arbitration_id=0x11, is_extended_id=False))
        bench.run_until(lambda: bool(bench.heard))
    assert bench.heard == [CanFrame(0x11)]
    assert (bench.bridge.counters["foreign"], bench.bridge.counters["error_frames"]) == (1, 2)
    assert bench.told == ["error frame"]


def test_a_flood_is_bounded(bench: Bench) -> None:
    """What the queue does not take is dropped and counted, the rest arrives; one event tells it."""
    count = QUEUE_FRAMES + 2000
    with can.Bus(interface="virtual", channel="bench") as client:
        for number in range(count):
            client.send(can.Message(arbitration_id=number, is_extended_id=True))
        bench.run_until(lambda: len(bench.heard) + bench.bridge.counters["dropped"] == count)
    ids = [frame.arbitration_id for frame in bench.heard]
    assert ids == sorted(ids)
    assert bench.bridge.counters["dropped"] > 0
    assert bench.told.count("overflow") == 1


class Flaky:
    """An interface that breaks when it is told to."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.broken = self.over = False

    def recv(self, timeout_s: float) -> None:
        """Hear nothing."""
        if self.broken and self.how == "raises":
            raise OSError("Network is down")
        if not self.broken:
            time.sleep(min(timeout_s, 0.01))

    def send(self, _message: object, _timeout_s: float) -> None:
        """Take nothing once broken."""
        if self.broken:
            raise can.CanOperationError("gone")

    def shutdown(self) -> None:
        """Fail at that, too."""
        self.over = True
        raise OSError("no such device")


@pytest.mark.parametrize("how", ["raises", "returns at once"])
def test_an_interface_that_vanishes_is_opened_again(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It is told, tried again and again, and told when it is back."""
    opened: list[Flaky] = []
    there = True

    def open_flaky(spec: CanInterfaceSpec) -> Flaky:
        if not there:
            raise CanDoorError("not there")
        opened.append(Flaky(how))
        return opened[-1]

    monkeypatch.setattr(can_bridge, "open_interface", open_flaky)
    monkeypatch.setattr(can_bridge, "RETRY_S", 0.02)
    bench = Bench()
    bench.bridge.open()
    try:
        there = False
        opened[0].broken = True
        bench.run_until(lambda: "lost" in bench.told)
        assert opened[0].over
        assert not bench.bridge.is_there
        bench.node.send(CanFrame(1))  # nobody there to take it
        bench.run_until(lambda: bench.bridge.counters["dropped"] == 1)
        there = True
        bench.run_until(lambda: "back" in bench.told)
        assert bench.bridge.is_there
        bench.node.send(CanFrame(2))
        bench.run_until(lambda: bench.bridge.counters["to_interface"] == 1)
    finally:
        bench.bridge.close()
    assert bench.told == ["lost", "back"]


def test_closing_leaves_the_bus(bench: Bench) -> None:
    """No thread and no node stays; twice does no harm."""
    bench.bridge.close()
    bench.bridge.close()
    assert [node.name for node in bench.bus.nodes] == ["ecu"]


def test_without_socketcan_the_message_says_what_to_do() -> None:
    """A kernel without AF_CAN, or no such interface."""
    spec = CanInterfaceSpec("socketcan", "vcan77", place="--socketcan")
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
        expected = "ip link add vcan77 type vcan"
    except OSError:
        expected = "modprobe can can_raw vcan"
    with pytest.raises(CanDoorError) as caught:
        open_interface(spec)
    assert str(caught.value).startswith("--socketcan: expected ")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("interface", "words"),
    [
        ("pcan", "expected the CAN interface pcan X to open, found: "),
        ("socketcand", "expected host and port for the CAN interface socketcand X, found none"),
        ("kvaser", "is it plugged in, and its driver installed?"),
        ("pcann", "expected an interface of python-can (canalystii,"),
        ("slcan", "could not open port X"),
    ],
)
def test_an_interface_that_is_not_there(
    interface: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One sentence, whatever the driver raised; nothing of its own is printed."""
    with pytest.raises(CanDoorError) as caught:
        open_interface(CanInterfaceSpec(interface, "X"))
    assert words in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_socketcan_interface_is_joined() -> None:
    """Where the kernel has vcan0."""
    try:
        open_interface(CanInterfaceSpec("socketcan", "vcan0")).shutdown()
    except CanDoorError as error:
        pytest.skip(f"needs the SocketCAN interface vcan0: {error}")
    bench = Bench(CanInterfaceSpec("socketcan", "vcan0"))
    bench.bridge.open()
    try:
        with can.Bus(interface="socketcan", channel="vcan0") as client:
            client.send(can.Message(arbitration_id=0x55, is_extended_id=False, data=b"12"))
            bench.run_until(lambda: bench.heard == [CanFrame(0x55, b"12")])
            bench.node.send(CanFrame(0x66))
            bench.run_until(lambda: bench.bridge.counters["to_interface"] == 1)
            assert client.recv(PATIENCE_S).arbitration_id == 0x66
    finally:
        bench.bridge.close()
