"""Long times, and times whose readings were dropped, from the windows that are kept."""

from __future__ import annotations

import random

import asyncpg
import pytest

import server.history.errors as limits
from server.history.aggregate import aggregate
from server.history.reader import Wanted
from server.history.series import read_series
from server.history.statistics import read_statistics
from server.readings import Reading
from tests.server.history.stored import RPM, S, reading, seal, store

H = 3600 * S


def hours(count: int) -> list[Reading]:
    """One signal every twenty seconds."""
    chance = random.Random(9)
    return [reading(RPM, n * 20 * S, float(chance.randrange(4000))) for n in range(180 * count)]


async def stored(url: str) -> list[Reading]:
    """Eight hours of car-1, the last of them not compacted yet, and a car beside it."""
    made = hours(8)
    await store(url, "car-1", 1, made[:1300], size=650)
    await store(url, "car-2", 1, [reading(RPM, 1000 * S, 1e9)])
    await seal(url)
    await store(url, "car-1", 2, made[1300:], size=100)
    return made


async def test_a_long_time(connection: asyncpg.Connection, database_url: str) -> None:
    """Figures of hours are those of all readings, at ragged ends too; only predictions are not
    counted."""
    made = await stored(database_url)
    start_ns, end_ns = 100 * S, 8 * H - 333 * S
    for window_ns in (3600 * S, None):
        found = await aggregate(connection, Wanted("car-1", start_ns, end_ns), window_ns)
        assert [each.held for each in found] == [None] * len(found)
        for each in found:
            begin = max(start_ns, each.start_ns)
            end = end_ns if window_ns is None else min(end_ns, each.start_ns + window_ns)
            values = [r.value for r in made if begin <= r.time_ns < end]
            assert each.count == len(values)
            assert (each.min, each.max) == (min(values), max(values))
            assert each.avg == pytest.approx(sum(values) / len(values))
        assert len(found) == (8 if window_ns else 1)


async def test_readings_that_were_dropped(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Where readings were dropped, the windows tell: series, figures of windows, statistics."""
    made = await stored(database_url)
    before = await aggregate(connection, Wanted("car-1"), 600 * S)
    await connection.execute("DELETE FROM segments")
    assert await aggregate(connection, Wanted("car-1"), 600 * S) == before
    (line,) = await read_series(connection, Wanted("car-1", end_ns=4 * H), 2000)
    assert line.resolution_s == 300
    early = [r.value for r in made if r.time_ns < 4 * H]
    assert (min(line.values), max(line.values)) == (min(early), max(early))
    assert line.times_ns == sorted(line.times_ns)
    (figures,) = await read_statistics(connection, Wanted("car-1", end_ns=4 * H))
    assert (figures.count, figures.max) == (len(early), max(early))


async def test_more_than_can_be_read(
    connection: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of more readings than one question may go through comes from the windows."""
    await stored(database_url)
    (fine,) = await read_series(connection, Wanted("car-1"), 1000)
    assert fine.resolution_s is None
    (coarse,) = await read_series(connection, Wanted("car-1"), 100)
    assert coarse.resolution_s == 300
    monkeypatch.setattr(limits, "READINGS_LIMIT", 500)
    (line,) = await read_series(connection, Wanted("car-1"), 1000)
    assert (line.resolution_s, line.count) == (300, 1440)
    assert (min(line.values), max(line.values)) == (min(fine.values), max(fine.values))
