"""The way to the device over its console."""

from __future__ import annotations

import os
import pty

import pytest
import serial  # type: ignore[import-untyped]

from server.provisioning.client import DeviceClient
from server.provisioning.errors import DeviceUnreachable, ProvisionError, RequestRefused
from server.provisioning.session import SecureSession
from server.provisioning.transport_console import ConsoleTransport, open_port
from tests.firmware.provisioning.board import PASSPHRASE, Rig
from tests.firmware.provisioning.direct import PASSWORD, USER


class Cable:
    """A serial port whose other end is a board; the board boots with some lines of its own."""

    def __init__(self, rig: Rig, piece: int = 100) -> None:
        self.rig, self.piece = rig, piece
        self.rig.board.console_out += b"I (31) boot: ready\r\n\n>> "

    def write(self, data: bytes, /) -> int:
        """Type."""
        self.rig.provisioner.console(data)
        return len(data)

    def read(self, size: int, /) -> bytes:
        """Read in small pieces, as a serial port does."""
        self.rig.poll(20)
        out = self.rig.board.console_out
        piece = bytes(out[: self.piece])
        del out[: self.piece]
        return piece

    def close(self) -> None:
        """Pull the cable."""


def test_a_whole_run_over_the_console() -> None:
    """Session, gateway, scan, network: the same core as over HTTP."""
    rig = Rig()
    transport = ConsoleTransport(Cable(rig), 4711)
    session = SecureSession(transport, USER, PASSWORD)
    session.open()
    client = DeviceClient(session, transport.networks_per_answer)
    client.set_gateway("http://gw:8000", "car-1", "key")
    assert [network.ssid for network in client.scan()] == ["Home", "Café"]
    client.set_network("Home", PASSPHRASE)
    rig.poll(1000)
    assert client.wifi_state().state == "connected"
    transport.close()


@pytest.mark.parametrize("typed", [b"help me", b"\x80\xff", b"proto-ver "])
def test_what_stands_in_the_line_already_does_not_spoil_the_first_request(typed: bytes) -> None:
    """Somebody has typed and not pressed Enter, or plugging in made noise."""
    rig = Rig()
    rig.provisioner.console(typed)
    transport = ConsoleTransport(Cable(rig), 4711, timeout_s=2.0)
    assert b"sec_ver" in transport.exchange("proto-ver", b"x")


def test_a_wrong_password_over_the_console() -> None:
    """The error line is a refusal like HTTP's 500."""
    with pytest.raises(ProvisionError, match="refused user"):
        SecureSession(ConsoleTransport(Cable(Rig()), 1), USER, "wrong").open()


def test_a_refusal_has_status_and_reason() -> None:
    """As the line says."""
    with pytest.raises(RequestRefused, match="no secure session") as caught:
        ConsoleTransport(Cable(Rig()), 1).exchange("prov-config", b"x")
    assert caught.value.status == 500


class Scripted:
    """A console that prints what the test wants after the echo of a line."""

    def __init__(self, printed: bytes) -> None:
        self.printed, self.out = printed, b""

    def write(self, data: bytes, /) -> int:
        """Echo, then print."""
        self.out += data + b"\n" + self.printed
        return len(data)

    def read(self, size: int, /) -> bytes:
        """Give all of it."""
        out, self.out = self.out, b""
        return out

    def close(self) -> None:
        """Nothing."""


def test_esp_idfs_console_says_no_by_saying_nothing() -> None:
    """The prompt without a line before it is a refusal."""
    port = Scripted(b"\r\n\n>> ")
    with pytest.raises(RequestRefused, match="gave no answer"):
        ConsoleTransport(port, 1).exchange("prov-config", b"x")


def test_log_lines_between_echo_and_answer_do_not_matter() -> None:
    """A line that is not all hexadecimal digits is somebody else's."""
    port = Scripted(b"I (400) wifi: scanning beef\r\nabc\r\n0aFF\r\n\n>> ")
    assert ConsoleTransport(port, 1).exchange("prov-scan", b"x") == b"\x0a\xff"


@pytest.mark.parametrize("printed", [b"", b"noise " * 20000])
def test_a_console_without_an_answer_is_given_up(printed: bytes) -> None:
    """After the time-out, with the next step."""
    transport = ConsoleTransport(Scripted(printed), 1, timeout_s=0.1)
    with pytest.raises(DeviceUnreachable, match="in provisioning mode"):
        transport.exchange("proto-ver", b"---")


def test_a_pulled_cable_is_told() -> None:
    """pyserial's own error becomes one line."""

    class Pulled(Scripted):
        def read(self, size: int, /) -> bytes:
            raise serial.SerialException("device reports readiness to read but returned no data")

    with pytest.raises(DeviceUnreachable, match="lost the serial line"):
        ConsoleTransport(Pulled(b""), 1).exchange("proto-ver", b"---")


def test_a_port_that_is_not_there_is_told() -> None:
    """Before anything is sent."""
    with pytest.raises(DeviceUnreachable, match="expected a serial port at /dev/no-such"):
        open_port("/dev/no-such-port")


def test_a_real_port_is_opened_without_restarting_the_board() -> None:
    """A pseudo terminal opens; the lines that reset an ESP32 are left low."""
    ours, theirs = pty.openpty()
    try:
        port = open_port(os.ttyname(theirs))
        assert not port.dtr
        assert not port.rts
        port.close()
    finally:
        os.close(ours)
        os.close(theirs)
