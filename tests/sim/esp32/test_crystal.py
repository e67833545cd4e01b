"""The crystal: its error, its drift, and the way back from ticks to true time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.esp32.crystal import Crystal


def test_an_error_in_ppm_adds_up() -> None:
    """10 ppm are 36 ms in an hour."""
    assert Crystal(10.0).local_s(3600.0) == pytest.approx(3600.036, abs=1e-9)


def test_a_drift_changes_the_rate_slowly() -> None:
    """1 ppm an hour has made half a ppm on average after one."""
    assert Crystal(0.0, 1.0).local_s(3600.0) - 3600.0 == pytest.approx(1.8e-3, rel=1e-6)


@given(st.floats(-100, 100), st.floats(-50, 50), st.integers(1, 100_000_000))
def test_a_tick_that_was_waited_for_has_come(ppm: float, drift: float, tick: int) -> None:
    """At the instant that is given, and not 1 us before: no poll comes a tick too early."""
    crystal = Crystal(ppm, drift)
    true_s = crystal.true_s(tick / 1000.0, tick / 1000.0)
    assert int(crystal.local_s(true_s) * 1000.0) == tick
    assert crystal.local_s(true_s - 1e-6) * 1000.0 < tick


def test_a_crystal_that_nobody_sells_is_refused() -> None:
    """A unit mistaken for another one."""
    with pytest.raises(ValueError, match="within 1000 ppm"):
        Crystal(0.5e6)


def test_whatever_goes_wrong_a_tick_that_was_waited_for_has_come() -> None:
    """Drift, jump and lost ticks at once: the inverse is the first instant, also across them."""
    crystal = Crystal(error_ppm=7.0, drift_ppm_per_h=1.0)
    end = crystal.drift(5.0, 800.0)
    crystal.jump(20.0, 3.0)
    crystal.jump(40.0, -2.0)
    end(60.0)
    for true_s in (1.0, 19.9, 20.1, 39.0, 41.0, 43.9, 45.0, 59.0, 80.0):
        local_s = crystal.local_s(true_s)
        for near_s in (0.0, true_s, 100.0):
            found_s = crystal.true_s(local_s, near_s)
            assert crystal.local_s(found_s) >= local_s
            assert abs(found_s - true_s) < 1e-5
    grid = [crystal.local_s(n / 10.0) for n in range(1000)]
    assert grid == sorted(grid)
