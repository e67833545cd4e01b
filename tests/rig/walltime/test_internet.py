"""The boards' way to real servers, and clients' way to a board: HTTP over loopback."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rig.device.speaker import Speaker
from rig.http_exchange import LONGEST_ANSWER_BYTES
from rig.walltime.ap_door import MAX_CLIENTS, ApDoor
from rig.walltime.clock import WallClock
from rig.walltime.internet import ThreadInternet
from rig.walltime.listener import PortBusyError
from sim.esp32 import HttpAnswer, HttpRequest
from sim.esp32.soft_ap import MAX_BODY_BYTES, SoftAp

PATIENCE_S = 20.0


class Handler(http.server.BaseHTTPRequestHandler):
    """Says what it was asked; misbehaves at some paths."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/close":
            self.close_connection = True
            return
        if self.path == "/nonsense":
            self.wfile.write(b"no HTTP at all\r\n\r\n")
            return
        asked = {"path": self.path, "key": self.headers["x-api-key"], "body": body.decode()}
        answer = b"x" * (LONGEST_ANSWER_BYTES + 1) if self.path == "/long" else b""
        answer = answer or json.dumps(asked).encode()
        self.send_response(404 if self.path == "/absent" else 200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """URL of a server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def ask() -> Iterator[Callable[[str], HttpAnswer]]:
    """Return `ask(url)`: what a board in wall time gets."""
    clock = WallClock()
    internet = ThreadInternet(clock)

    def ask(url: str) -> HttpAnswer:
        answers: list[HttpAnswer] = []
        threads: list[int] = []

        def answered(answer: HttpAnswer) -> None:
            answers.append(answer)
            threads.append(threading.get_ident())
            clock.stop()

        request = HttpRequest("POST", url, [("X-API-Key", "secret")], b"body")
        internet.exchange(request, answered)
        clock.run(until_s=PATIENCE_S)
        assert threads == [threading.get_ident()]  # in the world's thread
        return answers[0]

    yield ask
    internet.close()


def test_a_request_arrives_and_its_answer_comes_back(
    server: str, ask: Callable[[str], HttpAnswer]
) -> None:
    """Path with query, header, body."""
    answer = ask(server + "/api/v1/uplink?x=1")
    assert answer.status == 200
    expected = {"path": "/api/v1/uplink?x=1", "key": "secret", "body": "body"}
    assert json.loads(answer.body) == expected


def test_a_status_is_handed_on(server: str, ask: Callable[[str], HttpAnswer]) -> None:
    """It is the firmware's to judge."""
    assert ask(server + "/absent").status == 404


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/close", b"no HTTP: peer closed"),
        ("/nonsense", b"no HTTP: "),
        ("/long", b"answer too long"),
    ],
)
def test_what_is_no_answer_is_a_failure(
    server: str, ask: Callable[[str], HttpAnswer], path: str, reason: bytes
) -> None:
    """Status 0, and why."""
    answer = ask(server + path)
    assert answer.status == 0
    assert reason in answer.body or path == "/close"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/x", b"connect"),
        ("https://127.0.0.1/x", b"TLS is not modelled"),
        ("http://[broken/x", b""),
    ],
)
def test_what_cannot_be_reached_is_a_failure(
    ask: Callable[[str], HttpAnswer], url: str, reason: bytes
) -> None:
    """Never a traceback."""
    answer = ask(url)
    assert answer.status == 0
    assert reason in answer.body


class Bench:
    """A door with a board behind it that answers at once, in a world that runs in a thread."""

    def __init__(self) -> None:
        self.clock = WallClock()
        self.answers = True
        self.soft_ap = SoftAp(self._wake)
        self.soft_ap.start("PROV")
        self.speaker = Speaker(True, clock=lambda: 0.0)
        self.door = ApDoor(self.clock, self.soft_ap, 0, self.speaker)
        self.door.open()
        self.thread = threading.Thread(target=self.clock.run, daemon=True)
        self.thread.start()

    def _wake(self) -> None:
        request = self.soft_ap.receive()
        if request is not None and self.answers:
            connection, cookie, path, body = request
            headers = [("Set-Cookie", "session=1"), ("Content-Type", "application/octet-stream")]
            self.soft_ap.reply(connection, 200, headers, cookie + path.encode() + body)

    def close(self) -> None:
        self.clock.stop()
        self.thread.join(PATIENCE_S)
        self.door.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A board's access point on a port."""
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def client(bench: Bench) -> Iterator[http.client.HTTPConnection]:
    """A client of the board; it connects with its first request."""
    client = http.client.HTTPConnection("127.0.0.1", bench.door.port, timeout=PATIENCE_S)
    yield client
    client.close()


Client = http.client.HTTPConnection


def test_any_client_reaches_the_board(client: Client) -> None:
    """Several requests on one connection, with the session's cookie."""
    for body in (b"one", b"two"):
        client.request("POST", "/prov-session", body, {"Cookie": "session=9"})
        response = client.getresponse()
        assert (response.status, response.reason) == (200, "OK")
        assert response.getheader("Set-Cookie") == "session=1"
        assert response.read() == b"session=9/prov-session" + body


def test_a_body_in_pieces_is_put_together(client: Client) -> None:
    """Chunked, as some clients send it."""
    client.request("POST", "/x", iter([b"a", b"bc"]), encode_chunked=True,
                   headers={"Transfer-Encoding": "chunked"})  # fmt: skip
    assert client.getresponse().read() == b"/xabc"


def test_another_method_is_refused(client: Client) -> None:
    """And the connection serves on."""
    client.request("GET", "/")
    response = client.getresponse()
    assert (response.status, response.getheader("Allow")) == (405, "POST")
    response.read()
    client.request("POST", "/x", b"y")
    assert client.getresponse().read() == b"/xy"


def test_a_body_that_no_board_holds_is_refused(client: Client) -> None:
    """Before it is there."""
    client.request("POST", "/x", bytes(MAX_BODY_BYTES + 1))
    assert client.getresponse().status == 413


def test_what_is_no_http_gets_an_answer_and_the_door_stays_open(
    bench: Bench, client: Client
) -> None:
    """400, and the next client is served."""
    with socket.create_connection(("127.0.0.1", bench.door.port), timeout=PATIENCE_S) as raw:
        raw.sendall(b"\x00\x01\x02\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400 Bad Request")
    client.request("POST", "/x", b"y")
    assert client.getresponse().read() == b"/xy"


def test_clients_that_only_connect_do_not_keep_others_out_for_ever(
    bench: Bench, client: Client
) -> None:
    """One beyond the limit is sent away; when one leaves there is room again."""
    address = ("127.0.0.1", bench.door.port)
    idle = [socket.create_connection(address, timeout=PATIENCE_S) for _ in range(MAX_CLIENTS)]
    with socket.create_connection(address, timeout=PATIENCE_S) as one_more:
        assert one_more.recv(1) == b""
    for other in idle:
        other.close()
    for _ in range(100):  # the door notices within a moment
        try:
            client.request("POST", "/x", b"y")
            assert client.getresponse().read() == b"/xy"
            break
        except (OSError, http.client.HTTPException):
            client.close()
    else:
        pytest.fail("no client gets in any more")


def test_a_port_in_use_is_told_in_one_line() -> None:
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        door = ApDoor(WallClock(), SoftAp(lambda: None), port, Speaker(True, clock=lambda: 0.0))
        with pytest.raises(PortBusyError, match=rf"--http {port}: expected a port to listen on"):
            door.open()
