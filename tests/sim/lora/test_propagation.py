"""Path loss and shadowing."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.lora.propagation import (
    FixedLoss,
    LogDistance,
    PathLoss,
    Place,
    ShadowField,
    Shadowing,
    TwoRay,
    free_space_db,
)

METRES = st.floats(-20_000, 20_000)
PLACES = st.builds(Place, METRES, METRES, st.floats(1, 100))
MODELS: list[PathLoss] = [
    LogDistance(869.525),
    TwoRay(869.525),
    FixedLoss(120.0),
]


def test_free_space_is_friis() -> None:
    """A kilometre at 868 MHz costs 91.2 dB."""
    assert free_space_db(1000, 868) == pytest.approx(91.2, abs=0.05)


@pytest.mark.parametrize("model", MODELS)
@given(a=PLACES, b=PLACES)
def test_loss_is_the_same_both_ways(model: PathLoss, a: Place, b: Place) -> None:
    """Antennas and paths are reciprocal."""
    assert model(a, b) == model(b, a)


@pytest.mark.parametrize("model", MODELS[:2])
@given(near_m=st.floats(1, 10_000), more_m=st.floats(0, 10_000))
def test_loss_never_falls_with_distance(model: PathLoss, near_m: float, more_m: float) -> None:
    """Further away is never louder."""
    here = Place(0, 0)
    assert model(here, Place(near_m, 0)) <= model(here, Place(near_m + more_m, 0)) + 1e-9


def test_log_distance_has_its_exponent() -> None:
    """Ten times as far costs ten times the exponent."""
    model = LogDistance(869.525, exponent=3.1)
    near, far = model(Place(0, 0), Place(100, 0)), model(Place(0, 0), Place(1000, 0))
    assert far - near == pytest.approx(31.0)


def test_beyond_the_break_point_a_higher_antenna_gains_twenty_decibels_per_decade() -> None:
    """A relay on a hill of 90 m is heard 20 dB better than a mast of 9 m, far away."""
    model = TwoRay(869.525)
    car = Place(8000, 0, 1.5)
    gain_db = model(Place(0, 0, 9), car) - model(Place(0, 0, 90), car)
    assert gain_db == pytest.approx(20.0, abs=0.2)


def test_near_antennas_are_not_nearer_than_a_metre() -> None:
    """Two antennas in the same place do not divide by zero."""
    for model in MODELS:
        assert math.isfinite(model(Place(1, 1), Place(1, 1)))


def test_a_shadow_field_has_unit_deviation_and_falls_off_as_gudmundsons() -> None:
    """Over many fields the correlation of two points is exp(-distance / d)."""
    fields = [ShadowField(random.Random(seed), 50.0) for seed in range(3000)]
    here = [field.at(17.0, -4.0) for field in fields]
    assert statistics.mean(here) == pytest.approx(0.0, abs=0.06)
    assert statistics.pstdev(here) == pytest.approx(1.0, abs=0.05)
    for away_m in (10.0, 50.0, 150.0):
        there = [field.at(17.0 + away_m * 0.6, -4.0 + away_m * 0.8) for field in fields]
        expected = math.exp(-away_m / 50.0)
        assert statistics.correlation(here, there) == pytest.approx(expected, abs=0.07)


@given(
    seed=st.integers(0, 2**64 - 1),
    places=st.lists(PLACES, min_size=1, max_size=6),
    moving=st.booleans(),
)
def test_shadowing_depends_on_seed_and_places_not_on_the_order_of_questions(
    seed: int, places: list[Place], moving: bool
) -> None:
    """Asked backwards, from the other end, or by another object, the answers are the same."""
    other = Place(5, 5) if moving else None
    first = Shadowing(seed)
    forwards = [first.loss_db(7, place, 3, other) for place in places]
    second = Shadowing(seed)
    second.loss_db(1, places[0], 2, None)
    backwards = [second.loss_db(3, other, 7, place) for place in reversed(places)]
    assert forwards == backwards[::-1]


def test_shadowing_of_fixed_antennas_is_one_value_per_link() -> None:
    """Pairs that stand have the deviation over pairs, and none in time."""
    shadowing = Shadowing(1, deviation_db=6.0)
    values = [shadowing.loss_db(a, None, b, None) for a in range(60) for b in range(a)]
    assert statistics.pstdev(values) == pytest.approx(6.0, rel=0.1)
    assert shadowing.loss_db(3, None, 9, None) == shadowing.loss_db(9, None, 3, None)


def test_two_moving_ends_have_the_same_deviation_as_one() -> None:
    """Each end contributes half of the variance."""
    values = []
    for seed in range(1500):
        shadowing = Shadowing(seed, deviation_db=6.0)
        values.append(shadowing.loss_db(1, Place(3, 4), 2, Place(500, 9)))
    assert statistics.pstdev(values) == pytest.approx(6.0, rel=0.08)


def test_no_deviation_is_no_shadowing() -> None:
    """A bench without shadows is possible."""
    assert Shadowing(1, deviation_db=0.0).loss_db(1, Place(0, 0), 2, None) == 0.0
