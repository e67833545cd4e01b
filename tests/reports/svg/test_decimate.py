from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reports.svg.decimate import decimate, gap_of, split_at_gaps


def test_a_spike_survives():
    """One odd value among a hundred thousand can still be seen."""
    times = np.arange(100_000) * 0.01
    values = np.zeros(100_000)
    values[54_321] = 7.0
    ts, vs = decimate(times, values, 0.0, 1000.0, columns=100)
    assert len(ts) <= 200
    assert vs.max() == 7.0
    assert ts[vs.argmax()] == times[54_321]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.integers(1, 20))
def test_extremes_and_order_are_kept(values, columns):
    """Smallest and largest stay, times stay in order, and there are at most two a column."""
    times = np.linspace(0, 10, len(values))
    ts, vs = decimate(times, np.array(values), 0.0, 10.0, columns)
    assert (vs.min(), vs.max()) == (min(values), max(values))
    assert np.all(np.diff(ts) >= 0)
    assert len(ts) <= max(2 * columns + 2, 2)


def test_a_line_is_cut_where_values_stop():
    """A gap of five times the usual interval, and a value that is no number, cut the line."""
    times = np.array([0, 1, 2, 3, 20, 21, 22, 23, 24], dtype=float)
    values = np.array([1, 1, 1, 1, 1, 1, np.nan, 1, 1], dtype=float)
    pieces = split_at_gaps(times, values, gap_of(times))
    assert [piece[0].tolist() for piece in pieces] == [[0, 1, 2, 3], [20, 21, 23, 24]]
    assert split_at_gaps(times[:0], values[:0], 2.0) == []
