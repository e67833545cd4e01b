"""The board's crystal: a clock that is a little fast or slow, and changes its mind slowly."""

from __future__ import annotations

SETTLE_S = 1e-7  # beyond the rounding of the inversion: a tick that was waited for has come
MAX_ERROR_PPM = 1000.0


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

    def local_s(self, true_s: float) -> float:
        """Return what the board has counted when the world stands at `true_s`."""
        return true_s * (self._rate + self._half_drift_per_s * true_s)

    def true_s(self, local_s: float, near_s: float) -> float:
        """Return the instant of the world at which the board has counted `local_s` for sure.

        Args:
            near_s: an instant close to it; the drift is so slow that two steps from there do.
        """
        true_s = near_s
        for _ in range(2):
            rate = self._rate + 2.0 * self._half_drift_per_s * true_s
            true_s += (local_s - self.local_s(true_s)) / rate
        return true_s + SETTLE_S
