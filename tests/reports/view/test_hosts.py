"""Requests under another name, and changes by pages of elsewhere, are refused."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from reports.view.hosts import HostGuard, is_loopback


def ask(listens: str, host: str, method: str = "GET", origin: str | None = None) -> int:
    """Give the status of a request."""
    client = TestClient(HostGuard(PlainTextResponse("fine"), listens))
    headers = {"host": host} | ({"origin": origin} if origin is not None else {})
    return client.request(method, "/", headers=headers).status_code


@pytest.mark.parametrize(
    ("listens", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8050", 200),
        ("127.0.0.1", "localhost:8050", 200),
        ("127.0.0.1", "LOCALHOST", 200),
        ("::1", "[::1]:8050", 200),
        ("127.0.0.1", "evil.example:8050", 421),
        ("127.0.0.1", "127.0.0.1.evil.example", 421),
        ("127.0.0.1", "192.168.1.5:8050", 421),
        ("127.0.0.1", "", 421),
        ("127.0.0.1", "[::1", 421),
        ("0.0.0.0", "192.168.1.5:8050", 200),
        ("0.0.0.0", "[fe80::1]:8050", 200),
        ("0.0.0.0", "evil.example", 421),
        ("rig.example", "rig.example:8050", 200),
        ("rig.example", "evil.example", 421),
    ],
)
def test_names_that_are_not_this_server_are_refused(listens: str, host: str, status: int) -> None:
    """A name that somebody bent to mean this machine reads nothing here (DNS rebinding)."""
    assert ask(listens, host) == status


@pytest.mark.parametrize(
    ("method", "origin", "status"),
    [
        ("POST", "http://127.0.0.1:8050", 200),
        ("POST", None, 200),
        ("POST", "http://127.0.0.1:9999", 403),
        ("POST", "https://evil.example", 403),
        ("POST", "null", 403),
        ("DELETE", "https://evil.example", 403),
        ("GET", "https://evil.example", 200),
    ],
)
def test_changes_by_pages_of_elsewhere_are_refused(
    method: str, origin: str | None, status: int
) -> None:
    """What changes something must come from a page of this server, or from no page."""
    assert ask("127.0.0.1", "127.0.0.1:8050", method, origin) == status


def test_a_refusal_says_what_was_expected() -> None:
    """It is a problem in words."""
    client = TestClient(HostGuard(PlainTextResponse("fine"), "127.0.0.1"))
    answer = client.get("/", headers={"host": "evil.example"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert "localhost" in answer.json()["detail"]
    assert "evil.example" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.5", False),
        ("rig.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only what is surely this machine counts as this machine."""
    assert is_loopback(host) is expected
