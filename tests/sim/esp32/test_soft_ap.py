"""The access point: requests in, replies out, and what it does not take."""

from __future__ import annotations

from typing import Any

import pytest

from sim.esp32.soft_ap import MAX_BODY_BYTES, MAX_WAITING


@pytest.fixture
def open_ap(bench: Any) -> Any:
    """A bench whose access point is open."""
    bench.replies = []
    bench.hal.ap_start("PROV_1")
    return bench


def ask(bench: Any, body: bytes = b"x") -> None:
    bench.board.soft_ap.request(
        b"session=1", "/prov-session", body, lambda *reply: bench.replies.append(reply)
    )


def test_a_request_is_taken_and_answered(open_ap: Any) -> None:
    """Cookie, path and body as they came."""
    ask(open_ap)
    connection, cookie, path, body = open_ap.hal.ap_receive()
    assert (cookie, path, body) == (b"session=1", "/prov-session", b"x")
    open_ap.hal.ap_reply(connection, 200, [("Set-Cookie", "session=2")], b"y")
    assert open_ap.replies == [(200, [("Set-Cookie", "session=2")], b"y")]
    assert open_ap.hal.ap_receive() is None


def test_a_second_reply_to_one_request_is_ignored(open_ap: Any) -> None:
    """The connection is gone."""
    ask(open_ap)
    connection = open_ap.hal.ap_receive()[0]
    open_ap.hal.ap_reply(connection, 200, [], b"")
    open_ap.hal.ap_reply(connection, 500, [], b"")
    assert [reply[0] for reply in open_ap.replies] == [200]


def test_what_a_board_cannot_hold_is_refused_at_the_door(open_ap: Any) -> None:
    """A body that is too long, and more requests than it can keep."""
    ask(open_ap, bytes(MAX_BODY_BYTES + 1))
    assert open_ap.replies.pop()[0] == 413
    for _ in range(MAX_WAITING + 1):
        ask(open_ap)
    assert [reply[0] for reply in open_ap.replies] == [503]


def test_a_closed_access_point_answers_nobody(open_ap: Any) -> None:
    """Those that wait are told."""
    ask(open_ap)
    open_ap.hal.ap_stop()
    ask(open_ap)
    assert [reply[0] for reply in open_ap.replies] == [503, 503]
    assert open_ap.hal.ap_receive() is None
