"""The compactor of one of several gateways: the owner of the store compacts, nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.clock import SystemClock
from server.errors import Fenced, StoreError
from server.instances.shard import STORE
from server.store.appends import Append
from server.store.compactor import Compactor
from server.store.config import StoreConfig
from server.store.connection import connect
from server.store.devicelog import DeviceLog
from tests.server.store.test_devicelog import piece

NOTHING_CHANGED = """
    SELECT (SELECT cycle FROM hot_ring), (SELECT compacted FROM hot_progress),
           (SELECT emptied FROM hot_progress), (SELECT count(*) FROM segments),
           (SELECT count(*) FROM stored_numbers), (SELECT count(*) FROM hot)
"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database in which the store's lease has the token 5."""
    connection = await connect(database_url)
    await take(connection, 5)
    yield connection
    await connection.close()


@pytest.fixture
async def device_log(database_url: str) -> AsyncIterator[DeviceLog]:
    """A log of devices."""
    log = DeviceLog(database_url, clock=SystemClock())
    yield log
    await log.close()


async def take(connection: asyncpg.Connection, token: int) -> None:
    """Give the store to a new owner."""
    await connection.execute("UPDATE leases SET token = $1 WHERE place = $2", token, STORE)


def compactor_of(url: str, token: int | None) -> Compactor:
    """The compactor of a gateway that believes in this token."""
    return Compactor(url, SystemClock(), StoreConfig(compact_after_s=0.05), lambda: token)


async def test_the_owner_compacts_and_nobody_else(
    device_log: DeviceLog, connection: asyncpg.Connection, database_url: str
) -> None:
    """Who has no lease does nothing; who has an old token is refused and changes nothing."""
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    before = await connection.fetchrow(NOTHING_CHANGED)
    await compactor_of(database_url, None).run_once(all_of_it=True)
    for step in ("end", "compact", "empty"):
        with pytest.raises(Fenced):
            await compactor_of(database_url, 4).run_once(all_of_it=True)
        assert await connection.fetchrow(NOTHING_CHANGED) == before, step
        if step == "end":
            await connection.execute("UPDATE hot_ring SET cycle = cycle + 1")
        elif step == "compact":
            owner = compactor_of(database_url, 5)
            await owner.run_once(all_of_it=True)
            assert owner.counts.samples == 20
        before = await connection.fetchrow(NOTHING_CHANGED)
    await compactor_of(database_url, 5).run_once()
    assert await connection.fetchval("SELECT count(*) FROM hot") == 0


async def test_one_that_was_paused_empties_nothing(
    device_log: DeviceLog, connection: asyncpg.Connection, database_url: str
) -> None:
    """A table of the ring that has newer rows by now is not emptied by who was about to do it,
    even where no token would say so."""
    paused = Compactor(database_url, SystemClock())
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    await paused.run_once(all_of_it=True)
    old = await paused._state(connection)
    assert (old.compacted, old.emptied) == (1, 0)
    other = Compactor(database_url, SystemClock())
    for number in range(2, 5):
        await device_log.append(Append("a", 7, [piece(1 + 20 * number, 20)]))
        await other.run_once(all_of_it=True)
    await device_log.append(Append("a", 7, [piece(1001, 20)]))
    assert await connection.fetchval("SELECT count(*) FROM hot_1") == 1
    with pytest.raises(StoreError, match="expected cycle 1 to be the next to empty"):
        await paused._empty(connection, old)
    assert await connection.fetchval("SELECT count(*) FROM hot_1") == 1


async def test_the_place_is_not_taken_in_the_middle(
    device_log: DeviceLog,
    connection: asyncpg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who takes the store waits for the transaction of the one before, and sees what it did."""
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    in_the_middle, go_on = asyncio.Event(), asyncio.Event()
    store = Compactor._store

    async def held(self: Compactor, *args: object) -> None:
        in_the_middle.set()
        await go_on.wait()
        await store(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Compactor, "_store", held)
    compacting = asyncio.create_task(compactor_of(database_url, 5).run_once(all_of_it=True))
    await in_the_middle.wait()
    taking = asyncio.create_task(take(connection, 6))
    watcher = await connect(database_url)
    async with asyncio.timeout(20):
        while not await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not taking.done()
    go_on.set()
    await asyncio.gather(compacting, taking)
    assert await watcher.fetchval("SELECT sum(samples) FROM segments") == 20
    await watcher.close()


async def test_the_owner_looks_although_others_commit(
    device_log: DeviceLog, connection: asyncpg.Connection, database_url: str
) -> None:
    """It goes on by itself; one that loses the lease stops, and says that it is no failure."""
    token: int | None = None
    config = StoreConfig(compact_after_s=0.05)
    compactor = Compactor(database_url, SystemClock(), config, lambda: token)
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    compactor.committed(10_000)
    assert compactor._timer is None  # it is not ours
    token = 5
    compactor.look()
    async with asyncio.timeout(20):
        while compactor.counts.samples < 20:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await device_log.append(Append("a", 7, [piece(21, 20)]))
        while compactor.counts.samples < 40:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await take(connection, 6)
        await device_log.append(Append("a", 7, [piece(41, 20)]))
        while not compactor.counts.fenced:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert (compactor.failing, compactor.counts.failed) == ("", 0)
    assert compactor.counts.samples == 40
    await compactor.close()
