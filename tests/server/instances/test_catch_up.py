"""When the newest turns of all boots are compared."""

from __future__ import annotations

import asyncio

import pytest

from server.instances import catch_up
from server.instances.catch_up import CatchUp
from tests.server.conftest import GatewayRunner
from tests.server.instances.two import Heard, config_of, until


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why heads were compared; the database is not asked."""
    reasons: list[str] = []

    async def compare(self: CatchUp, reason: str, since_ns: int) -> bool:
        reasons.append(reason)
        return True

    monkeypatch.setattr(CatchUp, "compare", compare)
    return reasons


async def test_what_was_asked_for_too_early_is_compared_again(
    run_gateway: GatewayRunner, compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody begins to listen, and in the same moment another gateway dies: the heads are
    compared at once, and again when the subscription is in force."""
    monkeypatch.setattr(catch_up, "SETTLE_S", 0.2)
    async with run_gateway(config_of("a")) as a:
        Heard(a, "readings")
        a.instances.bus.gap("a gateway is gone")
        await until(lambda: "a gateway is gone" in compared)
        assert "listening" not in compared
        await until(lambda: "listening" in compared)


async def test_a_commit_that_nobody_saw_is_looked_for_again_and_again(
    run_gateway: GatewayRunner, compared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may end long after its sender has gone; later than that nothing is looked for."""
    monkeypatch.setattr(catch_up, "LOOK_S", 0.02)
    monkeypatch.setattr(catch_up, "UNSURE_S", 0.3)
    reason = "a commit that nobody saw"
    async with run_gateway(config_of("a")) as a:
        await asyncio.sleep(0.2)
        assert reason not in compared
        a.instances.feed.unsure("car-1")
        await until(lambda: compared.count(reason) > 2)
        await asyncio.sleep(0.6)
        before = len(compared)
        await asyncio.sleep(0.2)
        assert len(compared) == before
