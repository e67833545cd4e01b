"""Minimum, maximum and mean of signals in windows of time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import asyncpg
import msgspec

import server.history.errors as limits
from server.catalogue import SHORT_NAMES
from server.history.errors import TooMuch
from server.history.figures import Figures, Key, add_windows
from server.history.reader import columns, find_extent
from server.history.rollups import WINDOW_NS as ROLLUP_NS
from server.history.rollups import read_rollups, rollup_extent
from server.history.wanted import Wanted

LONG_NS = 6 * 3600 * 10**9
"""A longer time is answered from windows that are kept, where they can be put together."""


class Aggregate(msgspec.Struct, frozen=True):
    """One signal in one window; predictions and lost values do not count.

    Attributes:
        signal: short name, or the id where it has none.
        start_ns: beginning of the window.
        count: readings that were measured (or bounded).
        held: readings that were predicted; in no other figure. None where the answer comes from
            windows of 5 minutes that were kept: these do not count them.
        min: smallest; None without a reading.
        max: greatest.
        avg: mean of the readings, each with the same weight.
    """

    signal: str
    start_ns: int
    count: int
    held: int | None
    min: float | None
    max: float | None
    avg: float | None


async def aggregate(
    connection: asyncpg.Connection, wanted: Wanted, window_ns: int | None
) -> list[Aggregate]:
    """Give the figures of each signal and window, by window and signal id.

    Windows begin at whole multiples of their length since 1970; without a length there is one,
    from `wanted.start_ns`.

    Raises:
        TooMuch: more windows or readings than one question may have.
    """
    is_whole = window_ns is None or window_ns % ROLLUP_NS == 0
    if is_whole and await _is_long(connection, wanted):
        return _listed(await _of_rollups(connection, wanted, window_ns), held=False)
    sums: dict[Key, Figures] = {}
    seen = 0
    async with aclosing(columns(connection, wanted)) as found:  # type: ignore[type-var]
        async for column in found:
            seen += len(column)
            if seen > limits.READINGS_LIMIT:
                raise TooMuch("readings", limits.READINGS_LIMIT)
            add_windows(sums, column, wanted.start_ns, window_ns)
            await asyncio.sleep(0)
    return _listed(sums)


async def _is_long(connection: asyncpg.Connection, wanted: Wanted) -> bool:
    """Tell whether the windows that are kept are to be asked: for a long time, or where the
    readings were dropped."""
    kept = await rollup_extent(connection, wanted)
    if kept is None:
        return False
    raw = await find_extent(connection, wanted)
    begin_ns, end_ns = max(wanted.start_ns, kept[0]), min(wanted.end_ns, kept[1])
    return raw is None or end_ns - begin_ns > LONG_NS or begin_ns < raw[0] - ROLLUP_NS


async def _of_rollups(
    connection: asyncpg.Connection, wanted: Wanted, window_ns: int | None
) -> dict[Key, Figures]:
    """Give the figures: at both ends, where a window that is kept is cut, of the readings."""
    begin_ns = -(-wanted.start_ns // ROLLUP_NS) * ROLLUP_NS
    end_ns = wanted.end_ns - wanted.end_ns % ROLLUP_NS
    inner = msgspec.structs.replace(wanted, start_ns=begin_ns, end_ns=max(begin_ns, end_ns))
    sums = await read_rollups(connection, inner, window_ns)
    if window_ns is None and begin_ns != wanted.start_ns:
        sums = {(wanted.start_ns, signal): figures for (_, signal), figures in sums.items()}
    for edge in (
        msgspec.structs.replace(wanted, end_ns=min(begin_ns, wanted.end_ns)),
        msgspec.structs.replace(wanted, start_ns=max(begin_ns, end_ns)),
    ):
        if edge.start_ns < edge.end_ns:
            async for column in columns(connection, edge):
                add_windows(sums, column, wanted.start_ns, window_ns)
    if len(sums) > limits.WINDOWS_LIMIT:
        raise TooMuch("windows", limits.WINDOWS_LIMIT)
    return sums


def _listed(sums: dict[Key, Figures], *, held: bool = True) -> list[Aggregate]:
    return [_aggregate(signal, start, sums[start, signal], held) for start, signal in sorted(sums)]


def _aggregate(signal: int, start_ns: int, found: Figures, has_held: bool) -> Aggregate:
    name = SHORT_NAMES.get(signal) or str(signal)
    held = found.held if has_held else None
    if not found.count:
        return Aggregate(name, start_ns, 0, held, None, None, None)
    return Aggregate(name, start_ns, found.count, held, found.minimum, found.maximum, found.mean)
