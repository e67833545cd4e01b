from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.svg.scale import Scale, round_range, ticks, time_ticks

FINITE = st.floats(-1e9, 1e9)


def test_a_scale_is_a_straight_line():
    """Ends map to ends, the middle to the middle, also downwards."""
    y = Scale(0, 10, 100, 0)
    assert [y(0), y(5), y(10)] == [100, 50, 0]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 25, 50, 75, 100]),
        (-10, 20, [-10, 0, 10, 20]),
        (0, 0.3, [0, 0.1, 0.2, 0.3]),
    ],
)
def test_ticks_are_round(low, high, expected):
    """Steps are 1, 2, 2.5 or 5 times a power of ten."""
    assert ticks(low, high, 4) == pytest.approx(expected)


@given(low=FINITE, high=FINITE)
def test_a_round_range_holds_its_values(low, high):
    """Whatever the values, the range holds them and is not empty."""
    low, high = min(low, high), max(low, high)
    bottom, top = round_range(low, high)
    assert bottom < top
    room = 1e-9 * max(1.0, abs(low), abs(high))
    assert bottom <= low + room
    assert top >= high - room


@given(start=st.floats(0, 1e5), length=st.floats(0.5, 1e5))
def test_time_ticks_are_few_and_inside(start, length):
    """Ten or so, in order, within the span."""
    found = time_ticks(start, start + length)
    assert len(found) <= 13
    assert found == sorted(found)
    assert all(start - 1e-6 * start - 1e-6 <= t <= (start + length) * (1 + 1e-6) for t in found)
