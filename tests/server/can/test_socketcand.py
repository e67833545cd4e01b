"""The gateway's client of socketcand, against a server that also behaves badly."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from server.can.frame import ERROR, EXTENDED, REMOTE, Acceptance, CanFrame
from server.can.options import PortOptions
from server.can.port import CanPort
from server.clock import SystemClock
from server.errors import LinkLost
from tests.server.can.fakes import SocketcandServer, wait_for


def port_to(server: SocketcandServer | int) -> CanPort:
    """A port that is not open yet."""
    number = server if isinstance(server, int) else server.port
    return CanPort(PortOptions("socketcand", "can0", port=number), SystemClock())


@contextmanager
def opened(server: SocketcandServer) -> Iterator[CanPort]:
    """An open port."""
    port = port_to(server)
    port.open()
    try:
        yield port
    finally:
        port.close()


def received(port: CanPort, count: int) -> list[CanFrame]:
    """Wait for frames."""
    frames: list[CanFrame] = []
    end_s = time.monotonic() + 5
    while len(frames) < count and time.monotonic() < end_s:
        frames += port.receive()
    return frames


def send_often(port: CanPort) -> None:
    """Send until somebody minds: the first frame after the end is taken by the kernel."""
    for _ in range(100):
        port.send(CanFrame(0x7DF, b""))
        time.sleep(0.005)


def test_frames_come_with_identifier_data_and_time(server: SocketcandServer) -> None:
    """11 and 29 bits, no data, and the server's clock, which is this machine's."""
    with opened(server) as port:
        before_ns = time.time_ns()
        server.frame(0x123, b"\x01\x02")
        server.frame(0x18DAF110, b"")
        standard, extended = received(port, 2)
    assert (standard.can_id, standard.data) == (0x123, b"\x01\x02")
    assert (extended.can_id, extended.data) == (EXTENDED | 0x18DAF110, b"")
    assert before_ns // 1000 <= standard.time_ns // 1000 <= standard.received_ns // 1000
    assert "< open can0 >" in server.said
    assert "< rawmode >" in server.said


def test_messages_are_put_together_from_pieces(server: SocketcandServer) -> None:
    """A frame that is cut anywhere comes once, and whole."""
    with opened(server) as port:
        for piece in ("< fra", "me 123 1", "7.5 1122 ", ">< frame 124 18.5 33 >< f"):
            server.send(piece)
            time.sleep(0.01)
        server.send("rame 125 19.5 44 >")
        frames = received(port, 3)
    assert [(frame.can_id, frame.data.hex()) for frame in frames] == [
        (0x123, "1122"),
        (0x124, "33"),
        (0x125, "44"),
    ]
    assert port.counters["frames"] == 3


def test_spaces_between_bytes_are_taken(server: SocketcandServer) -> None:
    """The protocol's description has them, the program does not."""
    with opened(server) as port:
        server.send("< frame 123 17.5 11 22 0A >")
        assert received(port, 1)[0].data == b"\x11\x22\x0a"


def test_an_error_frame_is_told(server: SocketcandServer) -> None:
    """Its class is kept; it passes whatever is wanted."""
    with opened(server) as port:
        port.accept([Acceptance(0x7E8)])
        server.send("< error 040 17.5 >")
        assert received(port, 1)[0].can_id == ERROR | 0x40


def test_unwanted_frames_are_left_out_and_counted(server: SocketcandServer) -> None:
    """Raw mode brings everything; the filter is the gateway's."""
    with opened(server) as port:
        port.accept([Acceptance(0x124, 0x7FF)])
        for can_id in (0x123, 0x124, 0x123, 0x124):
            server.frame(can_id, b"")
        assert [frame.can_id for frame in received(port, 2)] == [0x124, 0x124]
        assert port.counters["frames_unwanted"] == 2
        port.accept(None)
        server.frame(0x123, b"")
        assert received(port, 1)[0].can_id == 0x123


def test_what_comes_together_is_filtered_as_text(server: SocketcandServer) -> None:
    """Errors always pass; the last frame is looked at as a message, and left out all the same."""
    with opened(server) as port:
        port.accept([Acceptance(0x124, is_extended=True)])
        unwanted = "< frame 124 17.5 00 >"
        server.send(f"{unwanted}< frame 00000124 17.6 01 >< error 040 17.7 >{unwanted}{unwanted}")
        taken = received(port, 2)
        assert [frame.can_id for frame in taken] == [EXTENDED | 0x124, ERROR | 0x40]
        wait_for(lambda: not port.receive() and port.counters["frames_unwanted"] == 3)


