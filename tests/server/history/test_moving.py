"""Readings while they are moved from the hot log into segments."""

from __future__ import annotations

import asyncio

import asyncpg

from server.clock import SystemClock
from server.history.aggregate import aggregate
from server.history.reader import Wanted, columns
from server.history.statistics import read_statistics
from server.store.compactor import Compactor
from tests.server.history.stored import RPM, S, reading, store


async def test_each_reading_is_seen_once(connection: asyncpg.Connection, database_url: str) -> None:
    """Whoever reads while it is compacted, and while tables are emptied, sees each reading once."""
    count, rounds = 700, 6
    moved = asyncio.Event()

    async def move() -> None:
        compactor = Compactor(database_url, SystemClock())
        for number in range(rounds):
            made = [reading(RPM, (number * count + n) * S, float(n)) for n in range(count)]
            await store(database_url, "car-1", number + 1, made, size=100)
            stored.append(count * (number + 1))
            await compactor.run_once(all_of_it=True)
            await compactor.run_once()
        moved.set()

    stored = [0]
    moving = asyncio.create_task(move())
    asked = 0
    while not moved.is_set():
        asked += 1
        # What is committed by the time of the question is the least, what is at its end the most.
        for question in range(3):
            least = stored[-1]
            if question == 0:
                found = sum([len(c) async for c in columns(connection, Wanted("car-1"))])
            elif question == 1:
                found = sum(s.count for s in await read_statistics(connection, Wanted("car-1")))
            else:
                windows = await aggregate(connection, Wanted("car-1"), None)
                found = sum(window.count for window in windows)
            assert least <= found <= stored[-1] + count, question
            assert not found % 100
    await moving
    assert asked > 3
    times = [t async for c in columns(connection, Wanted("car-1")) for t in c.times_ns]
    assert times == [n * S for n in range(rounds * count)]
