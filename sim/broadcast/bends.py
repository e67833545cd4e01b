"""The bends of the road as the car's sensors feel them."""

from __future__ import annotations

from collections.abc import Callable

KNOT_M = 10.0  # curvature is taken from headings so far apart, and linear in between
TIGHTEST_PER_M = 0.2  # no car turns on a smaller circle than 5 m; recorded headings jump
RAD_PER_DEG = 0.017453292519943295
MAX_KNOTS = 64


class Bends:
    """Curvature of a road at a distance driven.

    Args:
        heading_deg: direction of the road at a distance in metres, clockwise from north.
    """

    def __init__(self, heading_deg: Callable[[float], float]) -> None:
        self.heading_deg = heading_deg
        self._knots: dict[int, float] = {}

    def at(self, distance_m: float) -> tuple[float, float]:
        """Return the curvature in 1/m, left positive, and its change per metre."""
        place = distance_m / KNOT_M
        index = int(place)
        left = self._knot(index)
        slope = self._knot(index + 1) - left
        return left + slope * (place - index), slope / KNOT_M

    def _knot(self, index: int) -> float:
        value = self._knots.get(index)
        if value is None:
            if len(self._knots) >= MAX_KNOTS:
                self._knots.clear()
            value = self._knots[index] = self._curvature(index * KNOT_M)
        return value

    def _curvature(self, distance_m: float) -> float:
        turn = self.heading_deg(distance_m + KNOT_M) - self.heading_deg(distance_m - KNOT_M)
        turn = (turn + 180.0) % 360.0 - 180.0
        value = -turn * RAD_PER_DEG / (2.0 * KNOT_M)
        return max(-TIGHTEST_PER_M, min(TIGHTEST_PER_M, value))
