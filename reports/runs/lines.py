"""Columns with as few points as a screen can show: the extremes of each bucket, and every gap.

Buckets hold equally many readings, a power of two of them, and begin at multiples of that: so what
is drawn does not flicker while a window moves, and one `argmin` over a table finds all extremes
(50 us for 36,000 readings).
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from reports.runs.columns import Column
from reports.svg.decimate import gap_of
from rig.measures.arrays import Floats, Ints, ints

SHOWN_STATES = 1
"""From here on a state is worth telling: bounded, held, lost."""
MOST_GAPS = 2000
LOOKED_AT = 512
FEWEST_POINTS = 4


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One series over some time, as the gateway's `/series` gives it, and some more.

    Attributes:
        signal: its name.
        unit: of the values.
        count: readings that there are; those below may be fewer.
        times_ns: instants, ascending.
        values: one for each instant; null where it is no number.
        layer: which telling of the signal it is.
        id: of the signal; None for a course of figures.
        resolution_s: always None: the answer comes from the readings.
        states: one for each instant; left out where all were measured.
        gaps_ns: spans that no line may cross.
        raw: True where nothing was left out.
        pending: True where it is still being made: ask again.
    """

    signal: str
    unit: str
    count: int
    times_ns: list[int]
    values: list[float | None]
    layer: str | None
    raw: bool
    id: int | None = None
    states: list[int] = []
    gaps_ns: list[tuple[int, int]] = []
    pending: bool = False


def line_of(
    column: Column,
    start_ns: int,
    end_ns: int,
    points: int,
    gap_ns: int | None = None,
    **what: Any,
) -> Line:
    """Return what is to be drawn of `column` from start to end, and one reading beyond each."""
    begin, end = column.between(start_ns, end_ns)
    count = end - begin
    begin, end = max(0, begin - 1), min(len(column.time_ns), end + 1)
    kept = extremes(column, begin, end, points)
    states = column.state[kept].tolist() if len(column.state) else []
    return Line(
        count=count,
        times_ns=column.time_ns[kept].tolist(),
        values=_plain(column.value[kept]),
        states=states if any(states) else [],
        gaps_ns=gaps(column.time_ns[begin:end], usual_gap_ns(column) if gap_ns is None else gap_ns),
        raw=len(kept) == end - begin,
        **what,
    )


def extremes(column: Column, begin: int, end: int, points: int) -> Ints:
    """Return the places to draw from `begin` to before `end`: at most about `points` of them.

    Fewer than `FEWEST_POINTS` are never enough: the ends, and the extremes between them.
    """
    places: Ints = np.arange(begin, end, dtype=np.int64)
    points = max(points, FEWEST_POINTS)
    if len(places) <= points:
        return places
    size = 1
    while 2 * ((end - begin) // size + 2) > points:
        size *= 2
    first = min(-(-begin // size) * size, end)
    last = max(end // size * size, first)
    starts = np.arange(first, last, size, dtype=np.int64)
    kept = [
        ints([begin, end - 1]),
        _of_table(column.value[begin:first].reshape(1, -1), ints([begin])),
        _of_table(column.value[first:last].reshape(-1, size), starts),
        _of_table(column.value[last:end].reshape(1, -1), ints([last])),
    ]
    return np.unique(np.concatenate(kept))


def _of_table(table: Floats, starts: Ints) -> Ints:
    """Return the places of the extremes of each row, and of the first that is no number."""
    if not table.size:
        return ints([])
    lost = np.isnan(table)
    if not lost.any():
        return np.concatenate(
            (starts + np.argmin(table, axis=1), starts + np.argmax(table, axis=1))
        )
    low = np.argmin(np.where(lost, np.inf, table), axis=1)
    high = np.argmax(np.where(lost, -np.inf, table), axis=1)
    broken = lost.any(axis=1)  # a bucket without a number breaks the line
    first_lost = starts[broken] + np.argmax(lost[broken], axis=1)
    return np.concatenate((starts + low, starts + high, first_lost))


def usual_gap_ns(column: Column) -> int:
    """Return the time without readings from which on a line is interrupted."""
    times_ns = column.time_ns
    if len(times_ns) > LOOKED_AT:  # a look at some intervals tells what is usual
        places = np.linspace(0, len(times_ns) - 2, LOOKED_AT).astype(np.int64)
        steps = times_ns[places + 1] - times_ns[places]
        times_ns = np.concatenate(([0], np.cumsum(steps)))
    return round(gap_of((times_ns - times_ns[:1]) / 1e9) * 1e9)


def gaps(times_ns: Ints, gap_ns: int) -> list[tuple[int, int]]:
    """Return the spans between readings that are longer than `gap_ns`."""
    at = np.flatnonzero(np.diff(times_ns) > gap_ns)[:MOST_GAPS]
    return list(zip(times_ns[at].tolist(), times_ns[at + 1].tolist(), strict=True))


def _plain(values: Any) -> list[float | None]:
    found: list[float | None] = values.tolist()
    if not np.isfinite(values).all():
        return [value if value is not None and np.isfinite(value) else None for value in found]
    return found
