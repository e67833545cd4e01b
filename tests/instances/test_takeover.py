"""A gateway that dies, stands still, is held up, or is replaced, under load."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import asyncpg
import pytest

from server.instances.shard import STORE
from tests.instances.conftest import DEVICES, Fleet
from tests.instances.door import Door
from tests.instances.engines import HAProxy
from tests.instances.gateways import GatewayProcess, held, settled
from tests.instances.listener import Listener
from tests.instances.load import Load
from tests.instances.stored import check_store

BOUND_S = 15.0
"""Generous: a machine of a test is slow. The benchmark `takeover` measures."""
RULE = {"name": "fast", "signal": "RPM", "condition": ">", "threshold": 10}
"""Values rise by a quarter with each reading: the 41st of each device fires."""
COMPACTS = "[store]\ncompact_after_s = 0.3\n"
WAITS_FOR_FENCE = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'
    )
"""
TAKE_OVER = """
    UPDATE leases SET owner = $1, boot = (SELECT boot FROM instances WHERE name = $1),
                      token = token + 1
    WHERE place = $2
"""


async def test_an_owner_is_killed(fleet: Fleet) -> None:
    """What it took is seen at the others, what comes now too; in order, and nothing twice."""
    one, two, dead = await fleet.start("gw-a", "gw-b", "gw-c")
    await dead.ask("POST", "/api/v1/alerts/rules", RULE)
    everywhere = [(gateway.host, gateway.port) for gateway in fleet.gateways]
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Load(DEVICES, everywhere, period_s=0.05) as load,
    ):
        await load.grows_by(len(DEVICES) * 50)
        before = {device.name: device.acknowledged for device in load.devices.values()}
        dead.kill()
        began_s = time.monotonic()
        for listener in (at_one, at_two):
            assert await listener.until(
                lambda seen=listener.newest: all(  # type: ignore[misc]
                    seen.get(name, 0) > number for name, number in before.items()
                ),
                BOUND_S,
            ), f"{listener.name}: not all are seen {time.monotonic() - began_s:.1f} s later"
        await settled([one, two])
        await load.end()
        for listener in (at_one, at_two):
            await listener.has_all(load)
    await check_store(fleet.database_url, load)
    assert (await one.metrics())["telerig_instances_living"] == 2
    await _one_alert_each(one)


async def test_a_zombie(fleet: Fleet) -> None:
    """The owner of the store stands still for longer than its lease, twice, and goes on."""
    # Who comes first has the store.
    (zombie,) = await fleet.start("gw-b", more=COMPACTS)
    (one,) = await fleet.start("gw-a", more=COMPACTS)
    everywhere = [(gateway.host, gateway.port) for gateway in (one, zombie)]
    async with Load(DEVICES, everywhere, period_s=0.02, hops=True) as load:
        for _ in range(2):
            await load.grows_by(len(DEVICES) * 20)
            zombie.pause()
            await settled([one])
            # What it has begun and not ended keeps nobody waiting.
            await load.grows_by(len(DEVICES) * 10)
            zombie.resume()
            await settled([one, zombie])
        await load.end()
    await check_store(fleet.database_url, load)
    assert (await zombie.metrics())["telerig_lease_lost_total"] >= 2


async def test_the_network_of_an_owner_stalls(fleet: Fleet) -> None:
    """What it has sent arrives when others own its part: nothing of it counts twice."""
    async with Door(fleet.database_url) as door:
        (one,) = await fleet.start("gw-a")
        (late,) = await fleet.start("gw-b", database=door.url)
        await one.ask("POST", "/api/v1/alerts/rules", RULE)
        both = [(one.host, one.port), (late.host, late.port)]
        async with Load(DEVICES, both, period_s=0.05, hops=True) as load:
            await load.grows_by(len(DEVICES) * 20)
            door.hold()
            await settled([one])
            await load.grows_by(len(DEVICES) * 10)
            door.release()
            await settled([one, late])
            await load.grows_by(len(DEVICES) * 20)
            await load.end()
        await check_store(fleet.database_url, load)
        await _one_alert_each(one)


async def test_an_owner_that_has_lost_its_place_is_refused(fleet: Fleet) -> None:
    """Another one takes the place between its decision to write and the write."""
    both = await fleet.start("gw-a", "gw-b", more=COMPACTS)
    connection = await asyncpg.connect(fleet.database_url)
    owner = await connection.fetchval("SELECT owner FROM leases WHERE place = $1", STORE)
    former, other = both if owner == "gw-a" else reversed(both)
    looking = await asyncpg.connect(fleet.database_url)
    async with Load(DEVICES, [(former.host, former.port)]) as load:
        await load.grows_by(len(DEVICES) * 5)
        async with connection.transaction():
            await connection.execute(f"SELECT FROM leases WHERE place = {STORE} FOR UPDATE")
            due_s = time.monotonic() + BOUND_S
            while not await looking.fetchval(WAITS_FOR_FENCE):
                assert time.monotonic() < due_s, "nothing was to be compacted"
                await asyncio.sleep(0.02)
            await connection.execute(TAKE_OVER, other.name, STORE)
        due_s = time.monotonic() + BOUND_S
        while not (await former.metrics())["telerig_writes_fenced_total"]:
            assert time.monotonic() < due_s, former.log
            await asyncio.sleep(0.05)
        # The new owner goes on with it.
        due_s = time.monotonic() + BOUND_S
        while not (await other.metrics())["telerig_compactor_segments_total"]:
            assert time.monotonic() < due_s, other.log
            await asyncio.sleep(0.05)
    await check_store(fleet.database_url, load)
    for one in (connection, looking):
        await one.close()


async def test_gateways_are_replaced_one_by_one(fleet: Fleet) -> None:
    """A stop gives up what it holds at once; all that was begun comes to its end."""
    one, two = await fleet.start("gw-a", "gw-b", lease_s=30.0, more=COMPACTS)
    door = HAProxy(fleet.children, [one, two])
    door.start()
    async with Load(DEVICES, [(door.host, door.port)]) as load:
        for leaving, staying in ((one, two), (two, one)):
            await load.grows_by(len(DEVICES) * 5)
            assert await asyncio.to_thread(leaving.stop) == 0
            # Long before its lease has come to its end.
            await settled([staying], patience_s=15.0)
            leaving.start()
            await leaving.ready()
            await settled([one, two])
    await check_store(fleet.database_url, load)
    assert sum(await held([one, two])) == 64
    # What was cut in the moment of an end came again; nobody was kept waiting.
    assert load.refusals.total() <= len(DEVICES), load.refusals


async def test_two_of_one_name(fleet: Fleet) -> None:
    """The second does not start, and says why."""
    await fleet.start("gw-a")
    with pytest.raises(RuntimeError, match="name"):
        await fleet.start("gw-a")


async def _one_alert_each(gateway: GatewayProcess) -> None:
    """Check that the alert of each device began once, when all are written."""
    due_s = time.monotonic() + BOUND_S
    while True:
        answer = await gateway.ask("GET", "/api/v1/alerts?limit=100")
        found: list[dict[str, Any]] = answer.json()["alerts"]
        if len(found) >= len(DEVICES) or time.monotonic() > due_s:
            break
        await asyncio.sleep(0.1)
    assert Counter(alert["device"] for alert in found) == Counter(DEVICES)
    assert {alert["state"] for alert in found} == {"firing"}
