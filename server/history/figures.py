"""Figures of a signal over some time: how many readings, smallest, greatest, mean, first, last.

Only what was measured (or bounded) counts in the values. A prediction is counted as `held`, a lost
one as `lost`, and both are in no other figure.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from itertools import compress
from typing import Any

import msgspec

import server.history.errors as limits
from server.history.errors import TooMuch
from server.history.wanted import Column
from server.readings import State

_HELD, _LOST = int(State.HELD), int(State.LOST)
_COUNTED = bytes(state not in (_HELD, _LOST) for state in range(256))

Key = tuple[int, int]
"""Beginning of a window, signal."""


def counted(times_ns: array[int], values: array[float], states: bytes) -> tuple[Any, Any]:
    """Give instants and values of the readings that count in figures."""
    if not (states.count(_HELD) or states.count(_LOST)):
        return times_ns, values
    mask = states.translate(_COUNTED)
    return array("q", compress(times_ns, mask)), array("d", compress(values, mask))


class Figures(msgspec.Struct):
    """Figures that can be added up part by part, in any order.

    Attributes:
        count: readings that count; the values below are theirs.
        held: predicted readings.
        lost: readings that are known to be lost, or are no number.
        total: sum of the values.
        first: value at the earliest instant.
        last: value at the latest instant.
    """

    count: int = 0
    held: int = 0
    lost: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    total: float = 0.0
    first_ns: int = 2**63 - 1
    last_ns: int = -(2**63)
    first: float = math.nan
    last: float = math.nan

    @property
    def mean(self) -> float | None:
        """Mean of the readings, each with the same weight; None without a reading."""
        return self.total / self.count if self.count else None

    def add_readings(self, times_ns: array[int], values: array[float], states: bytes) -> None:
        """Take readings, ascending by time."""
        self.held += states.count(_HELD)
        self.lost += states.count(_LOST)
        times_ns, values = counted(times_ns, values, states)
        if not times_ns:
            return
        total = sum(values)
        if total != total:  # NaN: no number; rare, so only then looked for
            numbers = [place for place, value in enumerate(values) if value == value]
            self.lost += len(values) - len(numbers)
            times_ns = array("q", [times_ns[place] for place in numbers])
            values = array("d", [values[place] for place in numbers])
            if not times_ns:
                return
            total = sum(values)
        self.add(
            len(values),
            min(values),
            max(values),
            total,
            (times_ns[0], values[0]),
            (times_ns[-1], values[-1]),
        )

    def add(
        self,
        count: int,
        minimum: float,
        maximum: float,
        total: float,
        first: tuple[int, float],
        last: tuple[int, float],
    ) -> None:
        """Take the figures of some readings that count; `first` and `last`: instant and value."""
        self.count += count
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)
        self.total += total
        if first[0] < self.first_ns:
            self.first_ns, self.first = first
        if last[0] >= self.last_ns:
            self.last_ns, self.last = last


def add_windows(
    sums: dict[Key, Figures], column: Column, start_ns: int, window_ns: int | None
) -> None:
    """Add a column to the figures of windows that begin at whole multiples of their length;
    without a length to one, from `start_ns` on.

    Raises:
        TooMuch: more windows than one question may have.
    """
    times_ns, begin, size = column.times_ns, 0, len(column)
    while begin < size:
        if window_ns is None:
            window_start_ns, end = start_ns, size
        else:
            window_start_ns = times_ns[begin] - times_ns[begin] % window_ns
            end = bisect_left(times_ns, window_start_ns + window_ns, begin)
        key = (window_start_ns, column.signal)
        figures = sums.get(key)
        if figures is None:
            if len(sums) >= limits.WINDOWS_LIMIT:
                raise TooMuch("windows", limits.WINDOWS_LIMIT)
            figures = sums[key] = Figures()
        figures.add_readings(
            times_ns[begin:end], column.values[begin:end], column.states[begin:end]
        )
        begin = end
