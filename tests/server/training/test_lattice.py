"""The steps of sensors are found in what files print."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from server.training.lattice import decimals, find, on

CASES = (
    # step, offset, decimals printed
    (0.25, 0.0, 2),
    (100 / 255, 0.0, 1),
    (100 / 128, -100.0, 1),
    (0.0689475729, 0.0, 2),  # 0.01 psi in kPa
    (1.609344, 0.0, 2),  # mile/h in km/h
    (3.0, 0.0, 0),
    (0.02, 0.0, 2),
    (1.0, -40.0, 0),
    (1e-5, 0.0, 5),
)


@pytest.mark.parametrize(("step", "offset", "places"), CASES)
def test_the_step_is_found_in_rounded_values(step: float, offset: float, places: int) -> None:
    """From 400 readings of a sensor, rounded as a file prints them."""
    rng = random.Random(1)
    numbers = [rng.randrange(256) for _ in range(400)]
    values = np.array([round(number * step + offset, places) for number in numbers])
    lattice = find(values, places)
    assert float(lattice.step) == pytest.approx(step, rel=1e-6)
    steps = lattice.steps(values)
    assert np.ptp(steps) == max(numbers) - min(numbers)
    nearest = steps * float(lattice.step) + float(lattice.offset)
    assert np.abs(nearest - values).max() <= 0.51 * 10**-places


def test_values_without_a_lattice_keep_what_was_printed() -> None:
    """Noise with three decimals has a step of 0.001 and nothing coarser."""
    rng = random.Random(2)
    values = np.array([round(rng.uniform(-50, 50), 3) for _ in range(1000)])
    assert float(find(values, 3).step) == 0.001


def test_few_values_prove_no_unusual_step() -> None:
    """0, 0.4 and 0.8 may be anything: only their common divisor is taken."""
    assert float(find(np.array([0.0, 0.4, 0.8] * 50), 1).step) == pytest.approx(0.4)
    assert float(find(np.array([7.5] * 9), 1).step) == pytest.approx(0.1)


def test_a_known_lattice_tells_how_many_values_lie_beside_it() -> None:
    """A tenth of these readings are halves, and the lattice has only whole numbers."""
    values = np.array([float(number) for number in range(9)] + [0.5])
    assert on(values, 1, Fraction(1), Fraction(0)).off_share == pytest.approx(0.1)


def test_decimals_are_those_that_say_something() -> None:
    """Zeros at the end do not count; exponents count as nine."""
    assert decimals(["1.50", "2", "3.000"]) == 1
    assert decimals(["1e-3"]) == 9
