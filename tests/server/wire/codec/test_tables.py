"""The shipped tables are what their rules say."""

from __future__ import annotations

import math

from server.wire.codec import tables


def classes(change: int, most: int, fine: bool) -> int:
    """Give a class by the size of a change: binary digits, or half of them."""
    size = abs(change)
    count = size.bit_length()
    if fine and size >= 4:
        count = 2 * count - 2 + (size >> (count - 2) & 1)
    elif fine:
        count = size
    return most + min(most, count) * (1 if change >= 0 else -1)


def age_class(rows: int) -> int:
    """Exact below 16, then in steps of about a third."""
    bounds = (20, 24, 32, 48, 64, 96, 128, 255)
    return rows if rows < 16 else 16 + sum(rows >= bound for bound in bounds)


def test_squash_is_the_logistic_function() -> None:
    """Each entry is right to the last digit, rounded."""
    expected = [round(32768 / (1 + math.exp(-index / 128))) for index in range(1024)]
    assert list(tables.SQUASH) == expected


def test_stretch_is_the_nearest_inverse() -> None:
    """Each entry is the odds' logarithm to within a sixteenth."""
    assert len(tables.STRETCH) == 1024
    for index, value in enumerate(tables.STRETCH):
        chance = (index + 0.5) / 1024
        assert abs(value / 16 - math.log(chance / (1 - chance))) <= 0.52 / 16


def test_classes_ages_digits_and_rates_follow_their_rules() -> None:
    """The small tables."""
    assert list(tables.FINE) == [classes(change, 13, fine=True) for change in range(-128, 129)]
    assert list(tables.COARSE) == [classes(change, 6, fine=False) for change in range(-128, 129)]
    assert list(tables.AGES) == [age_class(rows) for rows in range(256)]
    assert list(tables.DIGITS) == [number.bit_length() for number in range(256)]
    assert list(tables.RATE) == [32768 // (count + 2) for count in range(128)]
