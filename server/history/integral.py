"""Sums over time of a rate: a way from a speed, fuel from a fuel rate."""

from __future__ import annotations

from array import array
from itertools import compress, islice
from operator import add, mul, or_, sub

GAP_NS = 10 * 10**9
"""Between readings that are further apart nobody knows what happened: it counts nothing."""


class Integral:
    """The integral of a signal over time, by trapezoids; readings come in the order of time.

    Attributes:
        total: value times seconds.
        covered_ns: time between readings that are no further apart than `GAP_NS`.
        above_ns: of it, the time in which the signal was above the threshold, if there is one.
    """

    def __init__(self, threshold: float | None = None) -> None:
        self.total = 0.0
        self.covered_ns = 0
        self.above_ns = 0
        self._threshold = threshold
        self._last: tuple[int, float] | None = None

    def add(self, times_ns: array[int], values: array[float]) -> None:
        """Take more readings."""
        if not times_ns:
            return
        if self._last is not None:
            times_ns = array("q", (self._last[0],)) + times_ns
            values = array("d", (self._last[1],)) + values
        self._last = (times_ns[-1], values[-1])
        steps = list(map(sub, islice(times_ns, 1, None), times_ns))
        if steps and max(steps) > GAP_NS:
            # A step that counts nothing has no length.
            steps = [step if step <= GAP_NS else 0 for step in steps]
        self.covered_ns += sum(steps)
        self.total += sum(map(mul, map(add, values, islice(values, 1, None)), steps)) / 2e9
        if self._threshold is not None:
            above = list(map(self._threshold.__lt__, values))
            self.above_ns += sum(compress(steps, map(or_, above, islice(above, 1, None))))
