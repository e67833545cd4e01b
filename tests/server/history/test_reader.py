"""Readings as columns."""

from __future__ import annotations

import random

import asyncpg
import pytest

import server.history.reader as reader_module
from server.history.reader import Column, Wanted, columns, stored_extent
from server.readings import Reading, State
from tests.server.history.stored import MS, RPM, SPEED, S, reading, seal, store


async def read(connection: asyncpg.Connection, wanted: Wanted) -> list[Column]:
    """Give all columns."""
    return [column async for column in columns(connection, wanted)]


def rows(found: list[Column]) -> list[tuple[int, int, int, float, int]]:
    """Give (signal, boot, time, value, state) of columns, sorted."""
    return sorted(
        (c.signal, c.boot, t, v, s)
        for c in found
        for t, v, s in zip(c.times_ns, c.values, c.states, strict=True)
    )


def some(count: int, seed: int, span_s: int) -> list[Reading]:
    """Make readings of two signals, some late, some predicted."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        state = State.HELD if chance.random() < 0.1 else State.MEASURED
        signal = chance.choice((RPM, SPEED))
        made.append(reading(signal, chance.randrange(span_s * 1000) * MS, chance.random(), state))
    return sorted(made, key=lambda r: r.time_ns + chance.randrange(30 * S))


async def test_columns_are_what_was_stored(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Columns hold every reading once, ascending by time, in windows that ascend, late ones too."""
    made = some(400, 1, 3600)
    await store(database_url, "car-1", 7, made)
    found = await read(connection, Wanted("car-1"))
    assert rows(found) == sorted((r.signal, 7, r.time_ns, r.value, int(r.state)) for r in made)
    for column in found:
        assert list(column.times_ns) == sorted(column.times_ns)
    windows = [column.times_ns[0] // reader_module.WINDOW_NS for column in found]
    assert windows == sorted(windows)
    assert len(set(windows)) == 6


async def test_segments_and_hot_log_are_one(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Wherever readings lie, in segments, in the hot log, half and half, and late ones between:
    each question has the same answer."""
    made = some(300, 3, 2000)
    late = some(60, 4, 2000)
    await store(database_url, "car-1", 7, made)
    questions = [
        Wanted("car-1"),
        Wanted("car-1", signals=frozenset({RPM})),
        Wanted("car-1", 500 * S, 1300 * S, frozenset({SPEED, 9999}), 7),
        Wanted("car-1", made[5].time_ns, made[250].time_ns),
    ]
    alone = [rows(await read(connection, question)) for question in questions]
    await seal(database_url)
    assert [rows(await read(connection, question)) for question in questions] == alone
    assert await stored_extent(connection, Wanted("car-1")) == (
        min(r.time_ns for r in made),
        max(r.time_ns for r in made),
    )
    await store(database_url, "car-1", 7, late, first=1000)
    both = [rows(await read(connection, question)) for question in questions]
    assert len(both[0]) == 360
    await seal(database_url)
    assert [rows(await read(connection, question)) for question in questions] == both
    for column in await read(connection, Wanted("car-1")):
        assert list(column.times_ns) == sorted(column.times_ns)


async def test_dense_windows_are_parted(
    connection: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows with many readings get shorter, and longer again; nothing is missed or doubled."""
    dense = [reading(RPM, n * S, float(n)) for n in range(1200, 3000)]
    made = [*(reading(RPM, n * S, float(n)) for n in range(0, 1200, 60)), *dense]
    made += [reading(RPM, n * S, float(n)) for n in range(3000, 9000, 60)]
    await store(database_url, "car-1", 1, made, size=100)
    monkeypatch.setattr(reader_module, "DENSE_READINGS", 100)
    found = await read(connection, Wanted("car-1"))
    assert [v for column in found for v in column.values] == [r.value for r in made]
    sizes = [len(column) for column in found]
    assert max(sizes[4:]) < 400
    assert sizes[-1] == 10


async def test_wanted_bounds(connection: asyncpg.Connection, database_url: str) -> None:
    """Time, signals and boot are bounds: the start belongs to it, the end does not."""
    made = some(300, 2, 1500)
    await store(database_url, "car-1", 1, made[:150])
    await store(database_url, "car-1", 2, made[150:])
    edge = made[200]
    wanted = Wanted("car-1", edge.time_ns, edge.time_ns + 700 * S, frozenset({edge.signal}), 2)
    found = rows(await read(connection, wanted))
    assert found == sorted(
        (r.signal, 2, r.time_ns, r.value, int(r.state))
        for r in made[150:]
        if r.signal == edge.signal and edge.time_ns <= r.time_ns < edge.time_ns + 700 * S
    )
    assert (edge.signal, 2, edge.time_ns, edge.value, int(edge.state)) in found
    assert not await read(connection, Wanted("car-1", start_ns=5000 * S))
    assert not await read(connection, Wanted("car-1", signals=frozenset()))


async def test_vehicles_never_mix(connection: asyncpg.Connection, database_url: str) -> None:
    """Two cars with equal boots, signals and instants: each question sees only its own car."""
    for number, device in enumerate(("car-1", "car-2")):
        made = [reading(RPM, n * S, 1000.0 * number + n) for n in range(50)]
        await store(database_url, device, 5, made)
    for number, device in enumerate(("car-1", "car-2")):
        (column,) = await read(connection, Wanted(device))
        assert column.device == device
        assert list(column.values) == [1000.0 * number + n for n in range(50)]
    assert await read(connection, Wanted("car")) == []


async def test_a_sparse_row_costs_no_empty_windows(
    connection: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row whose readings are decades apart (a clock that jumped) is read in few statements."""
    asked = 0

    class Counting(reader_module._Window):
        async def read(self, connection: asyncpg.Connection) -> None:
            nonlocal asked
            asked += 1
            await super().read(connection)

    monkeypatch.setattr(reader_module, "_Window", Counting)
    made = [reading(RPM, 0, 1.0), reading(RPM, 1_700_000_000 * S, 2.0), reading(RPM, 5 * S, 3.0)]
    await store(database_url, "car-1", 1, made)
    found = await read(connection, Wanted("car-1"))
    assert [list(column.values) for column in found] == [[1.0, 3.0], [2.0]]
    assert asked == 2


async def test_equal_instants_stay_in_their_order(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Readings of one instant are all kept, in the order in which they came."""
    made = [reading(RPM, 5 * S, float(n)) for n in range(20)] + [reading(RPM, 4 * S, 99.0)]
    await store(database_url, "car-1", 1, made)
    (column,) = await read(connection, Wanted("car-1"))
    assert list(column.values) == [99.0, *map(float, range(20))]


async def test_instants_stay_when_readings_are_moved(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """An instant between two milliseconds is the same before and after compaction, also where a
    window begins or ends."""
    edges = [0, 600 * S, 1200 * S, 600 * S + 5 * MS]
    made = [
        reading(RPM, max(0, edge + off), float(number))
        for number, (edge, off) in enumerate(
            (edge, off) for edge in edges for off in (-600_000, -400_000, -1, 1, 400_000, 600_000)
        )
    ]
    made.sort(key=lambda each: each.time_ns)
    await store(database_url, "car-1", 1, made, size=1)
    questions = [
        Wanted("car-1"),
        Wanted("car-1", 600 * S, 1200 * S),
        Wanted("car-1", 600 * S + 1, 1200 * S + 1, frozenset({RPM})),
    ]
    before = [rows(await read(connection, question)) for question in questions]
    assert len(before[0]) == 24
    await seal(database_url)
    assert [rows(await read(connection, question)) for question in questions] == before
