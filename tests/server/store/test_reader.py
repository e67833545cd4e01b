"""Reads of the hot log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.store.reader as reader_module
from server.clock import SystemClock
from server.readings import Reading, State
from server.store.connection import connect
from server.store.hotlog import Batch, HotLog
from server.store.reader import (
    Cursor,
    Filter,
    StoredReading,
    fetch_readings,
    iterate_readings,
    read_readings,
)


class CountingClock(SystemClock):
    """A clock that is one step further at each look."""

    def __init__(self) -> None:
        self._now_ns = 1_000_000

    def now_ns(self) -> int:
        self._now_ns += 10
        return self._now_ns


async def fill(url: str, device: str, boots: int, batches: int, size: int) -> None:
    """Write batches of RPM and SPEED; values count up; time measured is value * 10."""
    clock = CountingClock()
    value = 0
    for boot in range(boots, 0, -1):
        log = HotLog(url, device=device, boot=boot, clock=clock)
        await log.open()
        seq = 1
        for _ in range(batches):
            readings = []
            for _ in range(size):
                readings.append(Reading(12 + value % 2, value * 10, float(value), 5, State.HELD))
                value += 1
            await log.append(Batch.of(seq, readings))
            seq += size
        await log.close()


async def read(url: str, device: str, **options: object) -> list[StoredReading]:
    """Read from a device."""
    connection = await connect(url)
    try:
        return [r async for r in iterate_readings(connection, device, **options)]  # type: ignore[arg-type]
    finally:
        await connection.close()


async def test_order_pages_and_filters(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings come in the order of writing over all pages and runs, filtered, from any place."""
    monkeypatch.setattr(reader_module, "PAGE_ROWS", 3)
    await fill(database_url, "car-1", boots=2, batches=4, size=3)
    await fill(database_url, "car-2", boots=1, batches=1, size=1)
    found = await read(database_url, "car-1")
    assert [r.value for r in found] == [float(n) for n in range(24)]
    assert [(r.boot, r.seq) for r in found] == [
        *((2, n) for n in range(1, 13)),
        *((1, n) for n in range(1, 13)),
    ]
    assert all(r.device == "car-1" and r.state is State.HELD for r in found)
    some = Filter(frozenset({12}), start_ns=50, end_ns=200)
    assert [r.value for r in await read(database_url, "car-1", wanted=some)] == [
        *map(float, range(6, 20, 2))
    ]
    for place in (0, 1, 2, 11, 12, 22, 23):
        last = found[place]
        after = Cursor(last.written_ns, last.boot, last.seq)
        assert await read(database_url, "car-1", after=after) == found[place + 1 :]
    everything = await fetch_readings(database_url)
    assert [r.device for r in everything] == ["car-1"] * 24 + ["car-2"]
    assert await read(database_url, "car-3") == []


def test_outside_of_a_loop(database_url: str) -> None:
    """The plain function gives the same, where no loop runs."""
    import asyncio

    asyncio.run(fill(database_url, "car-1", boots=1, batches=1, size=2))
    assert [r.value for r in read_readings(database_url)] == [0.0, 1.0]


@given(st.builds(Cursor, *[st.integers(0, 2**63 - 1)] * 3))
def test_cursors_round_trip(cursor: Cursor) -> None:
    """A cursor is its text."""
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text())
def test_any_text_is_a_cursor_or_none(text: str) -> None:
    """No text is an error."""
    assert isinstance(Cursor.parse(text), Cursor | None)


def test_cursors_out_of_range() -> None:
    """Numbers beyond 64 bits are no cursor."""
    assert Cursor.parse(f"{2**63}-1-1") is None