def test_nonsense_is_counted_and_passed_over(server: SocketcandServer) -> None:
    """Words, odd digits and endless text cost nothing but a count."""
    with opened(server) as port:
        server.send("< error no such bus >< frame 123 17.5 1 >junk< frame 12Z 1.0 22 >")
        server.send("x" * 10_000)
        time.sleep(0.05)
        server.send(">")
        server.frame(0x123, b"\x05")
        assert [frame.data for frame in received(port, 1)] == [b"\x05"]
        assert port.counters["frames_malformed"] >= 4


def test_a_clock_that_is_off_is_mapped(server: SocketcandServer) -> None:
    """A server that lives in 1970 gives times of today, with the distances kept."""
    with opened(server) as port:
        server.send("< frame 123 100.500000 >< frame 123 100.750000 >")
        first, second = received(port, 2)
    assert second.time_ns - first.time_ns == 250_000_000
    assert second.time_ns == second.received_ns
    assert port.counters["stamps_mapped"] == 2


def test_sending(server: SocketcandServer) -> None:
    """A frame goes out as the protocol wants it; a remote one cannot."""
    with opened(server) as port:
        port.send(CanFrame(0x7DF, bytes.fromhex("02010C")))
        port.send(CanFrame(EXTENDED | 0x18DB33F1, b""))
        end_s = time.monotonic() + 5
        while "18DB33F1" not in server.said and time.monotonic() < end_s:
            time.sleep(0.005)
        assert "< send 7DF 3 2 1 c >" in server.said
        assert "< send 18DB33F1 0  >" in server.said
        with pytest.raises(ValueError, match="socketcand sends data frames"):
            port.send(CanFrame(REMOTE | 0x100, b""))


def test_a_greeting_in_pieces_is_taken() -> None:
    """TCP knows no messages: python-can's client fails here."""
    server = SocketcandServer(greeting=("< h", "i >"))
    with opened(server) as port:
        assert port.is_open
    server.die()


def test_the_last_frames_of_a_dead_server_come(server: SocketcandServer) -> None:
    """What came together with the end is not lost with it."""
    with opened(server) as port:
        server.frame(0x123, b"\x01")
        server.hang_up()
        time.sleep(0.05)
        assert [frame.data for frame in port.receive()] == [b"\x01"]
        with pytest.raises(LinkLost, match="closed the connection"):
            port.receive()


@pytest.mark.parametrize("reset", [False, True])
def test_death_of_the_server_is_seen_at_once(server: SocketcandServer, reset: bool) -> None:
    """An end or a reset of the connection is LinkLost, and costs no CPU meanwhile."""
    with opened(server) as port:
        server.send("")
        server.hang_up(reset=reset)
        with pytest.raises(LinkLost, match=r"closed the connection|went away"):
            received(port, 1)


def test_sending_to_a_dead_server_is_seen(server: SocketcandServer) -> None:
    """BrokenPipeError and its kin are LinkLost."""
    with opened(server) as port:
        server.send("")
        server.hang_up()
        with pytest.raises(LinkLost, match="sends nothing"):
            send_often(port)


def test_nobody_listens() -> None:
    """A refused connection is told at once, not tried for 10 s."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    port = port_to(number)
    with pytest.raises(LinkLost, match=rf"expected a socketcand server at 127.0.0.1:{number}"):
        port.open()
    assert not port.is_open


@pytest.mark.parametrize(
    ("greeting", "answers", "message"),
    [
        ((), (), "expected a greeting from socketcand can0 .*found silence"),
        (("SSH-2.0-x\r\n",), (), "expected a greeting.*found 'SSH-2.0-x"),
        (("< hi >",), ("< error could not open bus >",), "found < error could not open bus >"),
        (("< hi >",), ("< ok >", "< echo >"), r"< ok > to < rawmode >.*found < echo >"),
        (("< hi >",), ("< ok >",), r"< ok > to < rawmode >.*found silence"),
    ],
)
def test_servers_that_are_none(
    monkeypatch: pytest.MonkeyPatch,
    greeting: tuple[str, ...],
    answers: tuple[str, ...],
    message: str,
) -> None:
    """Each step of the handshake says what was expected and what came, and none waits for ever."""
    monkeypatch.setattr("server.can.socketcand.ANSWER_TIMEOUT_S", 0.1)
    server = SocketcandServer(greeting, answers)
    with pytest.raises(LinkLost) as caught:
        port_to(server).open()
    assert re.search(message, str(caught.value)), caught.value
    server.die()
