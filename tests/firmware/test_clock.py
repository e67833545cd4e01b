"""UTC and the grid."""

from __future__ import annotations

import random

from firmware_stubs.clock import GNSS_DELAY_MS, STEP_MS, Clock, Grid
from server.wire.messages import GATEWAY, GNSS
from tests.firmware.fake_board import EPOCH_MS


def fixes(
    clock: Clock, seconds: range, error_ms: int = 0, chance: random.Random | None = None
) -> None:
    """Feed one fix a second; ticks are milliseconds since the epoch."""
    for second in seconds:
        late = chance.randrange(90) if chance else 0
        clock.from_gnss(EPOCH_MS + second * 1000 + error_ms, second * 1000 + GNSS_DELAY_MS + late)


def test_one_fix_is_not_believed_and_two_that_agree_are() -> None:
    """A first instant may be a start value of the receiver."""
    clock = Clock()
    assert not clock.from_gnss(EPOCH_MS, GNSS_DELAY_MS)
    assert clock.utc_ms(0) == 0
    assert clock.from_gnss(EPOCH_MS + 1000, 1000 + GNSS_DELAY_MS)
    assert clock.source == GNSS
    assert clock.utc_ms(5000) == EPOCH_MS + 5000


def test_fixes_that_arrive_late_do_not_move_the_clock() -> None:
    """The fastest of the last arrivals counts."""
    clock = Clock()
    fixes(clock, range(60), chance=random.Random(3))
    assert 0 <= EPOCH_MS + 60_000 - clock.utc_ms(60_000) <= 15


def test_a_single_wild_instant_is_ignored_and_a_lasting_one_is_a_step() -> None:
    """One wrong second changes nothing, three that agree do."""
    clock = Clock()
    fixes(clock, range(10))
    fixes(clock, range(10, 11), error_ms=7000)
    fixes(clock, range(11, 20))
    assert clock.utc_ms(0) == EPOCH_MS
    fixes(clock, range(20, 23), error_ms=7000)
    assert clock.utc_ms(0) == EPOCH_MS + 7000


def test_instants_before_the_firmware_was_written_are_refused() -> None:
    """A receiver that starts in 1980 or 2006 sets no clock."""
    clock = Clock()
    for second in range(5):
        assert not clock.from_gnss(315964800000 + second * 1000, second * 1000)
        assert not clock.from_gateway(1000, 0, 10)
    assert clock.source == 0


def test_the_gateways_time_is_taken_while_the_receiver_is_silent() -> None:
    """Half the round trip is added; a slow answer is not used; GNSS wins for a minute."""
    clock = Clock()
    assert not clock.from_gateway(EPOCH_MS, 0, 5000)
    assert clock.from_gateway(EPOCH_MS + 20, 0, 40)
    assert clock.source == GATEWAY
    assert clock.utc_ms(40) == EPOCH_MS + 40
    assert not clock.from_gateway(EPOCH_MS + 1030, 1000, 1060)
    fixes(clock, range(2, 5))
    assert clock.source == GNSS
    assert not clock.from_gateway(EPOCH_MS + 9999, 5000, 5010)
    assert clock.from_gateway(EPOCH_MS + 70_500, 70_000, 70_010)
    assert clock.source == GATEWAY


def grid_at(clock: Clock, now_ms: int, modulus: int = 10) -> Grid:
    """Give a grid that has taken its step."""
    grid = Grid(100, modulus, 37)
    while grid.due_ms <= now_ms:
        grid.advance(clock)
    assert grid.needs_step(clock)
    grid.step(clock, now_ms)
    return grid


def test_after_the_step_rows_stand_on_utc_with_numbers_that_agree() -> None:
    """Whole seconds fall on rows that are multiples of ten; no row comes before its time."""
    clock = Clock()
    fixes(clock, range(2))
    grid = grid_at(clock, 1234)
    assert grid.row >= 12
    for _ in range(30):
        utc_ms = clock.utc_ms(grid.due_ms)
        assert utc_ms % 100 == 0
        assert (grid.row % 10 == 0) == (utc_ms % 1000 == 0)
        assert grid.row_of(utc_ms) == grid.row
        grid.advance(clock)
    assert grid.row_of(EPOCH_MS + 5050) == -1


def test_a_small_error_is_worked_off_row_by_row_and_the_base_stays() -> None:
    """80 ms are gone after 80 rows, without a step."""
    clock = Clock()
    fixes(clock, range(2))
    grid = grid_at(clock, 1100)
    base = (grid.base_row, grid.base_utc_ms)
    clock.offset_ms += 80
    assert not grid.needs_step(clock)
    for _ in range(80):
        grid.advance(clock)
    assert grid.error_ms(clock) == 0
    assert (grid.base_row, grid.base_utc_ms) == base
    clock.offset_ms -= STEP_MS + 1
    assert grid.needs_step(clock)


def test_rows_before_the_step_get_their_instants_afterwards() -> None:
    """The last row's instant by the new knowledge is the base of all before."""
    clock = Clock()
    grid = Grid(100, 10, 37)
    for _ in range(5):
        grid.advance(clock)
    fixes(clock, range(2))
    assert grid.instant_of_last(clock) == (4, EPOCH_MS + 437)


def test_rows_that_passed_unseen_are_left_out_and_counted() -> None:
    """A board that slept goes on at the next row to come."""
    grid = Grid(100, 10, 0)
    assert grid.skip_to(950) == 10
    assert (grid.row, grid.due_ms) == (10, 1000)
    assert grid.skip_to(950) == 0
