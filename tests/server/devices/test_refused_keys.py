"""Refused keys: logged now and then with a count, counted for their device, never shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import structlog

from server.devices.cli import _shown
from server.devices.key import Key
from server.devices.refused_keys import (
    LINES_BURST,
    NAMES_LIMIT,
    PERIOD_S,
    KeyRefusal,
    RefusedKeys,
)
from tests.server.hand_clock import HandClock

SECRET = "correct horse battery"
PATIENCE_S = 30


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """What is logged."""
    capture = structlog.testing.LogCapture()
    structlog.configure(processors=[capture], cache_logger_on_first_use=False)
    return capture.entries


def refused(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines about refused keys."""
    return [line for line in lines if line["event"] == "key refused"]


def test_one_line_a_minute_for_each_key(lines: list[dict[str, Any]]) -> None:
    """A key that is refused all the time is one line a minute, which says how often."""
    clock, counted = HandClock(), []
    keys = RefusedKeys(clock, lambda *what: counted.append(what))
    revoked = KeyRefusal("revoked", "esp-1", 3)
    for _ in range(10):
        keys.note(revoked, "10.0.0.1")
        keys.note(revoked, "10.0.0.2")
    keys.note(KeyRefusal("is no device key, or mistyped"), "10.0.0.1")
    clock.now_s += PERIOD_S
    keys.note(revoked, "10.0.0.1")
    assert [line["requests"] for line in refused(lines)] == [1, 1, 20]
    assert (lines[0]["device"], lines[0]["key"], lines[0]["address"]) == ("esp-1", 3, "10.0.0.1")
    assert lines[0]["log_level"] == "warning"
    assert len(counted) == 21
    assert set(counted) == {
        ("esp-1", "key revoked", "from 10.0.0.1"),
        ("esp-1", "key revoked", "from 10.0.0.2"),
    }


def test_a_flood_from_many_addresses(lines: list[dict[str, Any]]) -> None:
    """However many addresses there are, lines and memory are bounded."""
    keys = RefusedKeys(HandClock(), lambda *_: None)
    for number in range(NAMES_LIMIT * 2):
        keys.note(KeyRefusal("was never given out here"), f"2001:db8::{number:x}")
    assert len(refused(lines)) == LINES_BURST
    assert len(keys._seen) == NAMES_LIMIT


async def test_what_is_known_of_a_refused_key(
    run_gateway: Callable[..., Any], lines: list[dict[str, Any]]
) -> None:
    """Each kind of refused key is logged as what it is; those of a device are shown with it."""
    async with (
        run_gateway(f"[api]\nsecret = '{SECRET}'\n") as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        registry = gateway.registry
        _, revoked = await registry.register("esp-1")
        await registry.revoke("esp-1", revoked.id)
        _, expired = await registry.register("esp-2")
        await registry.rotate("esp-2", 1e-9)
        _, gone = await registry.register("esp-3")
        await registry.deactivate("esp-3")
        made = [revoked.key, revoked.key, expired.key, gone.key, "guess", revoked.key[:-1] + "!"]
        made += [str(Key.make("esp-1", bytes(32))), str(Key.make("nobody", bytes(32)))]
        for key in made:
            answer = await client.post("/api/v1/uplink", headers={"X-API-Key": key})
            assert answer.status_code == 401
        await client.post("/api/v1/uplink")
        await client.get("/api/v1/devices", headers={"X-API-Key": "wrong horse battery"})
        found = [(line["reason"], line.get("device"), line.get("key")) for line in refused(lines)]
        assert found == [
            ("revoked", "esp-1", revoked.id),
            ("expired", "esp-2", expired.id),
            ("of a deactivated device", "esp-3", gone.id),
            ("is no device key, or mistyped", None, None),
            ("was never given out here", None, None),
            ("names a device that is not registered", None, None),
            ("is not the API secret", None, None),
        ]
        text = str(lines)
        assert not any(key in text for key in [*made, "wrong horse", SECRET])
        async with asyncio.timeout(PATIENCE_S):
            counted = await registry.refused("esp-1")
            while not counted:
                await asyncio.sleep(0.05)
                counted = await registry.refused("esp-1")
        answer = await client.get("/api/v1/devices/esp-1", headers={"X-API-Key": SECRET})
        (shown,) = answer.json()["refused"]
        assert (shown["reason"], shown["count"]) == ("key revoked", 2)
        assert "key revoked       2" in _shown("show", answer.json())
