"""What travels between gateways is lost: the store makes up for it."""

from __future__ import annotations

import asyncpg

from tests.instances.conftest import DEVICES, Fleet
from tests.instances.engines import Nats
from tests.instances.listener import Listener
from tests.instances.load import Load
from tests.instances.stored import check_store


async def test_nats_is_killed_and_comes_back(fleet: Fleet) -> None:
    """While it is away readings go on to be stored and seen; afterwards nothing is missing."""
    nats = Nats(fleet.children)
    nats.start()
    one, two = await fleet.start("gw-a", "gw-b", bus=nats.url)
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Load(DEVICES, [(one.host, one.port), (two.host, two.port)]) as load,
    ):
        await load.grows_by(len(DEVICES) * 20)
        nats.kill()
        await load.grows_by(len(DEVICES) * 50)
        nats.start()
        await load.grows_by(len(DEVICES) * 20)
        await load.end()
        for listener in (at_one, at_two):
            await listener.has_all(load)
    await check_store(fleet.database_url, load)
    for gateway in (one, two):
        assert (await gateway.metrics())["telerig_bus_gaps_total"] >= 1


async def test_connections_of_notify_are_cut(fleet: Fleet) -> None:
    """All connections to the database end, three times: what was notified meanwhile is read."""
    one, two = await fleet.start("gw-a", "gw-b")
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Load(DEVICES, [(one.host, one.port), (two.host, two.port)]) as load,
    ):
        for _ in range(3):
            await load.grows_by(len(DEVICES) * 20)
            connection = await asyncpg.connect(fleet.database_url)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await connection.close()
        await load.grows_by(len(DEVICES) * 20)
        await load.end()
        for listener in (at_one, at_two):
            await listener.has_all(load)
    await check_store(fleet.database_url, load)
