"""Provisioning over HTTP: sessions, second clients, statuses."""

from __future__ import annotations

import json

import pytest

from server.provisioning.errors import ProvisionError, RequestRefused
from tests.firmware.provisioning.board import Board, Rig
from tests.firmware.provisioning.direct import PASSWORD, DirectTransport, opened, session


def test_the_version_tells_scheme_and_patch_and_touches_no_session() -> None:
    """Anybody may ask, also while another client has the session; no cookie is given."""
    rig = Rig()
    made = opened(rig)
    reply = rig.post("proto-ver", b"---")
    assert reply.status == 200
    assert "Set-Cookie" not in reply.headers
    assert json.loads(reply.body) == {
        "prov": {"ver": "v1.1", "sec_ver": 2, "sec_patch_ver": 1, "cap": ["wifi_scan"]}
    }
    assert made.request("custom-data", b"{}")


@pytest.mark.parametrize(
    ("endpoint", "body", "status"),
    [
        ("nothing-here", b"x", 404),
        ("", b"x", 404),
        ("prov-config", b"x", 500),
        ("custom-data", b"x" * 40, 500),
        ("prov-session", b"", 500),
        ("prov-session", b"x" * 4097, 500),
        ("prov-session", b"\xff", 500),
    ],
)
def test_requests_that_lead_nowhere_have_their_status(
    endpoint: str, body: bytes, status: int
) -> None:
    """Unknown endpoints, sealed ones without a session, empty and long bodies."""
    reply = Rig().post(endpoint, body)
    assert reply.status == status
    assert reply.body


def test_a_session_is_known_by_its_cookie() -> None:
    """The first answer of a session carries it; later ones do not repeat it."""
    rig = Rig()
    transport = DirectTransport(rig)
    with pytest.raises(RequestRefused):
        transport.exchange("prov-session", b"x")
    cookie = transport.cookie
    assert cookie.startswith(b"session=")
    assert "Set-Cookie" not in rig.post("prov-session", b"x", b"a=b; " + cookie).headers
    assert "Set-Cookie" in rig.post("prov-session", b"x", b"session=1").headers
    assert "Set-Cookie" in rig.post("prov-session", b"x", b"session=-1; session=x").headers


def test_a_client_without_cookies_is_known_by_its_connection() -> None:
    """As with ESP-IDF: the same connection goes on, another one begins anew."""
    rig = Rig()
    board = rig.board
    fresh = []
    for connection in (7, 7, 8):
        board.replies.clear()
        board.requests.append((connection, b"", "/prov-session", b"x"))
        rig.poll()
        fresh.append("Set-Cookie" in board.replies[connection].headers)
    assert fresh == [True, False, True]


def test_a_second_client_is_told_to_come_back() -> None:
    """While the first is in session the second gets 503 and a pause; the first stays."""
    rig = Rig()
    first = opened(rig)
    second = DirectTransport(rig)
    for endpoint in ("prov-session", "prov-config"):
        with pytest.raises(RequestRefused) as caught:
            second.exchange(endpoint, b"x")
        assert (caught.value.status, caught.value.retry_after_s) == (503, 15)
    assert first.request("custom-data", b"{}")


def test_a_handshake_under_way_is_not_disturbed_either() -> None:
    """Between the two messages of the first client a second one is refused."""
    rig = Rig()
    refused = []

    def intrude(step: int, way: str, data: bytes) -> bytes:
        if (step, way) == (2, "back"):
            refused.append(rig.post("prov-session", data).status)
        return data

    first = session(rig)
    first._transport = DirectTransport(rig, intrude)
    first.open()
    assert refused == [503]


def test_a_client_that_went_away_is_waited_for_and_then_replaced() -> None:
    """After fifteen seconds of silence the next client is let in, and the first is out."""
    rig = Rig()
    first = opened(rig)
    told: list[str] = []
    second = session(rig)
    second._tell = told.append
    second.open()
    assert told == ["another client is provisioning the device: waiting 15 s"]
    with pytest.raises(RequestRefused) as caught:
        first.request("custom-data", b"{}")
    assert caught.value.status == 503


def test_a_client_whose_handshake_failed_holds_nobody_up() -> None:
    """Without a session there is nothing to protect."""
    rig = Rig()
    with pytest.raises(ProvisionError):
        session(rig, "wrong").open()
    opened(rig)


def test_wrong_passwords_are_slowed_down_more_and_more() -> None:
    """Five are free; then every further one makes the pause twice as long, even for the right."""
    rig = Rig()
    for _ in range(5):
        with pytest.raises(ProvisionError, match="refused user"):
            session(rig, "wrong").open()
    with pytest.raises(ProvisionError, match="too many wrong ones; try again in 10 s"):
        session(rig).open()
    rig.poll(10_000)
    with pytest.raises(ProvisionError, match="refused user"):
        session(rig, "wrong").open()
    with pytest.raises(ProvisionError, match="in 20 s"):
        session(rig).open()
    rig.poll(20_000)
    opened(rig)
    rig.poll(60_000)
    with pytest.raises(ProvisionError, match="refused user"):
        session(rig, "wrong").open()
    opened(rig)


def test_computing_is_done_in_steps() -> None:
    """No poll computes more than one power; in between the logger has its turn."""
    rig = Rig()
    transport = DirectTransport(rig)
    made = session(rig)
    made._transport = transport
    made.open()
    hello = next(body for endpoint, body in transport.sent if endpoint == "prov-session")
    rig.board.requests.append((99, transport.cookie, "/prov-session", hello))
    steps = []
    while 99 not in rig.board.replies:
        before = rig.board.powers
        rig.provisioner.poll()
        steps.append(rig.board.powers - before)
    assert max(steps) == 1
    assert sum(steps) == 3


def test_given_salt_and_verifier_are_used_and_made_ones_are_kept() -> None:
    """The factory may write them; else they are made once, from user and password."""
    made = Rig(settings={"user": "anna", "password": "tower bridge"})
    kept = dict(made.board.nvs)
    session(made, "tower bridge", "anna").open()
    made.reset()
    assert made.board.nvs == kept
    session(made, "tower bridge", "anna").open()
    given = Rig(Board(nvs=kept), settings={"user": "anna", "password": "not looked at"})
    assert given.board.nvs == kept
    session(given, "tower bridge", "anna").open()
    with pytest.raises(ProvisionError):
        session(given, PASSWORD, "anna").open()
