"""Fewer points that look the same: the smallest and the largest of each column of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
COLUMNS = 480
_GAP_FACTOR = 5.0
_SMALLEST_GAP_S = 2.0


def gap_of(times_s: Floats) -> float:
    """Return the time without values from which on a line is interrupted."""
    if len(times_s) < 2:
        return _SMALLEST_GAP_S
    return max(_SMALLEST_GAP_S, _GAP_FACTOR * float(np.median(np.diff(times_s))))


def split_at_gaps(times_s: Floats, values: Floats, gap_s: float) -> list[tuple[Floats, Floats]]:
    """Return the pieces between gaps and values that are not numbers; `times_s` is in order."""
    sound = np.isfinite(values)
    times_s, values = times_s[sound], values[sound]
    cuts = np.flatnonzero(np.diff(times_s) > gap_s) + 1
    pieces = zip(np.split(times_s, cuts), np.split(values, cuts), strict=True)
    return [(t, v) for t, v in pieces if len(t)]


def decimate(
    times_s: Floats, values: Floats, start_s: float, end_s: float, columns: int = COLUMNS
) -> tuple[Floats, Floats]:
    """Return at most two points for each of `columns` columns of start..end: its extremes."""
    if len(times_s) <= 2 * columns:
        return times_s, values
    column = ((times_s - start_s) / (end_s - start_s) * columns).astype(np.int64)
    edges = np.flatnonzero(np.diff(column, prepend=column[0] - 1))
    kept = []
    for begin, end in zip(edges, [*edges[1:], len(times_s)], strict=True):
        part = values[begin:end]
        kept += sorted({begin + int(part.argmin()), begin + int(part.argmax())})
    return times_s[kept], values[kept]
