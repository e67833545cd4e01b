"""The headers that keep pages local, unframed, and without scripts of strangers."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from reports.view.security import ADDRESSES_COOKIE, policy, set_addresses


def cookie(text: str) -> str:
    """Give the header by which a browser tells what its settings name."""
    return f"other=1; {ADDRESSES_COOKIE}={quote(text, safe='')}"


def test_the_policy_is_closed() -> None:
    """Nothing of elsewhere, no inline scripts but those with a hash, no frames."""
    rules = dict(rule.split(" ", 1) for rule in policy("'sha256-x'").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self' 'sha256-x'"
    assert rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'"
    assert "unsafe-eval" not in policy("")


def test_addresses_of_the_settings_are_allowed() -> None:
    """What somebody has set in this browser may be connected to, and shown as an image."""
    found = set_addresses(cookie("https://car.example:8443 wss://car.example:8443"))
    assert found == ["https://car.example:8443", "wss://car.example:8443"]
    assert "connect-src 'self' https://car.example:8443" in policy("", found)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "https://x.example; script-src *",
        "'unsafe-inline'",
        "data:",
        "https:",
        "javascript:1",
        "https://x.example/path",
        "",
        "https://",
        "\r\nx: y",
    ],
)
def test_what_is_no_origin_is_left_out(text: str) -> None:
    """A cookie cannot open the policy further than to named origins."""
    for word in set_addresses(cookie(text)):
        assert word == "https://x.example"
    assert all(";" not in word for word in set_addresses(cookie(text)))


def test_a_broken_cookie_is_nothing() -> None:
    """Cookies that cannot be read name no address."""
    assert set_addresses('a"b=c; \x01=; ' + "x" * 50) == []
    assert set_addresses("") == []


def test_there_are_not_too_many() -> None:
    """The header stays short."""
    assert len(set_addresses(cookie(" ".join(f"https://h{i}.example" for i in range(50))))) == 8
