"""Figures of every signal over some time, from the headers of segments wherever they lie in it.

Only what the headers do not tell is read: segments that the time cuts through, and what is in the
hot log still. Where the readings were dropped, the windows of 5 minutes tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import msgspec

from server.catalogue import by_id
from server.errors import CatalogueError
from server.history.figures import Figures
from server.history.reader import HOT, PAUSE_BODIES, SEGMENTS, bounds_of, columns_of_row
from server.history.rollups import read_rollups
from server.history.wanted import Column, Wanted

_INSIDE = "t0_ns >= $2 AND t1_ns < $3"
_HEADERS = f"""
    SELECT signal, sum(count)::bigint, sum(header.counted)::bigint,
           min(smallest), max(greatest), sum(total)
    FROM (SELECT signals, counts, counted, mins, maxs, sums {SEGMENTS} AND {_INSIDE}) AS inside
    CROSS JOIN LATERAL unnest(signals, counts, inside.counted, mins, maxs, sums)
        AS header(signal, count, counted, smallest, greatest, total)
    WHERE $5::int[] IS NULL OR signal = ANY ($5)
    GROUP BY signal
"""
_EDGES = f"""
    SELECT boot, data, signals, time_streams, ends {SEGMENTS} AND NOT ({_INSIDE})
    UNION ALL SELECT boot, body, NULL, NULL, NULL {HOT}
"""


class SignalFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A signal over some time.

    Attributes:
        signal: short name, or the id where it has none.
        id: of the signal.
        unit: of the values.
        count: readings that were measured (or bounded); the figures are theirs.
        others: readings that were predicted, or are known to be lost.
        min: smallest; None without a reading.
        max: greatest.
        avg: mean of the readings, each with the same weight.
    """

    signal: str
    id: int
    unit: str
    count: int
    others: int
    min: float | None
    max: float | None
    avg: float | None


async def read_statistics(connection: asyncpg.Connection, wanted: Wanted) -> list[SignalFigures]:
    """Give the figures of each signal, by id."""
    signals = None if wanted.signals is None else sorted(wanted.signals)
    # One view of the store over both questions: what is compacted in between counts once.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        headers = await connection.fetch(_HEADERS, *bounds_of(wanted), signals)
        edges = await connection.fetch(_EDGES, *bounds_of(wanted))
    found: dict[int, Figures] = {}
    others: dict[int, int] = {}
    for signal, count, counted, smallest, greatest, total in headers:
        found[signal] = Figures(counted)
        others[signal] = count - counted
        if counted:
            found[signal] = Figures(counted, 0, 0, smallest, greatest, total)
    for number, row in enumerate(edges, 1):
        for column in _inside(wanted, row):
            found.setdefault(column.signal, Figures()).add_readings(
                column.times_ns, column.values, column.states
            )
        if number % PAUSE_BODIES == 0:
            await asyncio.sleep(0)
    if not found:  # the readings were dropped; their windows may still be there
        rollups = await read_rollups(connection, wanted, None)
        found = {signal: figures for (_, signal), figures in rollups.items()}
    return [_figures(signal, found[signal], others.get(signal, 0)) for signal in sorted(found)]


def _inside(wanted: Wanted, row: asyncpg.Record) -> Iterator[Column]:
    for column in columns_of_row(wanted, row):
        part = column.within(wanted.start_ns, wanted.end_ns)
        if part is not None:
            yield part


def _figures(signal: int, figures: Figures, others: int) -> SignalFigures:
    try:
        known = by_id(signal)
        name, unit = known.name, known.unit
    except CatalogueError:
        name, unit = str(signal), ""
    some = figures.count > 0
    return SignalFigures(
        signal=name,
        id=signal,
        unit=unit,
        count=figures.count,
        others=others + figures.held + figures.lost,
        min=figures.minimum if some else None,
        max=figures.maximum if some else None,
        avg=figures.mean,
    )
