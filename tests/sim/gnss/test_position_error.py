"""The position error is correlated as recorded receivers' errors are."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from sim.gnss.position_error import PositionError, VelocityError


def _walk(step_s: float, count: int, seed: int = 1) -> list[tuple[float, float, float]]:
    error = PositionError(random.Random(seed).gauss, (1.5, 2.5))
    return [error.advance(step_s, 1.5, 2.5) for _ in range(count)]


def _ensemble(step_s: float, lag: int) -> tuple[float, float]:
    """Return (standard deviation, autocorrelation at `lag` steps) over many short walks."""
    first, later = [], []
    for seed in range(3000):
        walk = _walk(step_s, lag + 1, seed)
        first.append(walk[0][0])
        later.append(walk[lag][0])
    power = sum(x * x for x in first) / len(first)
    return math.sqrt(power), sum(x * y for x, y in zip(first, later, strict=True)) / len(
        first
    ) / power


def test_sigma_is_what_was_asked_for_from_the_first_epoch() -> None:
    """The walk starts in its stationary state: 1.5 m per axis at once."""
    sigma_m, _ = _ensemble(1.0, 1)
    assert sigma_m == pytest.approx(1.5, rel=0.06)


@pytest.mark.parametrize(("lag_s", "low", "high"), [(1, 0.95, 0.99), (30, 0.55, 0.75)])
def test_autocorrelation(lag_s: int, low: float, high: float) -> None:
    """Half of the variance decays with 30 s, half with 600 s."""
    _, correlation = _ensemble(1.0, lag_s)
    assert low < correlation < high


def test_discretisation_is_exact() -> None:
    """Ten steps of 0.1 s and one of 1 s have the same correlation."""
    _, fine = _ensemble(0.1, 10)
    _, coarse = _ensemble(1.0, 1)
    assert fine == pytest.approx(coarse, abs=0.01)


def test_steps_are_small() -> None:
    """From second to second the position moves by centimetres to decimetres, not by metres."""
    walk = _walk(1.0, 2000)
    steps = [b[0] - a[0] for a, b in pairwise(walk)]
    assert 0.05 < math.sqrt(sum(s * s for s in steps) / len(steps)) < 0.45


def test_velocity_noise_is_separate_and_small() -> None:
    """Speed is off by 0.05 m/s, and a standing receiver shows a crawl, never a negative speed."""
    error = VelocityError(random.Random(1))
    speeds = [error.apply(20.0, 90.0)[0] for _ in range(3000)]
    assert sum(speeds) / len(speeds) == pytest.approx(20.0, abs=0.01)
    assert math.sqrt(sum((s - 20.0) ** 2 for s in speeds) / len(speeds)) == pytest.approx(
        0.05, rel=0.1
    )
    standing = [error.apply(0.0, 0.0)[0] for _ in range(1000)]
    assert min(standing) >= 0.0
    assert max(standing) < 0.3


def test_course_is_in_range() -> None:
    """The course is 0 up to 360 degrees whatever comes in."""
    error = VelocityError(random.Random(2))
    for course_deg in (-720.0, -0.001, 0.0, 359.999, 1e6):
        assert 0.0 <= error.apply(10.0, course_deg)[1] < 360.0
