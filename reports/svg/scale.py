"""From values to coordinates, and where the ticks stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_TIME_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight line from values `low`..`high` to coordinates `start`..`end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coordinates of many values."""
        return self.start + (values - self.low) / (self.high - self.low) * (self.end - self.start)


def nice_step(span: float, count: int) -> float:
    """Return the smallest round step that cuts `span` into at most `count` pieces."""
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    return next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round values within `low`..`high`, about `count` of them."""
    step = nice_step(high - low, count)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def round_range(low: float, high: float, count: int = 4) -> tuple[float, float]:
    """Return the range widened to round values; a single value gets a range around it."""
    if high - low < 1e-9 * max(1.0, abs(high)):
        half = max(1.0, abs(high) * 0.1)
        low, high = low - half, high + half
    step = nice_step(high - low, count)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def time_ticks(start_s: float, end_s: float, count: int = 10) -> list[float]:
    """Return round times within the span, about `count` of them."""
    wanted = (end_s - start_s) / count
    step = next((s for s in _TIME_STEPS_S if s >= wanted), _TIME_STEPS_S[-1])
    first = math.ceil(start_s / step - 1e-9)
    return [i * step for i in range(first, math.floor(end_s / step + 1e-9) + 1)]
