"""Interfaces of python-can, by its in-process one and by drivers that fail."""

from __future__ import annotations

import errno
import itertools
import time
from collections.abc import Iterator
from typing import Any

import can
import pytest

from server.can.frame import ERROR, EXTENDED, REMOTE, Acceptance, CanFrame
from server.can.options import PortOptions
from server.can.port import CanPort
from server.clock import SystemClock
from server.errors import LinkLost

_numbers = itertools.count()


@pytest.fixture
def channel() -> str:
    """A bus in this process that no other test has."""
    return f"test-{next(_numbers)}"


@pytest.fixture
def peer(channel: str) -> Iterator[can.BusABC]:
    """Another node on it."""
    with can.Bus(interface="virtual", channel=channel) as bus:
        yield bus


@pytest.fixture
def port(channel: str) -> Iterator[CanPort]:
    """The gateway on it."""
    made = CanPort(PortOptions("virtual", channel), SystemClock())
    made.open()
    yield made
    made.close()


def test_frames_of_all_kinds_come(port: CanPort, peer: can.BusABC) -> None:
    """What python-can has in fields is flags of `can_id`; times are this machine's."""
    before_ns = time.time_ns() - 1000  # python-can's float of seconds is rounded
    peer.send(can.Message(arbitration_id=0x123, is_extended_id=False, data=b"\x01"))
    peer.send(can.Message(arbitration_id=0x123, is_extended_id=True, is_remote_frame=True, dlc=2))
    peer.send(can.Message(arbitration_id=0x40, is_extended_id=False, is_error_frame=True))
    frames = port.receive()
    assert [frame.can_id for frame in frames] == [0x123, EXTENDED | REMOTE | 0x123, ERROR | 0x40]
    assert frames[0].data == b"\x01"
    assert all(before_ns <= frame.time_ns <= frame.received_ns for frame in frames)


def test_nothing_comes(port: CanPort) -> None:
    """The wait ends by itself."""
    assert port.receive(0.01) == []


def test_sending(port: CanPort, peer: can.BusABC) -> None:
    """Another node hears it."""
    port.send(CanFrame(EXTENDED | 0x18DB33F1, b"\x02\x01"))
    message = peer.recv(1)
    assert message is not None
    assert (message.arbitration_id, message.is_extended_id) == (0x18DB33F1, True)
    assert message.data == b"\x02\x01"


def test_an_error_cannot_be_sent(port: CanPort) -> None:
    """It is the interface's word, no frame of the bus."""
    with pytest.raises(ValueError, match="a frame of the bus"):
        port.send(CanFrame(ERROR | 0x04, bytes(8)))


def test_unwanted_frames_are_left_out(port: CanPort, peer: can.BusABC) -> None:
    """Where no driver filters, the gateway does."""
    port.accept([Acceptance(0x124, 0x7FF)])
    for can_id in (0x123, 0x124):
        peer.send(can.Message(arbitration_id=can_id, is_extended_id=False))
    assert [frame.can_id for frame in port.receive()] == [0x124]
    assert port.counters["frames_unwanted"] == 1


class Driver(can.BusABC):
    """A driver with filters of its own and a clock since it was switched on."""

    def __init__(self, channel: str = "x", **keywords: Any) -> None:
        self.keywords = keywords
        self.applied: list[Any] = []
        self.messages = [can.Message(timestamp=12.5, arbitration_id=1, data=b"\x01")]
        self.error: Exception | None = None
        super().__init__(channel)

    def _apply_filters(self, filters: Any) -> None:
        self.applied.append(filters)

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        if self.error is not None:
            raise self.error
        return (self.messages.pop(0), True) if self.messages else (None, True)

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> tuple[Driver, CanPort]:
    """A port on such a driver."""
    made: list[Driver] = []

    def make(interface: str, **keywords: Any) -> Driver:
        made.append(Driver(**keywords))
        return made[0]

    monkeypatch.setattr(can, "Bus", make)
    port = CanPort(PortOptions("pcan", "x", options={"listen": True}), SystemClock())
    port.open()
    return made[0], port


def test_keywords_reach_the_driver(driver: tuple[Driver, CanPort]) -> None:
    """Bit rate and options do; python-can's own configuration files stay out."""
    assert driver[0].keywords == {"ignore_config": True, "bitrate": 500_000, "listen": True}


def test_filters_are_set_where_the_driver_has_them(driver: tuple[Driver, CanPort]) -> None:
    """The interface itself leaves out the rest; None takes the filters away."""
    bus, port = driver
    port.accept([Acceptance(0x7E8, 0x7F8), Acceptance(5, is_extended=True)])
    assert bus.applied[-1] == [
        {"can_id": 0x7E8, "can_mask": 0x7F8, "extended": False},
        {"can_id": 5, "can_mask": 0x1FFFFFFF, "extended": True},
    ]
    port.accept(None)
    assert bus.applied[-1] is None
    port.accept([Acceptance(number) for number in range(513)])
    assert bus.applied[-1] is None  # more than a socket takes


def test_a_driver_s_own_clock_is_mapped(driver: tuple[Driver, CanPort]) -> None:
    """12.5 s after its start is now."""
    (frame,) = driver[1].receive(0.01)
    assert frame.time_ns == frame.received_ns
    assert driver[1].counters["stamps_mapped"] == 1


@pytest.mark.parametrize(
    "error",
    [can.CanOperationError("no\nmore"), OSError(errno.ENETDOWN, "Network is down"), KeyError("x")],
)
def test_whatever_a_driver_raises_is_told(driver: tuple[Driver, CanPort], error: Exception) -> None:
    """In one line, at reading, sending and opening."""
    bus, port = driver
    bus.error = error
    with pytest.raises(LinkLost, match=r"^pcan x went away: [^\n]+$"):
        port.receive(0.01)
    with pytest.raises(LinkLost, match="pcan x sends nothing"):
        port.send(CanFrame(1, b""))
    port.close()


def test_an_interface_that_is_not_there() -> None:
    """A kernel without SocketCAN, or without the device, is LinkLost."""
    port = CanPort(PortOptions("socketcan", "nosuch0"), SystemClock())
    with pytest.raises(LinkLost, match="expected socketcan nosuch0 to open, found"):
        port.open()
