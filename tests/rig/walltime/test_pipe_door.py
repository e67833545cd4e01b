"""TCP devices of the world on a port of the loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rig.walltime.clock import WallClock
from rig.walltime.pipe_door import PipeDoor
from sim.serial_line import SerialLine


class Device:
    """Opens a pipe for each client, the newest one is served."""

    def __init__(self, clock: WallClock) -> None:
        self.clock = clock
        self.pipes: list[SerialLine] = []
        self.got = b""
        self.refuses = False

    def connect(self) -> SerialLine | None:
        """Open a connection."""
        if self.refuses:
            return None
        pipe = SerialLine(self.clock.env, "pipe", paced=False)
        pipe.attach_device(self.take)
        self.pipes.append(pipe)
        return pipe

    def take(self, data: bytes) -> None:
        """Keep what came."""
        self.got += data


@pytest.fixture
def clock() -> WallClock:
    """Wall time."""
    return WallClock()


@pytest.fixture
def device(clock: WallClock) -> Device:
    """A device that keeps what it gets."""
    return Device(clock)


@pytest.fixture
def door(clock: WallClock, device: Device) -> Iterator[PipeDoor]:
    """An open door."""
    door = PipeDoor(clock, connect=device.connect)
    door.open()
    yield door
    door.close()


def run(clock: WallClock, for_s: float = 0.1) -> None:
    """Let the world go on for a moment."""
    clock.run(until_s=clock.env.now + for_s)


def test_bytes_go_both_ways(clock: WallClock, door: PipeDoor, device: Device) -> None:
    """And the device hears that the client is gone."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as client:
        client.sendall(b"hello")
        run(clock)
        assert device.got == b"hello"
        device.pipes[0].write(b"world")
        run(clock)
        assert client.recv(100) == b"world"
    run(clock)
    assert device.pipes[0].hung_up


def test_a_device_that_hangs_up_sends_its_client_away(
    clock: WallClock, door: PipeDoor, device: Device
) -> None:
    """It reads the end; the next one may come."""
    client = socket.create_connection(("127.0.0.1", door.port), timeout=5)
    run(clock)
    device.pipes[0].hang_up()
    assert client.recv(100) == b""
    client.close()
    with socket.create_connection(("127.0.0.1", door.port), timeout=5):
        run(clock)
        assert len(device.pipes) == 2


def test_a_device_that_refuses_lets_nobody_in(
    clock: WallClock, door: PipeDoor, device: Device
) -> None:
    """The connection is closed at once."""
    device.refuses = True
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as client:
        run(clock)
        assert client.recv(100) == b""


def test_a_device_that_stalls_reads_on_when_it_goes_on(
    clock: WallClock, door: PipeDoor, device: Device
) -> None:
    """What the client wrote meanwhile is not lost."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as client:
        run(clock)
        device.pipes[0].stall()
        client.sendall(b"later")
        run(clock)
        assert device.got == b""
        device.pipes[0].resume()
        run(clock)
        assert device.got == b"later"


def test_a_client_that_does_not_read_loses_what_does_not_fit(
    clock: WallClock, door: PipeDoor, device: Device
) -> None:
    """Nothing piles up without bound; it is served again when it reads."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=5) as client:
        run(clock)
        for _ in range(200):
            device.pipes[0].write(b"x" * 65536)
            run(clock, 0.001)
        run(clock)
        client.setblocking(False)
        got = read_all(clock, client)
        assert 0 < len(got) < 200 * 65536
        device.pipes[0].write(b"again")
        assert read_all(clock, client) == b"again"


def read_all(clock: WallClock, client: socket.socket) -> bytes:
    """Read until nothing comes for a while."""
    got = b""
    silent = 0
    while silent < 10:
        try:
            got += client.recv(1 << 20)
            silent = 0
        except BlockingIOError:
            run(clock, 0.02)
            silent += 1
    return got


def test_the_last_words_of_a_client_are_heard(
    clock: WallClock, door: PipeDoor, device: Device
) -> None:
    """Also when it has gone before it could be answered."""
    client = socket.create_connection(("127.0.0.1", door.port), timeout=5)
    run(clock)
    client.sendall(b"bye")
    client.close()
    device.pipes[0].write(b"answer")
    device.pipes[0].write(b"more")
    run(clock)
    assert device.got == b"bye"
