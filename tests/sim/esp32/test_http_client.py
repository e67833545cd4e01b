"""The HTTP client: one request at a time, through an air that loses some."""

from __future__ import annotations

from typing import Any

import pytest

from sim.esp32 import HttpAnswer
from sim.esp32.http_client import MAX_ANSWER_BYTES, TIMEOUT_S


@pytest.fixture
def online(bench: Any) -> Any:
    """A bench whose board has joined the network; nobody runs on it."""
    bench.board.station.connect("telerig", "drive safely")
    bench.run(5.0)
    bench.bodies = []
    bench.board.on_http.append(lambda *body: bench.bodies.append(body))
    return bench


def start(bench: Any) -> int:
    return int(bench.hal.http_start("POST", "http://gateway/x", [("X-API-Key", "k")], b"body"))


def test_an_answer_comes_after_both_ways_and_only_once(online: Any) -> None:
    """The request is what the board said; every body is told."""
    handle = start(online)
    assert online.hal.http_poll(handle) is None
    online.run(5.12)
    assert online.hal.http_poll(handle) is None  # 0.1 s there, and two ways of 15-60 ms
    online.run(5.3)
    assert online.hal.http_poll(handle) == (200, b"answer")
    assert online.hal.http_poll(handle) is None
    (request,) = online.internet.requests
    assert (request.method, request.url) == ("POST", "http://gateway/x")
    assert dict(request.headers) == {"X-API-Key": "k"}
    assert online.bodies == [(True, 0, b"body"), (False, 200, b"answer")]


def test_without_a_network_it_fails_at_once(bench: Any) -> None:
    """Nothing goes out, and nothing is told."""
    handle = start(bench)
    bench.run(1.0)
    assert bench.hal.http_poll(handle) == (0, b"no network")
    assert bench.internet.requests == []


def test_a_request_that_gets_lost_times_out(online: Any) -> None:
    """It counts as sent, and never arrives."""
    online.board.station._air.loss = 1.0
    handle = start(online)
    online.run(5.0 + TIMEOUT_S + 0.1)
    assert online.hal.http_poll(handle) == (0, b"timed out")
    assert online.internet.requests == []
    assert online.bodies == [(True, 0, b"body")]


def test_an_answer_that_gets_lost_times_out_though_the_request_arrived(online: Any) -> None:
    """So the same comes again: the other side must know it."""
    handle = start(online)
    online.at(5.1, lambda: setattr(online.board.station._air, "loss", 1.0))
    online.run(5.0 + TIMEOUT_S + 0.1)
    assert online.hal.http_poll(handle) == (0, b"timed out")
    assert len(online.internet.requests) == 1


def test_a_cancelled_request_says_nothing_any_more(online: Any) -> None:
    """Its answer is dropped; the next one gets its own."""
    first = start(online)
    online.hal.http_cancel(first)
    online.internet.answer = HttpAnswer(404, b"second")
    second = start(online)
    online.run(20.0)
    assert online.hal.http_poll(first) is None
    assert online.hal.http_poll(second) == (404, b"second")


def test_an_answer_that_is_too_long_is_a_failure(online: Any) -> None:
    """A board has no room for it."""
    online.internet.answer = HttpAnswer(200, bytes(MAX_ANSWER_BYTES + 1))
    handle = start(online)
    online.run(6.0)
    assert online.hal.http_poll(handle) == (0, b"answer too long")


def test_a_refused_connection_is_a_failure_with_its_reason(online: Any) -> None:
    """Status 0."""
    online.internet.answer = HttpAnswer(0, b"connection refused")
    handle = start(online)
    online.run(6.0)
    assert online.hal.http_poll(handle) == (0, b"connection refused")
    assert online.board.http.failures == 1
