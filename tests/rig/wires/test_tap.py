"""A tap passes bytes, rate and hang-ups, tells of each, and holds no more than it may."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from rig.wires.errors import TapError
from rig.wires.speed import read_speed
from rig.wires.tap import LIMIT_BYTES, Tap
from tests.rig.wires.conftest import StandIn, until

Rows = list[tuple[int, bool, bytes]]


class Tapped:
    def __init__(self, place: str, path: Path, baud: int = 38400) -> None:
        self.rows: Rows = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.tap = Tap(
            "obd",
            place,
            baud=baud,
            path=path,
            on_bytes=lambda *row: self.rows.append(row),
            on_event=lambda _time_ns, kind, detail: self.events.append((kind, dict(detail))),
        )

    def bytes(self, to_host: bool) -> bytes:
        return b"".join(data for _, way, data in self.rows if way == to_host)

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]


@pytest.fixture
def tap(stand_in: StandIn, tmp_path: Path) -> Iterator[Tapped]:
    tapped = Tapped(str(stand_in.path), tmp_path / "port")
    tapped.tap.start()
    yield tapped
    tapped.tap.close()


def open_client(tapped: Tapped, baud: int = 38400) -> serial.Serial:
    client = serial.Serial(str(tapped.tap.path), baud, timeout=2)
    until(lambda: tapped.kinds()[-1:] == ["opened"], "the client to be seen")
    return client


def test_bytes_pass_both_ways_and_are_told_with_rising_instants(
    tap: Tapped, stand_in: StandIn
) -> None:
    """What a client asks reaches the device, the answer the client, and both are told in order."""
    stand_in.answer = lambda data: b"ELM327 v1.5\r\r>" if b"ATI\r" in data else b""
    with open_client(tap) as client:
        client.write(b"ATI\r")
        assert client.read_until(b">") == b"ELM327 v1.5\r\r>"
    until(lambda: tap.bytes(True) == b"ELM327 v1.5\r\r>")
    assert tap.bytes(False) == b"ATI\r"
    instants = [time_ns for time_ns, _, _ in tap.rows]
    assert instants == sorted(instants)
    assert tap.rows[0][1] is False


def test_the_rate_of_the_client_is_set_on_the_port(tap: Tapped, stand_in: StandIn) -> None:
    """A rate with and one without a name reach the real port; both are events."""
    with open_client(tap) as client:
        for baud in (115200, 57601):
            client.baudrate = baud
            until(lambda baud=baud: read_speed(stand_in.slave) == baud, f"{baud} bit/s")
    assert [d["baud"] for kind, d in tap.events if kind == "baud"] == [115200, 57601]


def test_what_comes_while_nobody_listens_is_told_but_not_kept(
    tap: Tapped, stand_in: StandIn
) -> None:
    """A client gets no old news; the record has all of it."""
    stand_in.say(b"old")
    until(lambda: tap.bytes(True) == b"old")
    with open_client(tap) as client:
        stand_in.say(b"new")
        assert client.read(3) == b"new"
    assert tap.tap.counters.unheard_bytes == 3


def test_a_device_that_goes_hangs_up_and_comes_back(tap: Tapped, stand_in: StandIn) -> None:
    """The client gets an error, the path vanishes, and works again when the device is back."""
    client = open_client(tap)
    stand_in.unplug()
    until(lambda: "gone" in tap.kinds())
    assert not os.path.lexists(tap.tap.path)
    with pytest.raises(serial.SerialException):
        client.read(1)
    client.close()
    stand_in.plug_in()
    until(lambda: "back" in tap.kinds())
    stand_in.answer = lambda data: data.upper()
    with open_client(tap) as client:
        client.write(b"hello")
        assert client.read(5) == b"HELLO"
    assert tap.tap.counters.gone == 1


def test_a_client_that_does_not_read_costs_bounded_memory(tap: Tapped, stand_in: StandIn) -> None:
    """Beyond the limit bytes are lost and counted; all of them were told."""
    with open_client(tap):
        for _ in range(64):
            stand_in.say(bytes(4096))
        until(lambda: tap.tap.counters.to_host_bytes == 64 * 4096)
        until(lambda: tap.tap.counters.lost_bytes)
        assert len(tap.tap._to_client) <= LIMIT_BYTES


def test_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message names the place and what to do, without a traceback."""
    with pytest.raises(TapError, match=r"no-such: expected a serial port.*no such port"):
        Tapped(str(tmp_path / "no-such"), tmp_path / "port").tap.start()


def test_a_port_that_another_has_is_named(stand_in: StandIn, tmp_path: Path, tap: Tapped) -> None:
    """The second tap of a port is refused: two readers would share its bytes."""
    with pytest.raises(TapError, match="another program has the port"):
        Tapped(str(stand_in.path), tmp_path / "other").tap.start()


SERVER = """
import socket, threading, serial, serial.rfc2217
port = serial.serial_for_url("loop://", timeout=0.05)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
peer, _ = listener.accept()
class Connection:
    write = staticmethod(peer.sendall)
manager = serial.rfc2217.PortManager(port, Connection())
def speak():
    while True:
        data = port.read(port.in_waiting or 1)
        if data:
            peer.sendall(b"".join(manager.escape(data)))
threading.Thread(target=speak, daemon=True).start()
while data := peer.recv(1024):
    port.write(b"".join(manager.filter(data)))
    print(port.baudrate, flush=True)
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:serial")  # its threads' old names
def test_a_port_by_rfc2217(tmp_path: Path) -> None:
    """A serial server elsewhere: bytes pass, and so does the rate that the client sets."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        with contextlib.ExitStack() as ended:
            ended.callback(server.kill)
            place = f"rfc2217://127.0.0.1:{int(server.stdout.readline())}"
            tapped = Tapped(place, tmp_path / "port", baud=9600)
            tapped.tap.start()
            ended.callback(tapped.tap.close)
            with open_client(tapped, 57600) as client:
                client.write(b"over there")
                assert client.read(10) == b"over there"
            assert [d["baud"] for kind, d in tapped.events if kind == "baud"] == [57600]
            server.kill()
            until(lambda: "gone" in tapped.kinds())
        assert "57600" in server.stdout.read()


@pytest.mark.parametrize("url", ["socket://127.0.0.1:{}", "127.0.0.1:{}"])
def test_a_port_on_the_network(url: str, tmp_path: Path) -> None:
    """A URL of pyserial, and host:port, are tapped as a device path is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        tapped = Tapped(url.format(server.getsockname()[1]), tmp_path / "port")
        tapped.tap.start()
        try:
            peer, _ = server.accept()
            with peer, open_client(tapped) as client:
                client.write(b"ask")
                assert peer.recv(10) == b"ask"
                peer.sendall(b"answer")
                assert client.read(6) == b"answer"
            until(lambda: "gone" in tapped.kinds())
        finally:
            tapped.tap.close()


def test_a_port_without_a_descriptor_is_pumped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """loop:// answers itself; it has no descriptor, as rfc2217:// has none."""
    tapped = Tapped("loop://", tmp_path / "port")
    tapped.tap.start()
    try:
        with open_client(tapped) as client:
            client.write(b"echo")
            assert client.read(4) == b"echo"
    finally:
        tapped.tap.close()
