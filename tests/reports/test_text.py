from __future__ import annotations

import math

import pytest

from reports.text import clock, duration, plural, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (0.0, "0"),
        (9e-15, "0"),
        (16.489, "16.49"),
        (-2.5, "−2.5"),
        (56840, "56,840"),
        (123456.7, "123,457"),
        (1 / 6e6, "1.67·10⁻⁷"),
        (0.0938, "0.0938"),
        (100.0, "100"),
    ],
)
def test_numbers_are_short(value, text):
    """Four digits say it."""
    assert short(value) == text


def test_times_read_like_a_stop_watch():
    """Minutes and seconds, hours where there are any."""
    assert [clock(0), clock(61.5), clock(3723)] == ["0:00", "1:01.5", "1:02:03"]
    assert clock(59.9996) == "1:00"


def test_lengths_are_in_words():
    """Seconds, minutes, hours."""
    assert [duration(s) for s in (9.79, 600, 616, 3720)] == [
        "9.79 s",
        "10 min",
        "10 min 16 s",
        "1 h 02 min",
    ]
    assert [plural(1, "limit"), plural(2, "limit")] == ["1 limit", "2 limits"]
