"""The database goes away under gateways that write, and another one is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.instances.children import Children
from tests.instances.conftest import DEVICES, Fleet
from tests.instances.database import Database
from tests.instances.door import Door
from tests.instances.gateways import settled
from tests.instances.listener import Listener
from tests.instances.load import Load
from tests.instances.stored import check_store


@pytest.fixture
def replicated(children: Children) -> Iterator[Database]:
    """A primary, and a replica that has each commit before it is acknowledged."""
    with Database(children) as database:
        database.start()
        database.add_replica()
        yield database


async def test_the_replica_is_promoted(children: Children, replicated: Database) -> None:
    """The primary dies, the replica takes over: nothing acknowledged is lost or doubled."""
    fleet = Fleet(children, replicated.either_url)
    one, two = await fleet.start("gw-a", "gw-b")
    replica = replicated.replica
    assert replica is not None
    async with (
        Listener(f"{one.host}:{one.port}", "a") as at_one,
        Listener(f"{two.host}:{two.port}", "b") as at_two,
        Load(DEVICES, [(one.host, one.port), (two.host, two.port)]) as load,
    ):
        await load.grows_by(len(DEVICES) * 20)
        replicated.primary.crash()
        await asyncio.sleep(0.5)  # as long as somebody needs to see it
        await asyncio.to_thread(replica.promote)
        await load.grows_by(len(DEVICES) * 40, patience_s=30.0)
        await settled([one, two])
        await load.end()
        for listener in (at_one, at_two):
            await listener.has_all(load)
    await check_store(replica.url(), load)


async def test_a_replica_that_had_not_heard_of_everything(
    children: Children, replicated: Database
) -> None:
    """Asynchronously what it lacks is lost; what comes after is stored, and seen, once."""
    fleet = Fleet(children, replicated.either_url)
    replica = replicated.replica
    assert replica is not None
    async with Door(replicated.url) as door:
        await asyncio.to_thread(replicated.follow_late, urlsplit(door.url).port or 0)
        one, two = await fleet.start("gw-a", "gw-b")
        async with (
            Listener(f"{one.host}:{one.port}", "a") as at_one,
            Listener(f"{two.host}:{two.port}", "b") as at_two,
            Load(DEVICES, [(one.host, one.port), (two.host, two.port)]) as load,
        ):
            await load.grows_by(len(DEVICES) * 20)
            door.hold()
            await load.grows_by(len(DEVICES) * 200)
            replicated.primary.crash()
            lost = await load.at_rest()  # what it committed last is acknowledged a moment later
            await asyncio.to_thread(replica.promote)
            await load.grows_by(1, patience_s=30.0)
            await settled([one, two])
            # The heads were compared when the shards were taken.
            await asyncio.sleep(2.0)
            after = {device.name: device.acknowledged for device in load.devices.values()}
            await load.grows_by(len(DEVICES) * 20)
            await load.end()
            for listener in (at_one, at_two):
                await listener.until(lambda seen=listener: seen.lacks(load, after) == 0)  # type: ignore[misc]
                assert listener.lacks(load, after) == 0, one.log + two.log
                assert not listener.faults
    await check_store(replica.url(), load, after=lost)
    assert "the database has lost commits" in one.log + two.log
