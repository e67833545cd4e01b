"""Lines keep the extremes, the ends and the gaps, with about as many points as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.runs.columns import NO_STATES, Column, column_of
from reports.runs.lines import extremes, line_of, usual_gap_ns

S = 1_000_000_000
ALL = (-(2**62), 2**62)


def column(values: list[float], step_ns: int = S // 10) -> Column:
    times_ns = np.arange(len(values), dtype=np.int64) * step_ns
    return Column(times_ns, np.array(values, dtype=np.float64), NO_STATES)


def drawn(one: Column, start_ns: int = ALL[0], end_ns: int = ALL[1], points: int = 100) -> object:
    return line_of(one, start_ns, end_ns, points, signal="x", unit="", layer=None)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=600), st.integers(2, 60))
def test_extremes_and_ends_are_kept(values: list[float], points: int) -> None:
    """Smallest, largest, first and last stay; order stays; a number that is none stays one."""
    one = column(values)
    kept = extremes(one, 0, len(values), points)
    assert len(kept) <= max(points, 4) * 3 // 2 + 4
    assert np.all(np.diff(kept) > 0)
    if values:
        assert {0, len(values) - 1} <= set(kept.tolist())
        numbers = [v for v in values if v == v]
        if numbers:
            chosen = one.value[kept]
            assert np.nanmin(chosen) == min(numbers)
            assert np.nanmax(chosen) == max(numbers)
        assert (len(numbers) < len(values)) == bool(np.isnan(one.value[kept]).any())


def test_a_spike_is_drawn_and_what_is_drawn_was_measured() -> None:
    """One odd value among a million is there, with its instant, in 200 points."""
    values = np.sin(np.arange(1_000_000) / 5000)
    values[543_210] = 9.0
    one = Column(np.arange(1_000_000, dtype=np.int64) * 1000, values, NO_STATES)
    line = drawn(one, points=200)
    assert len(line.values) <= 300  # type: ignore[attr-defined]
    assert line.times_ns[line.values.index(9.0)] == 543_210_000  # type: ignore[attr-defined]
    assert (line.count, line.raw) == (1_000_000, False)  # type: ignore[attr-defined]


def test_a_moving_window_draws_the_same_points() -> None:
    """While a window moves, the points inside stay what they were: nothing flickers."""
    one = column(list(np.random.default_rng(1).normal(size=5000)))
    first = drawn(one, 100 * S, 300 * S)
    second = drawn(one, 100 * S + 7 * S // 10, 300 * S + 7 * S // 10)
    inside = {
        name: {t for t in line.times_ns if 110 * S < t < 290 * S}  # type: ignore[attr-defined]
        for name, line in (("first", first), ("second", second))
    }
    assert inside["first"] == inside["second"]


def test_one_reading_beyond_each_end_lets_the_line_leave_the_window() -> None:
    """The line goes on to the window's edge."""
    line = drawn(column([float(n) for n in range(100)]), 2 * S, 3 * S)
    assert (line.times_ns[0], line.times_ns[-1]) == (19 * S // 10, 31 * S // 10)  # type: ignore[attr-defined]
    assert (line.count, line.raw) == (11, True)  # type: ignore[attr-defined]


def test_gaps_are_told_and_no_number_is_null() -> None:
    """Where readings stop for longer than usual no line may be drawn; NaN is null in JSON."""
    times = np.array([0, 1, 2, 3, 40, 41, 42], dtype=np.int64) * S
    values = np.array([1.0, 2.0, np.nan, np.inf, 5.0, 6.0, 7.0])
    line = drawn(Column(times, values, np.array([0, 0, 3, 0, 0, 0, 0], dtype=np.uint8)))
    assert line.gaps_ns == [(3 * S, 40 * S)]  # type: ignore[attr-defined]
    assert line.values == [1.0, 2.0, None, None, 5.0, 6.0, 7.0]  # type: ignore[attr-defined]
    assert line.states == [0, 0, 3, 0, 0, 0, 0]  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [0, 1, 2, 513, 5000])
def test_what_is_usual_is_told_by_a_few_intervals(count: int) -> None:
    """Five times the usual interval, two seconds at least."""
    assert usual_gap_ns(column([0.0] * count, 2 * S)) == (10 * S if count > 1 else 2 * S)
    assert usual_gap_ns(column([0.0] * count, S // 100)) == 2 * S


def test_a_clock_that_jumps_back_gives_a_column_in_order() -> None:
    """Readings are sorted by their own instants, each with its value and its state."""
    found = column_of(
        np.array([5, 3, 4], dtype=np.int64),
        np.array([50.0, 30.0, 40.0]),
        np.array([0, 2, 1], np.uint8),
    )
    assert found.time_ns.tolist() == [3, 4, 5]
    assert found.value.tolist() == [30.0, 40.0, 50.0]
    assert found.state.tolist() == [2, 1, 0]
