"""The store under kills, with a full disk, and without its database."""

from __future__ import annotations

import asyncio

import asyncpg

from server.clock import SystemClock
from server.store.appends import Append
from server.store.compactor import Compactor
from server.store.config import StoreConfig
from server.store.devicelog import DeviceLog
from tests.benchmarks.store_kills import kill_often
from tests.server.store.test_compactor import connection, device_log, everything, piece

__all__ = ["connection", "device_log"]

FULL = """
CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT ON stored_numbers EXECUTE FUNCTION full_disk();
"""
LAGS = "SELECT emptied < cycle - 1 FROM hot_progress, hot_ring"
QUICK = StoreConfig(compact_after_s=0.05)


def test_kills_lose_and_double_nothing() -> None:
    """A writer with its compactor, and PostgreSQL, killed at random moments: what was acknowledged
    is there, once (tests/benchmarks/store_kills.py does it hundreds of times)."""
    tally = kill_often(5, seed=3)
    assert (tally.kills, tally.postgres_kills) == (4, 1)
    assert tally.acknowledged > 0
    assert tally.in_segments > 0
    assert (tally.lost, tally.doubled) == (0, 0)


async def test_a_full_disk_stops_the_compactor_alone(
    device_log: DeviceLog, database_url: str, connection: asyncpg.Connection
) -> None:
    """While segments cannot be written, readings are taken and read; then all is compacted."""
    compactor = Compactor(database_url, SystemClock(), QUICK)
    device_log.committed = compactor.committed
    await connection.execute(FULL)
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    async with asyncio.timeout(20):
        while compactor.counts.failed < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert compactor.failing == "could not extend file"
    assert (await device_log.append(Append("a", 7, [piece(21, 20)]))).accepted == 20
    assert len(await everything(connection)) == 40
    await connection.execute("DROP TRIGGER full_disk ON stored_numbers")
    async with asyncio.timeout(20):
        while await connection.fetchval(LAGS):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert compactor.failing == ""
    assert len(await everything(connection)) == 40
    await compactor.close()


async def test_a_database_that_is_away(database_url: str) -> None:
    """The compactor tries again, now and then, and says why it does not work."""
    compactor = Compactor(f"{database_url}_not_there", SystemClock(), QUICK)
    compactor.committed(1)
    async with asyncio.timeout(20):
        while compactor.counts.failed < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "PostgreSQL does not answer" in compactor.failing
    await compactor.close()
    assert compactor._timer is None
