"""A solution is quantised to the chip's digits and stays on the globe."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gnss.acquisition import Stage
from sim.gnss.errors import GnssError
from sim.gnss.fix import Motion
from sim.gnss.profiles import MT3339, PROFILES, SIRF, UBLOX_M8
from sim.gnss.solution import Solution, fix_of, solve, within_limits

MOTIONS = st.builds(
    Motion,
    st.floats(-90.0, 90.0),
    st.floats(-1e6, 1e6),
    st.floats(-500.0, 9000.0),
    st.floats(0.0, 500.0),
    st.floats(-1e6, 1e6),
)
ERRORS = st.tuples(*[st.floats(-50.0, 50.0)] * 3)


@given(MOTIONS, ERRORS, st.sampled_from(sorted(PROFILES)))
def test_every_motion_gives_a_fix_on_the_globe(
    motion: Motion, error_m: tuple[float, float, float], name: str
) -> None:
    """Poles, date line and turns of 360 degrees stay within their ranges."""
    profile = PROFILES[name]
    velocity = (motion.speed_mps, motion.course_deg % 360.0)
    solution = solve(profile, 10**18, motion, error_m, velocity, 0, (1.0, 1.0, 1.0))
    fix = fix_of(profile, solution, 1.0, 9)
    assert fix is not None
    assert -90.0 <= fix.lat_deg <= 90.0
    assert -180.0 <= fix.lon_deg < 180.0
    assert fix.course_deg is None or 0.0 <= fix.course_deg < 360.0


@given(MOTIONS, st.sampled_from(sorted(PROFILES)))
def test_without_error_the_fix_is_the_truth_within_half_a_step(motion: Motion, name: str) -> None:
    """Quantisation costs half a unit of the last digit and nothing else."""
    profile = PROFILES[name]
    velocity = (motion.speed_mps, motion.course_deg % 360.0)
    solution = solve(profile, 10**18, motion, (0.0, 0.0, 0.0), velocity, 0, (1.0, 1.0, 1.0))
    fix = fix_of(profile, solution, 1.0, 9)
    assert fix is not None
    step_deg = 1.0 / 60.0 / 10**profile.minute_digits
    assert abs(fix.lat_deg - motion.lat_deg) <= 0.5001 * step_deg
    # A motion a thousand turns away from Greenwich has fewer digits of its own.
    off_deg = math.remainder(fix.lon_deg - motion.lon_deg, 360.0)
    assert abs(off_deg) <= 0.5001 * step_deg + 1e-9
    assert abs(fix.alt_m - motion.alt_m) <= 0.0501
    step_mps = 1852.0 / 3600.0 / 10**profile.speed_digits
    assert abs(fix.speed_mps - motion.speed_mps) <= 0.5001 * step_mps


def _course(profile: object, speed_mps: float, held: int = 12345) -> float | None:
    motion = Motion(50.0, 7.0)
    solution = solve(profile, 0, motion, (0, 0, 0), (speed_mps, 90.0), held, (1, 1, 1))  # type: ignore[arg-type]
    fix = fix_of(profile, solution, 1.0, 9)  # type: ignore[arg-type]
    assert fix is not None
    return fix.course_deg


def test_course_at_standstill() -> None:
    """u-blox leaves it empty, SiRF freezes the last one, MTK shows noise."""
    assert _course(UBLOX_M8, 0.1) is None
    assert _course(UBLOX_M8, 5.0) == 90.0
    assert _course(SIRF, 0.1) == 123.45
    assert _course(MT3339, 0.1) == 90.0


def test_course_just_below_north_is_no_360() -> None:
    """359.996 degrees round to 0.00, not to 360.00."""
    solution = solve(UBLOX_M8, 0, Motion(1, 1), (0, 0, 0), (9.0, 359.996), 0, (1, 1, 1))
    assert solution.course_units == 0


@pytest.mark.parametrize(
    ("motion", "good"),
    [
        (Motion(50.0, 7.0, 0.0, 499.0), True),
        (Motion(50.0, 7.0, 0.0, 501.0), False),
        (Motion(50.0, 7.0, 60_000.0), False),
        (Motion(91.0, 7.0), False),
        (Motion(50.0, 1e308, 0.0, 0.0, 1e308), True),
    ],
)
def test_export_limits(motion: Motion, good: bool) -> None:
    """Above 500 m/s or 50 km a civil receiver gives no position."""
    assert within_limits(motion) is good


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_motion_that_is_no_number_is_refused(bad: float) -> None:
    """A broken world is told so, and not put on the wire."""
    with pytest.raises(GnssError, match="expected finite numbers, got Motion"):
        within_limits(Motion(50.0, bad))


def test_void_fix() -> None:
    """Without time there is no fix; with time alone it is not valid and has no position."""
    assert fix_of(UBLOX_M8, Solution(5, Stage.NOTHING), 99.99, 0) is None
    fix = fix_of(UBLOX_M8, Solution(5, Stage.DATE), 99.99, 0)
    assert fix is not None
    assert not fix.valid
    assert math.isnan(fix.lat_deg)
    assert fix.time_ns == 5


def test_error_points_where_it_says() -> None:
    """30 m east, 20 m north and 5 m up move the fix by just that, at 60 degrees north."""
    truth = Motion(60.0, 20.0, 100.0)
    solution = solve(UBLOX_M8, 0, truth, (30.0, 20.0, 5.0), (9.0, 0.0), 0, (1, 1, 1))
    fix = fix_of(UBLOX_M8, solution, 1.0, 9)
    assert fix is not None
    assert (fix.lon_deg - 20.0) * 111_195.0 * 0.5 == pytest.approx(30.0, abs=0.05)
    assert (fix.lat_deg - 60.0) * 111_195.0 == pytest.approx(20.0, abs=0.05)
    assert fix.alt_m == 105.0
