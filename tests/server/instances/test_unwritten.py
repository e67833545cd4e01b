"""What a dead gateway had committed and not yet written of the newest readings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from server.gateway import Gateway
from server.instances.lease import Leases
from server.instances.shard import STORE
from tests.server.ingest.conftest import Sender
from tests.server.instances.death import die
from tests.server.instances.door import until
from tests.server.instances.test_instances import table

RunGateway = Callable[..., Any]
LATER = "[store]\nlatest_s = 3600\n"


async def latest(gateway: Gateway) -> float | None:
    """The newest value of RPM that the table has."""
    value: float | None = await gateway.pool.fetchval(
        "SELECT value FROM latest WHERE device = 'esp-1' AND signal = 12"
    )
    return value


async def test_the_owner_of_the_store_writes_them(run_gateway: RunGateway) -> None:
    """Not when a gateway leaves in good order, which writes its own; when it dies, soon."""
    async with AsyncExitStack() as stack:
        owner = await stack.enter_async_context(run_gateway(table("a") + LATER))
        assert STORE in owner.instances.leases.held
        deaths: list[str] = []
        owner.instances.members.on_death.append(lambda member: deaths.append(member.name))
        _, minted = await owner.registry.register("esp-1")
        for name, value in (("leaves", 800.0), ("dies", 900.0)):
            async with run_gateway(table(name) + LATER) as other:
                await until(lambda: len(owner.instances.members.living) == 2)
                device = Sender(other.url, minted.key)
                body = {
                    "boot": 3, "seq": round(value), "signal": "RPM",
                    "time_ns": time.time_ns(), "value": value,
                }  # fmt: skip
                assert (await device.post("/ingest", body)).status_code == 200
                await device.http.aclose()
                assert await latest(owner) != value
                if name == "dies":
                    assert isinstance(other.instances.leases, Leases)
                    die(other.instances.leases)
                    await until(lambda: deaths)
                    for _ in range(500):
                        if await latest(owner) == value:
                            break
                        await asyncio.sleep(0.02)
            assert await latest(owner) == value
            await until(lambda: len(owner.instances.members.living) == 1)
        assert deaths == ["dies"]
        assert not owner.unwritten._died
