"""The way to the device over HTTP."""

from __future__ import annotations

import socket

import pytest

from server.provisioning.errors import DeviceUnreachable, RequestRefused
from server.provisioning.session import SecureSession
from server.provisioning.transport_http import HttpTransport, parse_address
from tests.firmware.provisioning.direct import PASSWORD, USER
from tests.server.provisioning.device_server import serving


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.168.4.1", ("192.168.4.1", 80)),
        ("localhost:8080", ("localhost", 8080)),
        ("http://esp.local/", ("esp.local", 80)),
        ("[fe80::1]:81", ("fe80::1", 81)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    """Port 80 unless another is given."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "https://x",
        "x/y",
        "x:port",
        "x:99999",
        "x:0",
        "a b",
        "a..b",
        "a" * 70,
        "user@x",
        "x?y",
        "x#y",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """A ValueError, which the command tells."""
    with pytest.raises(ValueError):
        parse_address(text)


def test_a_session_goes_over_many_connections() -> None:
    """The cookie holds it together: each request has a connection of its own."""
    with serving() as device:
        session = SecureSession(HttpTransport("127.0.0.1", device.port), USER, PASSWORD)
        session.open()
        for _ in range(3):
            assert session.request("custom-data", b"{}")
    assert [exchange.endpoint for exchange in device.exchanges] == [
        "proto-ver",
        "prov-session",
        "prov-session",
        *["custom-data"] * 3,
    ]


def test_a_refusal_carries_status_reason_and_pause() -> None:
    """A second client is told 503 and when to come back."""
    with serving() as device:
        SecureSession(HttpTransport("127.0.0.1", device.port), USER, PASSWORD).open()
        with pytest.raises(RequestRefused, match="another client") as caught:
            HttpTransport("127.0.0.1", device.port).exchange("prov-session", b"x")
    assert caught.value.status == 503
    assert 0 < (caught.value.retry_after_s or 0) <= 15


def test_closing_without_an_answer_is_a_refusal() -> None:
    """It is how ESP-IDF's server says no, for instance to a wrong password."""
    with serving() as device:
        device.mangle = lambda exchange: None
        with pytest.raises(RequestRefused) as caught:
            HttpTransport("127.0.0.1", device.port).exchange("proto-ver", b"---")
    assert caught.value.status == 0


def test_nobody_there_is_told_with_the_next_step() -> None:
    """One line, no errno alone."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DeviceUnreachable, match="join the device's own Wi-Fi network"):
        HttpTransport("127.0.0.1", port).exchange("proto-ver", b"---")


def raw_server(answer: bytes) -> tuple[socket.socket, int]:
    """Listen, and answer the first connection with these bytes."""
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1]


@pytest.mark.parametrize(
    "answer",
    [
        b"rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_answers_that_are_no_http_are_told(answer: bytes) -> None:
    """Rubbish, cut answers, endless ones: DeviceUnreachable, never another exception."""
    listener, port = raw_server(answer)
    with listener, pytest.raises(DeviceUnreachable, match="expected an answer of the device"):
        HttpTransport("127.0.0.1", port, timeout_s=5).exchange("proto-ver", b"---")


def test_a_silent_device_is_given_up() -> None:
    """After the time-out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = HttpTransport("127.0.0.1", listener.getsockname()[1], timeout_s=0.2)
        with pytest.raises(DeviceUnreachable, match="timed out"):
            transport.exchange("proto-ver", b"---")
    transport.close()
