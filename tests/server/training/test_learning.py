"""Training: what is chosen, what fits, what is refused."""

from __future__ import annotations

import math
import random

import pytest

from server.training.learning import TrainingError, train
from server.wire.codec.profile import NONE, SignalPlan
from tests.server.wire.codec.drives import Row, decode_all, drive, packets_of, plan


def curves(rows: int, seed: int) -> list[Row]:
    """A smooth curve, and another that is its slope: both at high rate."""
    rng = random.Random(seed)
    out: list[Row] = []
    place = slope = 0.0
    for number in range(rows):
        slope += rng.gauss(0, 2) - slope / 40
        place += slope
        out.append([round(slope), round(place), 1000 + number // 500])
    return out


def test_a_curve_is_foretold_and_a_staircase_is_held() -> None:
    """Each signal gets the kind of model that suits it, and the parent that tells of it."""
    profile = train([curves(3000, 1)], plan(3, minimum=-(10**6), maximum=10**6), period_ms=40)
    _, place, stair = profile.signals
    assert (place.hold, place.predict) == (0, 1)
    assert 0 in place.parents
    assert (stair.hold, stair.predict) == (1, 0)
    rows = curves(1500, 2)
    packets = packets_of(profile, rows)
    assert decode_all(profile, packets) == dict(enumerate(rows))
    assert 8 * sum(map(len, packets)) / 4500 < 2.2


def test_signals_that_tell_nothing_of_each_other_have_no_parents() -> None:
    """Two noises: a parent would only be learned by heart."""
    rng = random.Random(3)
    rows: list[Row] = [[rng.randrange(9), rng.randrange(9)] for _ in range(3000)]
    profile = train([rows], plan(2, maximum=8), period_ms=40)
    assert [signal.parents for signal in profile.signals] == [(NONE, NONE)] * 2
    bits = 8 * sum(map(len, packets_of(profile, rows[:1000]))) / 2000
    assert bits < 1.12 * math.log2(9)


@pytest.mark.parametrize("flash_bytes", [6144, 12288, 32768])
def test_the_profile_fits_into_its_flash(flash_bytes: int) -> None:
    """Smaller ones cost some bits; none is larger than allowed."""
    profile = train(
        [drive(2500, seed=7)],
        plan(5, minimum=0, maximum=8000),
        period_ms=100,
        flash_bytes=flash_bytes,
    )
    assert len(profile.to_bytes()) <= flash_bytes


def test_training_is_repeatable_and_tells_how_far_it_is() -> None:
    """The same drives give the same bytes; the report grows to the end."""
    told: list[tuple[str, float]] = []
    rows = drive(1500)
    first = train(
        [rows], plan(5), period_ms=100, report=lambda what, part: told.append((what, part))
    )
    assert train([rows], plan(5), period_ms=100).to_bytes() == first.to_bytes()
    assert [what for what, part in told if part == 1.0] == ["weighing contexts", "training"]


def test_dividers_missing_values_and_short_drives_can_be_trained_on() -> None:
    """Rows have only what is due, some of it missing; one drive is two rows long."""
    slow = SignalPlan(9, divider=4, phase=2, minimum=0, maximum=500)
    rows: list[Row] = []
    for number, (a, b, *_) in enumerate(drive(800)):
        row: Row = [a, None if number % 50 == 0 else b]
        rows.append([*row, number // 4] if number % 4 == 2 else row)
    profile = train([rows, rows[:2]], [*plan(2, maximum=9000), slow], period_ms=100)
    assert decode_all(profile, packets_of(profile, rows)) == dict(enumerate(rows))


def test_what_cannot_be_trained_is_refused() -> None:
    """Too few rows; rows of another plan."""
    with pytest.raises(TrainingError, match="at least 2 rows expected, found 1"):
        train([[[1]]], plan(1), period_ms=100)
    with pytest.raises(TrainingError, match="one value for each signal that is due"):
        train([[[1], [1, 2]]], plan(1), period_ms=100)


def test_few_great_jumps_do_not_decide_how_a_curve_is_foretold() -> None:
    """A signal that follows its parent, but for a hundredth of the rows, is foretold by it."""
    rng = random.Random(5)
    parent = other = 5000
    rows: list[Row] = []
    for _ in range(3000):
        step = rng.randrange(-40, 41)
        parent += step
        other += 3 * step + rng.randrange(-1, 2)
        if rng.random() < 0.01:
            other += rng.choice((-4000, 4000))
        rows.append([parent, other])
    signals = [SignalPlan(1, maximum=100_000), SignalPlan(2, minimum=-200_000, maximum=200_000)]
    profile = train([rows], signals, period_ms=1000)
    follower = profile.signals[1]
    assert follower.parents[0] == 0
    assert follower.terms[2] / (1 << follower.shift) == pytest.approx(3.0, abs=0.05)
