"""A gateway elsewhere as seen from here: its numbers, its pages, its refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from rig.bench import GatewayPlace
from rig.bench.credentials import headers_of
from rig.record.streams import Stored
from rig.stand.remote_gateway import RemoteGateway, RemoteGatewayError, Renumbered

BOOT, MS = 77, 1_000_000


class Heard:
    """What a listener was told."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self.upto: list[int] = []

    def published(self, arrived_ns: int, rows: list[list[Any]], device: str, boot: int) -> None:
        """Keep it."""
        self.rows += rows

    def stored_at(
        self, boot: int, upto_seq: int, time_ns: int, device: str, first_seq: int
    ) -> None:
        """Keep it."""
        self.upto.append(upto_seq)

    def gateway_event(self, time_ns: int, kind: str, detail: Mapping[str, Any]) -> None:
        """Nothing."""


def stored(seq: int, time_ms: int, device: str = "", signal: int = 5) -> Stored:
    """Return a row of its store."""
    return Stored(device, seq, signal, time_ms * MS, 1.0, 0, 0, 0, BOOT)


def test_numbers_begin_with_the_first_that_was_seen() -> None:
    """A gateway may run for days: what came in the run counts; devices count for themselves."""
    heard = Heard()
    numbered = Renumbered(heard, ["esp32"])
    numbered.stored_at(BOOT, 900, 1, "car-7", 0)  # of before
    numbered.published(5 * MS, [[1001, 5, 4 * MS, 1.0, 5 * MS, 0]], "car-7", BOOT)
    numbered.published(6 * MS, [[1002, 5, 5 * MS, 1.0, 6 * MS, 0]], "car-7", BOOT)
    numbered.published(6 * MS, [[70, 5, 5 * MS, 1.0, 6 * MS, 0]], "esp32", 3)
    numbered.stored_at(BOOT, 1000, 7 * MS, "car-7", 0)
    numbered.stored_at(BOOT, 1002, 8 * MS, "car-7", 0)
    assert [row[0] for row in heard.rows] == [1, 2, 70]
    assert heard.upto == [2]
    found = numbered.counted([stored(900, 1), stored(1001, 4), stored(1002, 5)])
    assert [row.seq for row in found] == [1, 2]


def test_rows_without_numbers_are_those_since_the_first_that_was_seen() -> None:
    """By signal: one whose newest value is old does not bring back another's past."""
    numbered = Renumbered(Heard(), [])
    rows = [[1, 5, 40 * MS, 1.0, 50 * MS, 0], [2, 6, 10 * MS, 1.0, 50 * MS, 0]]
    numbered.published(50 * MS, rows, "car-7", BOOT)
    kept = numbered.of_this_run(
        [stored(0, 39), stored(0, 40), stored(0, 41), stored(0, 9, signal=6),
         stored(0, 10, signal=6), stored(0, 49, signal=7), stored(0, 50, signal=7)]
    )  # fmt: skip
    assert [(row.signal, row.time_ns // MS) for row in kept] == [
        (5, 40),
        (5, 41),
        (6, 10),
        (7, 50),
    ]


class Server(BaseHTTPRequestHandler):
    """Answers as a gateway does, in two pages."""

    def do_GET(self) -> None:
        """Answer."""
        if self.headers["X-API-Key"] != "secret":
            self.send_error(401)
        elif self.path.startswith("/api/v1/links"):
            self._say({"links": [{"name": "obd", "state": "up", "counters": {"queries": 3}}]})
        elif self.path.startswith("/api/v1/readings"):
            row = {"time_ns": 5, "signal": 1, "name": "RPM", "boot": 2, "value": 7.0, "state": 0}
            is_first = "after=" not in self.path
            self._say({"device": "x", "readings": [row], "next": "5-1-2-1" if is_first else None})
        else:
            self.send_error(404)

    def _say(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """A server."""
    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_it_stored_comes_in_pages(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own links, and of devices; one that it never heard of has nothing."""
    monkeypatch.setenv("A_TOKEN", "secret")
    remote = RemoteGateway(GatewayPlace(at=url, token="A_TOKEN", place="b.yaml:3"))
    assert remote.links()["obd"]["counters"] == {"queries": 3}
    rows = list(remote.stored(0, 10, ["esp32"]))
    assert rows == [Stored("", 0, 1, 5, 7.0, 0, 0, 0, 2)] * 2


def test_a_refusal_says_what_to_do(url: str) -> None:
    """File and line, address, answer, and the key to write."""
    with pytest.raises(RemoteGatewayError, match=r"b\.yaml:3.*/api/v1/links.*401.*token") as error:
        RemoteGateway(GatewayPlace(at=url, place="b.yaml:3")).start()
    assert url in str(error.value)


def test_a_token_that_is_not_set_is_told() -> None:
    """By the variable's name."""
    with pytest.raises(RemoteGatewayError, match="NO_SUCH_TOKEN"):
        RemoteGateway(GatewayPlace(at="http://127.0.0.1:9", token="NO_SUCH_TOKEN"))


def test_credentials_of_both_kinds() -> None:
    """An access token has three parts; anything else is the API secret."""
    assert headers_of("") == {}
    assert headers_of("aa.bb-c.dd_e") == {"Authorization": "Bearer aa.bb-c.dd_e"}
    assert headers_of("some words") == {"X-API-Key": "some words"}
