"""From power-up to a position: nothing, time, date, position."""

from __future__ import annotations

from sim.gnss.acquisition import Acquisition, Stage


def _stages(acquisition: Acquisition, sky: list[bool]) -> list[int]:
    return [int(acquisition.advance(1.0, seen)) for seen in sky]


def test_cold_start_passes_every_stage_in_order() -> None:
    """With 10 s to the first fix time comes at 4 s, date at 7 s, position at 10 s."""
    stages = _stages(Acquisition(10.0, 1.0), [True] * 10)
    assert stages == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_hot_start_has_a_position_at_once() -> None:
    """No time to first fix: the first epoch is a fix."""
    assert Acquisition(0.0, 1.0).advance(1.0, True) == Stage.POSITION


def test_cold_start_does_not_advance_without_sky() -> None:
    """A receiver that is switched on in a garage starts to search outside."""
    stages = _stages(Acquisition(4.0, 1.0), [False] * 100 + [True] * 4)
    assert stages[99] == Stage.NOTHING
    assert stages[102] < Stage.POSITION
    assert stages[103] == Stage.POSITION


def test_a_gap_keeps_time_and_date_and_ends_with_a_short_search() -> None:
    """In a tunnel the clock runs on; after 40 s of it the position is back within 3 s."""
    acquisition = Acquisition(0.0, 1.0)
    acquisition.advance(1.0, True)
    stages = _stages(acquisition, [False] * 40 + [True] * 5)
    assert stages[:40] == [Stage.DATE] * 40
    assert stages[40:] == [2, 2, 3, 3, 3]


def test_long_gaps_cost_no_more_than_five_seconds() -> None:
    """Reacquisition is bounded: the ephemeris is still there."""
    acquisition = Acquisition(0.0, 1.0)
    assert _stages(acquisition, [False] * 1000 + [True] * 5)[-1] == Stage.POSITION


def test_gaps_do_not_add_up() -> None:
    """After a fix the next gap counts from zero."""
    acquisition = Acquisition(0.0, 1.0)
    _stages(acquisition, [False] * 60 + [True] * 5)
    assert _stages(acquisition, [False, True, True])[-1] == Stage.POSITION
