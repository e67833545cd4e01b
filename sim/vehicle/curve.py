"""A curve over engine speed, read in constant time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

STEP_RPM = 50.0
TOP_RPM = 8000.0


def tabulate(points: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Resample (rpm, value) points to one value every `STEP_RPM` from 0 to `TOP_RPM`.

    Linear in between, constant beyond both ends. A reader takes `table[int(rpm / STEP_RPM)]` and
    interpolates; that is several times cheaper than a search on every grid step.
    """
    if len(points) < 2:
        raise ValueError(f"curve: expected at least 2 points, got {len(points)}")
    for (left, _), (right, _) in pairwise(points):
        if right <= left:
            raise ValueError(f"curve: expected rising rpm, got {right} after {left}")
    table = []
    for index in range(int(TOP_RPM / STEP_RPM) + 2):
        table.append(_interpolate(points, index * STEP_RPM))
    return tuple(table)


def read(table: tuple[float, ...], rpm: float) -> float:
    """Value of a tabulated curve at `rpm` (0 to `TOP_RPM`)."""
    place = rpm / STEP_RPM
    index = int(place)
    left = table[index]
    return left + (table[index + 1] - left) * (place - index)


def _interpolate(points: Sequence[tuple[float, float]], rpm: float) -> float:
    if rpm <= points[0][0]:
        return points[0][1]
    for (left_rpm, left), (right_rpm, right) in pairwise(points):
        if rpm <= right_rpm:
            return left + (right - left) * (rpm - left_rpm) / (right_rpm - left_rpm)
    return points[-1][1]
