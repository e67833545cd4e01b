"""Formulas of waiting, against values that others have published, and against each other."""

from __future__ import annotations

import pytest

from sim.capacity.queueing import commit_wait_s, erlang_c, group_rows, percentile_s, wait_s


@pytest.mark.parametrize(
    ("servers", "load", "expected"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (10, 8.0, 0.409), (5, 4.0, 0.554)],
)
def test_erlang_c_is_that_of_the_tables(servers: int, load: float, expected: float) -> None:
    """Shares that wait as tables of Erlang's C have them; one server waits by its load."""
    assert erlang_c(servers, load) == pytest.approx(expected, abs=0.001)


def test_one_server_waits_as_the_textbook_says() -> None:
    """M/M/1: load / (1 - load) services; always the same service: half of that."""
    assert wait_s(0.8, 1.0) == pytest.approx(4.0)
    assert wait_s(0.8, 1.0, variation=0.0) == pytest.approx(2.0)
    # The wait of M/M/1 is exponential for those that wait.
    assert percentile_s(0.99, 0.8, 1.0) == pytest.approx(5 * 4.382, rel=1e-3)
    assert percentile_s(0.1, 0.8, 1.0) == 0.0


def test_a_group_balances_with_the_time_that_it_takes() -> None:
    """A commit lasts as long as its rows take to gather; alone, a row waits for nobody."""
    rows = group_rows(2000, 0.002, 0.0001)
    assert rows == pytest.approx(5.0)
    assert rows / 2000 == pytest.approx(0.002 + rows * 0.0001)
    assert group_rows(1, 0.002, 0.0001) == 1.0
    assert commit_wait_s(2000, 0.002, 0.0001) == pytest.approx(1.5 * 0.0025)
    assert commit_wait_s(0.001, 0.002, 0.0001) == pytest.approx(0.0021, rel=0.01)


def test_more_than_can_be_done_is_refused() -> None:
    """Without a balance there is no wait to name."""
    with pytest.raises(ValueError, match="servers"):
        wait_s(2.0, 1.0)
    with pytest.raises(ValueError, match="rows a second"):
        group_rows(20_000, 0.001, 0.0001)
