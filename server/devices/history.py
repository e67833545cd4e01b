"""What a device has sent: pages of readings, and their minimum, maximum and mean in windows."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing

import asyncpg
import msgspec

from server.catalogue import SHORT_NAMES
from server.readings import State
from server.store.reader import Cursor, Filter, StoredReading, iterate_readings

WINDOWS_LIMIT = 10_000
READINGS_LIMIT = 5_000_000
"""Readings that one question may go through."""
PAUSE_READINGS = 5_000
"""Others get their turn after so many: a long question must not hold up the ingest."""
_COUNTED = (State.MEASURED, State.BOUNDED)


class TooMuch(Exception):  # noqa: N818 (a question's, not a program's error)
    """The question goes over more than may be read at once."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"more than {limit} {what}")


class Page(msgspec.Struct, frozen=True):
    """Readings by order of writing; `next` is the `after` of the following page, or None."""

    readings: list[StoredReading]
    next: str | None


class Aggregate(msgspec.Struct, frozen=True):
    """One signal in one window; predictions and lost values do not count.

    Attributes:
        signal: short name, or the id where it has none.
        start_ns: beginning of the window.
        count: readings that were measured (or bounded).
        held: readings that were predicted; in no other figure.
        min: smallest; None without a reading.
        max: greatest.
        avg: mean of the readings, each with the same weight.
    """

    signal: str
    start_ns: int
    count: int
    held: int
    min: float | None
    max: float | None
    avg: float | None


class _Sum:
    __slots__ = ("count", "held", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self.count = 0
        self.held = 0
        self.total = 0.0
        self.minimum = math.inf
        self.maximum = -math.inf

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)


async def read_page(
    connection: asyncpg.Connection,
    device: str,
    wanted: Filter,
    after: Cursor | None,
    limit: int,
) -> Page:
    """Give a page of a device's readings."""
    found: list[StoredReading] = []
    async with aclosing(iterate_readings(connection, device, wanted, after)) as stored:  # type: ignore[type-var]
        async for reading in stored:
            found.append(reading)
            if len(found) == limit:
                place = Cursor(reading.written_ns, reading.boot, reading.seq)
                return Page(found, str(place))
    return Page(found, None)


async def aggregate(
    connection: asyncpg.Connection, device: str, wanted: Filter, window_ns: int | None
) -> list[Aggregate]:
    """Give the figures of each signal and window, by window and signal id.

    Windows begin at whole multiples of their length since 1970; without a length there is one,
    from `wanted.start_ns`.

    Raises:
        TooMuch: more windows or readings than one question may have.
    """
    sums: dict[tuple[int, int], _Sum] = {}
    seen = 0
    async with aclosing(iterate_readings(connection, device, wanted)) as stored:  # type: ignore[type-var]
        async for reading in stored:
            seen += 1
            if seen % PAUSE_READINGS == 0:
                await asyncio.sleep(0)
            if seen > READINGS_LIMIT:
                raise TooMuch("readings", READINGS_LIMIT)
            time_ns = reading.time_ns
            start_ns = wanted.start_ns if window_ns is None else time_ns - time_ns % window_ns
            key = (start_ns, reading.signal)
            found = sums.get(key)
            if found is None:
                if len(sums) >= WINDOWS_LIMIT:
                    raise TooMuch("windows", WINDOWS_LIMIT)
                found = sums[key] = _Sum()
            if reading.state in _COUNTED:
                found.add(reading.value)
            elif reading.state is State.HELD:
                found.held += 1
    return [_aggregate(signal, start, sums[start, signal]) for start, signal in sorted(sums)]


def _aggregate(signal: int, start_ns: int, found: _Sum) -> Aggregate:
    name = SHORT_NAMES.get(signal, str(signal))
    if not found.count:
        return Aggregate(name, start_ns, 0, found.held, None, None, None)
    mean = found.total / found.count
    return Aggregate(name, start_ns, found.count, found.held, found.minimum, found.maximum, mean)
