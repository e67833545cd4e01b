"""Ways to a radio: real PTYs, TCP connections and pyserial URLs."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from server.clock import SystemClock
from server.errors import LinkLost
from server.mesh.radio.client import RadioClient
from server.mesh.radio.packets import Event, Packet, Queued
from server.mesh.radio.transport import (
    SerialTransport,
    TcpTransport,
    check_port,
    tcp_address,
    transport,
)
from tests.server.mesh.fake_radio import NODE, FakeRadio, on_pty, on_tcp

PATIENCE_S = 30.0


class Served:
    """A client in a thread of its own."""

    def __init__(self, port: str) -> None:
        self.packets: list[Packet] = []
        self.events: list[Event] = []
        self.client = RadioClient(
            port, clock=SystemClock(), on_packet=self.packets.append, on_event=self.events.append
        )
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.client.open()
            self.client.serve(self.stop)
        except LinkLost as error:
            self.error = error
        finally:
            self.client.close()

    def end(self) -> None:
        """Stop it."""
        self.stop.set()
        self.client.stop()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def until(is_true: object, what: str = "") -> None:
    """Wait for something."""
    end_s = time.monotonic() + PATIENCE_S
    while not is_true():  # type: ignore[operator]
        assert time.monotonic() < end_s, f"expected {what or is_true}"
        time.sleep(0.002)


def exchange(served: Served, radio: FakeRadio, lock: threading.Lock, poke: object) -> None:
    """Packets both ways."""
    until(lambda: any(isinstance(event, Queued) for event in served.events))
    assert served.client.info is not None
    assert served.client.info.node == NODE
    for number in range(20):
        served.client.send(bytes([number]) * 200) if served.client.queue_free else None
        with lock:
            radio.hears(payload=bytes([number]) * 200, number=number + 1)
        poke()  # type: ignore[operator]
    until(lambda: len(served.packets) == 20)
    until(lambda: len(radio.sent) >= 16)
    assert [packet.payload[0] for packet in served.packets] == list(range(20))
    assert all(len(packet.decoded.payload) == 200 for packet in radio.sent)
    served.end()
    assert served.error is None
    until(lambda: radio.said_goodbye)


def test_on_a_pty() -> None:
    """Packets go both ways over a serial port."""
    radio = FakeRadio()
    with on_pty(radio) as line:
        exchange(Served(line.path), radio, line.lock, line.poke)


def test_on_tcp() -> None:
    """Packets go both ways over TCP."""
    radio = FakeRadio()
    with on_tcp(radio) as line:
        exchange(Served(f"tcp://127.0.0.1:{line.port}"), radio, line.lock, line.poke)


def test_behind_a_pyserial_url() -> None:
    """Packets go both ways over a port that pyserial knows by a URL."""
    radio = FakeRadio()
    with on_tcp(radio) as line:
        exchange(Served(f"socket://127.0.0.1:{line.port}"), radio, line.lock, line.poke)


def test_the_port_is_raw_and_locked() -> None:
    """A cooked PTY would echo the radio's own frames back to it; a second reader would steal."""
    with on_pty(FakeRadio()) as line:
        served = Served(line.path)
        until(lambda: served.client.info is not None)
        with pytest.raises(LinkLost, match="another program holds it"):
            SerialTransport(line.path).open()
        served.end()
        again = SerialTransport(line.path)  # the lock is gone with the client
        again.open()
        again.close()


def test_unplugging() -> None:
    """A USB radio that is pulled ends the connection at once."""
    with on_pty(FakeRadio()) as line:
        served = Served(line.path)
        until(lambda: served.client.info is not None)
        line.unplug()
        served.thread.join(PATIENCE_S)
        assert "went away" in str(served.error)


def test_tcp_hang_up() -> None:
    """A radio that closes its connection, for another client or a reboot, is lost."""
    with on_tcp(FakeRadio()) as line:
        served = Served(f"tcp://127.0.0.1:{line.port}")
        until(lambda: served.client.info is not None)
        line.hang_up()
        served.thread.join(PATIENCE_S)
        assert "went away" in str(served.error)


def test_a_pty_that_is_not_drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real buffer that fills: no bytes are lost, nothing turns in a loop, and it is noticed."""
    monkeypatch.setattr("server.mesh.radio.client.STALL_S", 0.3)
    radio = FakeRadio()
    with on_pty(radio) as line:
        served = Served(line.path)
        until(lambda: served.client.queue_free == 16)
        with line.lock:
            radio.is_frozen = True
        line.poke()
        cpu_s = time.process_time()
        # What a frozen radio's buffer takes is not known as lost: write past all of it.
        client = served.client
        with client._lock:
            client._waiting.append((1, bytes(100_000), False))
        client.wake()
        served.thread.join(PATIENCE_S)
        assert "took none for 0.3 s" in str(served.error)
        assert time.process_time() - cpu_s < 1.0


@pytest.mark.parametrize(
    ("port", "address"),
    [
        ("tcp://radio.local", ("radio.local", 4403)),
        ("tcp://192.168.1.5:4404", ("192.168.1.5", 4404)),
        ("tcp://[::1]:4403/", ("::1", 4403)),
    ],
)
def test_tcp_addresses(port: str, address: tuple[str, int]) -> None:
    """The firmware's port is the default."""
    assert tcp_address(port) == address
    check_port(port)


@pytest.mark.parametrize(
    "port", ["tcp://", "tcp://:4403", "tcp://a:99999", "tcp://a:0", "tcp://a/b"]
)
def test_no_tcp_addresses(port: str) -> None:
    """What is no address is refused when the configuration is read."""
    with pytest.raises(ValueError):
        check_port(port)


def test_ports_that_are_not_there(tmp_path: Path) -> None:
    """Each kind of port says what it expected."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    for port, expected in (
        (str(tmp_path / "none"), "expected a serial port at .*No such file"),
        (f"tcp://127.0.0.1:{free}", "expected a radio at tcp://.*Connection refused"),
        (f"socket://127.0.0.1:{free}", "expected a serial port at socket://"),
        ("nonsense://x", "expected a serial port at nonsense://x"),
    ):
        with pytest.raises(LinkLost, match=expected):
            transport(port).open()


def test_a_wake_before_and_after() -> None:
    """Waking is safe at any time, also when the port is not open yet or closed already."""
    with on_pty(FakeRadio()) as line:
        files = len(os.listdir("/proc/self/fd"))
        made = SerialTransport(line.path)
        made.wake()
        made.open()
        begin_s = time.monotonic()
        made.exchange(b"", 5.0)
        assert time.monotonic() - begin_s < 4.0
        made.close()
        made.wake()
        made.close()
        assert len(os.listdir("/proc/self/fd")) == files


def test_a_host_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without an address is told in words."""

    def nobody(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", nobody)
    with pytest.raises(LinkLost, match="found: Name or service not known"):
        TcpTransport("tcp://nowhere").open()
