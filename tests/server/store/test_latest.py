"""The newest values: gathered, written, found again after a crash."""

from __future__ import annotations

import asyncio

import asyncpg

from server.clock import SystemClock
from server.readings import Reading, State
from server.store.appends import Append
from server.store.devicelog import DeviceLog
from server.store.hotlog import Batch, HotLog
from server.store.latest import HURRY_GATHERED, Latest, Newest
from tests.server.store.test_compactor import T0_NS, piece

RPM, SPEED = 12, 13
MS = 1_000_000


def reading(signal: int, time_ns: int, value: float) -> Reading:
    """A reading that was measured."""
    return Reading(signal, time_ns, value, time_ns, State.MEASURED)


async def test_the_newest_is_kept(pool: asyncpg.Pool) -> None:
    """Of each signal the reading with the latest instant, in memory at once, in the table soon."""
    latest = Latest(pool, SystemClock(), 0.01)
    latest.take_readings("car", 1, [reading(RPM, 5, 1.0), reading(SPEED, 5, 2.0)])
    latest.take_readings("car", 1, [reading(RPM, 4, 9.0)])
    latest.take_pieces("b", 7, [piece(1, 20)])
    assert latest.of("car") == {RPM: Newest(5, 1.0, 0, 1), SPEED: Newest(5, 2.0, 0, 1)}
    async with asyncio.timeout(20):
        while latest.of("car"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    latest.take_readings("car", 2, [reading(RPM, 3, 7.0)])
    async with pool.acquire() as connection:
        found = await latest.read(connection, "car")
        assert found == {RPM: Newest(5, 1.0, 0, 1), SPEED: Newest(5, 2.0, 0, 1)}
        assert (await latest.read(connection, "b"))[RPM] == Newest(T0_NS + 2000 * MS, 20.0, 0, 7)
    await latest.close()
    async with pool.acquire() as connection:
        assert (
            await connection.fetchval(
                "SELECT value FROM latest WHERE device = 'car' AND signal = 12"
            )
            == 1.0
        )


async def test_a_large_fleet_does_not_wait(pool: asyncpg.Pool) -> None:
    """What would fill the memory is written long before its time."""
    latest = Latest(pool, SystemClock(), 3600.0)
    for number in range(HURRY_GATHERED // 20):
        rows = [reading(signal, 5, 1.0) for signal in range(1, 21)]
        latest.take_readings(f"car-{number}", 1, rows)
    async with asyncio.timeout(20):
        while latest.of("car-0"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await latest.close()


async def test_a_crash_loses_no_newest_value(pool: asyncpg.Pool, database_url: str) -> None:
    """What was committed and not written is taken from the hot log at the next start."""
    log = HotLog(database_url, device="car", boot=3, clock=SystemClock())
    await log.open()
    await log.append(Batch.of(1, [reading(RPM, 5, 1.0), reading(RPM, 9, 2.0)]))
    await log.close()
    devices = DeviceLog(database_url, clock=SystemClock())
    await devices.append(Append("b", 7, [piece(1, 20)]))
    await devices.close()
    latest = Latest(pool, SystemClock(), 60.0)
    await latest.rebuild()
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT device, value FROM latest ORDER BY device")
        assert [tuple(row) for row in rows] == [("b", 20.0), ("car", 2.0)]


async def test_a_database_that_is_away(pool: asyncpg.Pool) -> None:
    """What cannot be written is gathered until it can; a stop does not wait for it."""
    latest = Latest(pool, SystemClock(), 0.01)
    async with pool.acquire() as connection:
        await connection.execute("ALTER TABLE latest RENAME TO away")
        latest.take_readings("car", 1, [reading(RPM, 5, 1.0)])
        await asyncio.sleep(0.1)
        assert latest.of("car")
        await connection.execute("ALTER TABLE away RENAME TO latest")
    async with asyncio.timeout(20):
        while latest.of("car"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with pool.acquire() as connection:
        await connection.execute("ALTER TABLE latest RENAME TO away")
    latest.take_readings("car", 1, [reading(RPM, 6, 1.0)])
    await latest.close()


async def test_two_gateways_write_the_same_devices(pool: asyncpg.Pool) -> None:
    """Neither waits for the other in a circle, whatever came first; the newest of both is there."""
    names = [f"d{number:03}" for number in range(300)]
    for turn in range(1, 6):
        here, there = Latest(pool, SystemClock(), 60.0), Latest(pool, SystemClock(), 60.0)
        for name in names:
            here.take_readings(name, 1, [reading(RPM, 10 * turn, turn), reading(SPEED, turn, turn)])
        for name in reversed(names):
            there.take_readings(name, 1, [reading(SPEED, 10 * turn, -turn), reading(RPM, 1, 0.0)])
        await asyncio.gather(here._write(), there._write())  # a deadlock would be an error
    async with pool.acquire() as connection:
        found = await connection.fetch("SELECT DISTINCT signal, value FROM latest ORDER BY signal")
    assert [tuple(row) for row in found] == [(RPM, 5.0), (SPEED, -5.0)]
