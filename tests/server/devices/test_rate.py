"""Rates: of a device's requests, and of guesses at the operator's secret (X08)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from server.devices.access import FAILURES_BURST
from server.devices.rate import NAMES_LIMIT, Rate
from tests.server.hand_clock import HandClock

SECRET = "correct horse battery"


def test_a_burst_then_the_rate() -> None:
    """A full bucket is used up at once, and comes back at its rate, for each name by itself."""
    clock = HandClock()
    rate = Rate(2, 3, clock)
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("b") == 0
    clock.now_s += 0.5
    assert [rate.take("a"), rate.take("a")] == [0, 0.5]
    clock.now_s += 1000
    assert [rate.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_no_limit() -> None:
    """Rate 0 never refuses."""
    rate = Rate(0, 0, HandClock())
    assert not any(rate.take("a") for _ in range(1000))


def test_a_token_can_be_given_back() -> None:
    """What turned out not to count is undone; never more than a full bucket."""
    clock = HandClock()
    rate = Rate(1, 2, clock)
    assert rate.take("a") == 0
    assert rate.take("a") == 0
    assert rate.wait_s("a") > 0
    rate.give_back("a")
    assert rate.take("a") == 0
    rate.give_back("nobody")
    for _ in range(5):
        rate.give_back("a")
    assert [rate.take("a") == 0 for _ in range(3)] == [True, True, False]


def test_the_memory_is_bounded() -> None:
    """However many names come, the longest idle are forgotten."""
    rate = Rate(1, 1, HandClock())
    for number in range(NAMES_LIMIT + 10):
        rate.take(str(number))
    assert len(rate._buckets) == NAMES_LIMIT
    assert rate.take(str(NAMES_LIMIT)) > 0
    assert rate.take("0") == 0


@pytest.mark.promise("X08")
async def test_a_device_that_asks_too_often(run_gateway: Callable[..., Any]) -> None:
    """Beyond its rate a device is told to wait; another one is not troubled."""
    text = f"[api]\nsecret = '{SECRET}'\ndevice_requests_per_s = 1\n"
    async with (
        run_gateway(text) as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):
        _, first = await gateway.registry.register("esp-1")
        _, second = await gateway.registry.register("esp-2")

        async def send(key: str, number: int) -> httpx2.Response:
            body = {"boot": 1, "seq": number, "signal": "RPM", "time_ns": 10**18, "value": 1.0}
            return await client.post("/api/v1/ingest", json=body, headers={"X-API-Key": key})

        answers = [await send(first.key, number) for number in range(1, 40)]
        statuses = [answer.status_code for answer in answers]
        assert statuses[:10] == [200] * 10
        assert set(statuses) == {200, 429}
        refused = answers[statuses.index(429)]
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["where"] == "rate"
        assert (await send(second.key, 1)).status_code == 200


@pytest.mark.promise("X08")
async def test_guessing_the_secret(run_gateway: Callable[..., Any]) -> None:
    """An address that has tried too many wrong secrets has to wait; its right one is taken."""
    async with (
        run_gateway(f"[api]\nsecret = '{SECRET}'\n") as gateway,
        httpx2.AsyncClient(base_url=gateway.url) as client,
    ):

        async def ask(secret: str) -> int:
            answer = await client.get("/api/v1/devices", headers={"X-API-Key": secret})
            return answer.status_code

        guesses = [await ask(f"guess {number}") for number in range(int(FAILURES_BURST) + 30)]
        assert set(guesses) == {401, 429}
        assert [await ask(SECRET) for _ in range(5)] == [200] * 5
        # Nothing is left of the bucket, however long the machine has taken for the above.
        gateway.access._failures._buckets["127.0.0.1"] = (0.0, gateway.clock.monotonic_s())
        assert await ask("guess") == 429
        assert await ask(SECRET) == 200
