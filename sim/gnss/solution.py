"""One epoch's solution in the integer steps of the chip, before it becomes text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.gnss.acquisition import Stage
from sim.gnss.errors import GnssError
from sim.gnss.fields import cut_to_digits
from sim.gnss.fix import Fix, Motion
from sim.gnss.profiles import ReceiverProfile

MPS_PER_KNOT = 1852.0 / 3600.0
KPH_PER_MPS = 3.6
METRES_PER_DEGREE = 6_371_000.0 * math.pi / 180.0  # only used for errors of a few metres

# Export rules (COCOM/Wassenaar) that every chip of this class implements.
MAX_SPEED_MPS = 500.0
MAX_ALTITUDE_M = 50_000.0


@dataclass(frozen=True, slots=True)
class Solution:
    """What the receiver computed for one epoch.

    Attributes:
        time_ns: UTC, cut to the chip's digits.
        stage: how much of it is known.
        lat_units, lon_units: steps of the last digit of a minute.
        alt_dm: tenths of a metre above mean sea level.
        speed_units, speed_kph_units: steps of the last digit of knots and of km/h.
        course_units: hundredths of a degree, 0-35999; None where the chip leaves it empty.
        sigma_m: one sigma of (latitude, longitude, altitude), for GST and GBS.
        alt_mm, speed_mps, course_deg, climb_mps: as measured, for binary messages with more digits.
        is_leap: within a leap second; `time_ns` is of the second before it.
    """

    time_ns: int
    stage: Stage
    lat_units: int = 0
    lon_units: int = 0
    alt_dm: int = 0
    speed_units: int = 0
    speed_kph_units: int = 0
    course_units: int | None = None
    sigma_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    alt_mm: int = 0
    speed_mps: float = 0.0
    course_deg: float = 0.0
    climb_mps: float = 0.0
    is_leap: bool = False


def within_limits(motion: Motion) -> bool:
    """True where a civil receiver gives a position at all; GnssError for NaN and infinity."""
    finite = math.isfinite
    if not (
        finite(motion.lat_deg)
        and finite(motion.lon_deg)
        and finite(motion.alt_m)
        and finite(motion.speed_mps)
        and finite(motion.course_deg)
    ):
        raise GnssError(f"motion: expected finite numbers, got {motion}")
    return (
        -90.0 <= motion.lat_deg <= 90.0
        and abs(motion.speed_mps) <= MAX_SPEED_MPS
        and abs(motion.alt_m) <= MAX_ALTITUDE_M
    )


def solve(
    profile: ReceiverProfile,
    time_ns: int,
    motion: Motion,
    error_m: tuple[float, float, float],
    velocity: tuple[float, float],
    held_course_units: int,
    sigma_m: tuple[float, float, float],
    climb_mps: float = 0.0,
) -> Solution:
    """Return the quantised solution of a fix.

    Args:
        error_m: east, north and up error in metres.
        velocity: measured speed in m/s and course in degrees.
        held_course_units: the last course, for chips that freeze it at standstill.
    """
    speed_mps, course_deg = velocity
    per_degree = 60 * 10**profile.minute_digits
    lat_deg = motion.lat_deg + error_m[1] / METRES_PER_DEGREE
    # A pole has no east: the floor keeps the division finite there.
    shrink = max(1e-9, math.cos(math.radians(motion.lat_deg)))
    lon_deg = math.remainder(motion.lon_deg, 360.0) + error_m[0] / (METRES_PER_DEGREE * shrink)
    pole, half_turn = 90 * per_degree, 180 * per_degree
    lat_units = max(-pole, min(pole, round(lat_deg * per_degree)))
    lon_units = (round(lon_deg * per_degree) + half_turn) % (2 * half_turn) - half_turn
    alt_m = motion.alt_m + error_m[2]
    speed_scale = int(10**profile.speed_digits)
    course_units: int | None = round(course_deg * 100.0) % 36000
    if speed_mps < profile.course_from_mps:
        course_units = None if profile.course_below == "empty" else held_course_units
    return Solution(
        cut_to_digits(time_ns, profile.time_digits),
        Stage.POSITION,
        lat_units,
        lon_units,
        round(alt_m * 10.0),
        round(speed_mps / MPS_PER_KNOT * speed_scale),
        round(speed_mps * KPH_PER_MPS * speed_scale),
        course_units,
        sigma_m,
        round(alt_m * 1000.0),
        speed_mps,
        course_deg,
        climb_mps,
    )


def fix_of(
    profile: ReceiverProfile, solution: Solution, hdop: float, satellites: int
) -> Fix | None:
    """Return what a perfect parser reads from the wire; None before the receiver knows the time."""
    if solution.stage < Stage.TIME:
        return None
    if solution.stage < Stage.POSITION:
        nan = math.nan
        return Fix(solution.time_ns, nan, nan, nan, nan, None, hdop, 0, False)
    per_degree = 60 * 10**profile.minute_digits
    course_units = solution.course_units
    return Fix(
        solution.time_ns,
        solution.lat_units / per_degree,
        solution.lon_units / per_degree,
        solution.alt_dm / 10.0,
        solution.speed_units / 10**profile.speed_digits * MPS_PER_KNOT,
        None if course_units is None else course_units / 100.0,
        hdop,
        satellites,
        True,
    )
