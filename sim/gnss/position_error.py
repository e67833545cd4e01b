"""Errors of position and velocity: slow Gauss-Markov drift, and white velocity noise of its own.

Source of the shape: autocorrelation of stationary receivers' logs (0.95-0.99 at 1 s, -0.1-0.5 at
30 s) and Sensors 2020, 20(21), 6050; the two time constants and the even split are a judgement.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

FAST_TAU_S = 30.0  # multipath and receiver noise after filtering
SLOW_TAU_S = 600.0  # ionosphere and orbits
SHARE = math.sqrt(0.5)  # each term carries half of the variance
REACQUISITION_FACTOR = 2.0  # assumed: the first fix after a gap is unfiltered
VELOCITY_SIGMA_MPS = 0.05  # per axis; u-blox data sheet: velocity accuracy 0.05 m/s


class PositionError:
    """East, north and up errors in metres as the sum of two first-order Gauss-Markov terms.

    Args:
        gauss: `random.Random.gauss` of the receiver's stream.
        sigma_m: (horizontal per axis, vertical) standard deviation at the start, in metres.
    """

    def __init__(
        self, gauss: Callable[[float, float], float], sigma_m: tuple[float, float]
    ) -> None:
        self._gauss = gauss
        self._fast = [0.0, 0.0, 0.0]
        self._slow = [0.0, 0.0, 0.0]
        self._step_s = -1.0
        self._coefficients = (0.0, 0.0, 0.0, 0.0)
        for axis, sigma in enumerate((sigma_m[0], sigma_m[0], sigma_m[1])):
            self._slow[axis] = gauss(0.0, sigma * SHARE)
            self._fast[axis] = gauss(0.0, sigma * SHARE)

    def advance(
        self, step_s: float, horizontal_m: float, vertical_m: float
    ) -> tuple[float, float, float]:
        """Move on by `step_s` seconds and return (east, north, up) in metres.

        The discretisation is exact for any step; a new sigma is taken up with the terms' own time
        constants, so a satellite that sets does not make the position jump.
        """
        if step_s != self._step_s:
            self._step_s = step_s
            keep_fast, keep_slow = math.exp(-step_s / FAST_TAU_S), math.exp(-step_s / SLOW_TAU_S)
            self._coefficients = (
                keep_fast,
                SHARE * math.sqrt(1.0 - keep_fast * keep_fast),
                keep_slow,
                SHARE * math.sqrt(1.0 - keep_slow * keep_slow),
            )
        keep_fast, drive_fast, keep_slow, drive_slow = self._coefficients
        gauss, fast, slow = self._gauss, self._fast, self._slow
        fast[0] = keep_fast * fast[0] + gauss(0.0, drive_fast * horizontal_m)
        fast[1] = keep_fast * fast[1] + gauss(0.0, drive_fast * horizontal_m)
        fast[2] = keep_fast * fast[2] + gauss(0.0, drive_fast * vertical_m)
        slow[0] = keep_slow * slow[0] + gauss(0.0, drive_slow * horizontal_m)
        slow[1] = keep_slow * slow[1] + gauss(0.0, drive_slow * horizontal_m)
        slow[2] = keep_slow * slow[2] + gauss(0.0, drive_slow * vertical_m)
        return fast[0] + slow[0], fast[1] + slow[1], fast[2] + slow[2]

    def reacquire(self, horizontal_m: float, vertical_m: float) -> None:
        """Draw the fast term anew and wider: a first fix is worse than the ones that follow."""
        for axis, sigma in enumerate((horizontal_m, horizontal_m, vertical_m)):
            self._fast[axis] = self._gauss(0.0, sigma * SHARE * REACQUISITION_FACTOR)


class VelocityError:
    """White noise on the velocity, which receivers take from Doppler and not from positions."""

    def __init__(self, rng: random.Random, sigma_mps: float = VELOCITY_SIGMA_MPS) -> None:
        self._gauss = rng.gauss
        self._sigma_mps = sigma_mps

    def apply(self, speed_mps: float, course_deg: float) -> tuple[float, float]:
        """Return the measured (speed in m/s, course in degrees 0-360)."""
        course = math.radians(course_deg)
        east = speed_mps * math.sin(course) + self._gauss(0.0, self._sigma_mps)
        north = speed_mps * math.cos(course) + self._gauss(0.0, self._sigma_mps)
        return math.hypot(east, north), math.degrees(math.atan2(east, north)) % 360.0
