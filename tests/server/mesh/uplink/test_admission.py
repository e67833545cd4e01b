"""Which signals go out when not all can."""

from __future__ import annotations

from server.catalogue import by_name
from server.mesh.uplink.admission import SPARSE_ROWS, TURN_ROWS, Admission, Level
from server.mesh.uplink.plan import plan_of
from server.wire.codec.profile import Profile

NAMES = ("RPM", "SPEED", "MAF", "LAT", "LON")
PROFILE = Profile.cold(1000, plan_of(dict.fromkeys(NAMES, 1.0), None, 1.0))
FIRST = frozenset({by_name("LAT").id, by_name("LON").id})
ROW: list[int | None] = [4000, 60, 1000, 312000000, 60000000]
RPM, SPEED, MAF, LAT, LON = range(5)


def admission() -> Admission:
    """Give one to which each signal costs ten bits."""
    return Admission(PROFILE, FIRST, [10.0] * 5)


def sent(row: list[int | None]) -> set[int]:
    """Give the places that a row has values at."""
    return {index for index, value in enumerate(row) if value is not None}


def test_all_goes_while_there_is_room() -> None:
    """A signal that never came needs no room."""
    chooser = admission()
    assert chooser.admit(0, [*ROW[:3], None, None], 30.0, Level.ALL) == [*ROW[:3], None, None]
    assert (chooser.level, chooser.shed) == (Level.ALL, 0)


def test_position_goes_first_then_what_changed_most() -> None:
    """Of three signals two have room: the two that are furthest from what the base has."""
    chooser = admission()
    chooser.admit(0, ROW, 1000.0, Level.ALL)
    moved: list[int | None] = [4000 + 8000, 60 + 100, 1000 + 10, 312000001, 60000001]
    admitted = chooser.admit(TURN_ROWS, moved, 40.0, Level.ALL)
    assert sent(admitted) == {RPM, SPEED, LAT, LON}
    assert (chooser.level, chooser.shed) == (Level.RANKED, 1)


def test_what_waits_gets_its_turn() -> None:
    """Nobody is left out for ever, however little it moves beside the others."""
    chooser = admission()
    turns: list[set[int]] = []
    for row in range(TURN_ROWS * 40):
        values = [4000 + row * 300 % 9000, 60 + row % 2, 1000, 312000000 + row, 60000000 + row]
        turns.append(sent(chooser.admit(row, list(values), 30.0, Level.ALL)))
    assert all({LAT, LON} <= turn for turn in turns)
    assert {RPM, SPEED, MAF} == set().union(*turns) - {LAT, LON}
    assert sum(RPM in turn for turn in turns) > sum(MAF in turn for turn in turns)


def test_a_set_stands_for_a_turn() -> None:
    """Changing it costs a decision for each signal; room that comes is taken at the next turn."""
    chooser = admission()
    chooser.admit(0, ROW, 20.0, Level.ALL)
    inside = [chooser.admit(row, ROW, 1000.0, Level.ALL) for row in range(1, TURN_ROWS)]
    assert all(sent(row) == {LAT, LON} for row in inside)
    assert chooser.admit(TURN_ROWS, ROW, 1000.0, Level.ALL) == ROW


def test_without_room_for_the_position_it_goes_in_some_rows() -> None:
    """In each so manieth as the budget has room for, and nothing else."""
    chooser = admission()
    rows = [sent(chooser.admit(row, ROW, 7.0, Level.ALL)) for row in range(20)]
    assert [row for row, places in enumerate(rows) if places] == [0, 5, 10, 15]
    assert all(places in (set(), {LAT, LON}) for places in rows)
    assert chooser.level is Level.SPARSE


def test_with_hardly_any_room_it_still_goes_each_minute() -> None:
    """The last step of thinning is as sparse as it gets."""
    chooser = admission()
    rows = [sent(chooser.admit(row, ROW, 0.001, Level.ALL)) for row in range(180)]
    assert [row for row, places in enumerate(rows) if places] == [0, 60, 120]
    assert SPARSE_ROWS[-1] == 60


def test_without_any_room_nothing_goes_but_alarms() -> None:
    """A row with an alarm has what goes first, at any price."""
    chooser = admission()
    assert sent(chooser.admit(0, ROW, 0.0, Level.ALL)) == set()
    assert chooser.level is Level.SILENT
    assert sent(chooser.admit(1, ROW, 0.0, Level.ALL, has_alarm=True)) == {LAT, LON}


def test_a_cap_holds_at_once_and_whatever_the_room() -> None:
    """It does not wait for the turn to end."""
    chooser = admission()
    assert sent(chooser.admit(0, ROW, 1000.0, Level.ALL)) == {RPM, SPEED, MAF, LAT, LON}
    assert sent(chooser.admit(1, ROW, 1000.0, Level.POSITION)) == {LAT, LON}
    rows = [sent(chooser.admit(row, ROW, 1000.0, Level.SPARSE)) for row in range(2, 42)]
    assert [row + 2 for row, places in enumerate(rows) if places] == [10, 20, 30, 40]


def test_the_unit_of_a_change_is_the_bound_or_a_part_of_the_range() -> None:
    """Forty steps are one unit of a signal that may be off by forty."""
    bounded = Profile.cold(1000, plan_of({"RPM": 1.0, "SPEED": 1.0}, {"RPM": 10.0}, 1.0))
    chooser = Admission(bounded, frozenset(), [10.0, 10.0])
    chooser.admit(0, [4000, 60], 1000.0, Level.ALL)
    assert sent(chooser.admit(TURN_ROWS, [4120, 62], 10.0, Level.ALL)) == {0}
    assert sent(chooser.admit(2 * TURN_ROWS, [4121, 64], 10.0, Level.ALL)) == {1}
