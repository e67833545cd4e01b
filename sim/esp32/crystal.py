"""The board's crystal: a clock that is a little fast or slow, and changes its mind slowly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

SETTLE_S = 1e-7  # beyond the rounding of the inversion: a tick that was waited for has come
MAX_ERROR_PPM = 1000.0


@dataclass(slots=True)
class _Wrong:
    """Seconds that the board counts too many: a step at once, and a rate until `end_s`."""

    start_s: float
    step_s: float = 0.0
    rate: float = 0.0
    end_s: float = math.inf

    def counted_s(self, true_s: float) -> float:
        if true_s < self.start_s:
            return 0.0
        return self.step_s + self.rate * (min(true_s, self.end_s) - self.start_s)


class Crystal:
    """Counts the board's own seconds.

    Args:
        error_ppm: how much faster than true time it runs at the start.
        drift_ppm_per_h: how much that changes in an hour (warming up, ageing).

    Raises:
        ValueError: no crystal is that bad.
    """

    def __init__(self, error_ppm: float = 0.0, drift_ppm_per_h: float = 0.0) -> None:
        if abs(error_ppm) > MAX_ERROR_PPM or abs(drift_ppm_per_h) > MAX_ERROR_PPM:
            raise ValueError(
                f"crystal: expected an error and an hourly drift within {MAX_ERROR_PPM:g} ppm, "
                f"got {error_ppm:g} and {drift_ppm_per_h:g}"
            )
        self._rate = 1.0 + error_ppm * 1e-6
        self._half_drift_per_s = drift_ppm_per_h * 1e-6 / 3600.0 / 2.0
        self._wrongs: list[_Wrong] = []

    def local_s(self, true_s: float) -> float:
        """Return what the board has counted when the world stands at `true_s`."""
        local_s = true_s * (self._rate + self._half_drift_per_s * true_s)
        if self._wrongs:
            local_s += sum(wrong.counted_s(true_s) for wrong in self._wrongs)
        return local_s

    def drift(self, true_s: float, ppm: float) -> Callable[[float], None]:
        """Run so much faster from `true_s` on; call what is returned with the instant of its end.

        What it has counted too much by then stays.
        """
        wrong = _Wrong(true_s, rate=ppm * 1e-6)
        self._wrongs.append(wrong)

        def end(end_s: float) -> None:
            wrong.end_s = end_s

        return end

    def restart(self, true_s: float) -> None:
        """Count from 0 anew, at what was `true_s`; a drift that lasts goes on."""
        self._wrongs = [wrong for wrong in self._wrongs if wrong.rate and wrong.end_s > true_s]
        for wrong in self._wrongs:
            wrong.start_s, wrong.end_s = 0.0, wrong.end_s - true_s

    def jump(self, true_s: float, by_s: float) -> None:
        """Be ahead by so much from `true_s` on: a sleep was counted by a clock that runs fast.

        Where negative, ticks get lost: it counts at half its speed until it is behind by so much,
        for a count never goes back.
        """
        if by_s >= 0.0:
            self._wrongs.append(_Wrong(true_s, step_s=by_s))
        else:
            self._wrongs.append(_Wrong(true_s, rate=-0.5, end_s=true_s - 2.0 * by_s))

    def true_s(self, local_s: float, near_s: float) -> float:
        """Return the instant of the world at which the board has counted `local_s` for sure.

        Args:
            near_s: an instant close to it; the drift is so slow that two steps from there do.
        """
        if self._wrongs:
            return self._true_among_wrongs_s(local_s, near_s) + SETTLE_S
        true_s = near_s
        for _ in range(2):
            rate = self._rate + 2.0 * self._half_drift_per_s * true_s
            true_s += (local_s - self.local_s(true_s)) / rate
        return true_s + SETTLE_S

    def _true_among_wrongs_s(self, local_s: float, near_s: float) -> float:
        """Return the first instant at which it has counted `local_s`: it only ever grows."""
        low_s, step_s = near_s, 1.0
        while self.local_s(low_s) > local_s and low_s > 0.0:
            low_s, step_s = max(0.0, low_s - step_s), 2.0 * step_s
        high_s, step_s = near_s, 1.0
        while self.local_s(high_s) < local_s:
            high_s, step_s = high_s + step_s, 2.0 * step_s
        while high_s - low_s > SETTLE_S / 10.0:
            middle_s = (low_s + high_s) / 2.0
            if middle_s in (low_s, high_s):
                break
            if self.local_s(middle_s) < local_s:
                low_s = middle_s
            else:
                high_s = middle_s
        return high_s
