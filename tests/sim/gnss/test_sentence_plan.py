"""Sentences come in the chip's order, each at its own interval."""

from __future__ import annotations

import pytest

from sim.gnss.errors import GnssError
from sim.gnss.profiles import MT3339, UBLOX_M8
from sim.gnss.sentence_plan import SentencePlan


def test_gsv_each_fifth_epoch() -> None:
    """An MT3339 sends GSV with epochs 0, 5, 10, in its place."""
    plan = SentencePlan(MT3339, None)
    assert plan.due(0) == ("GGA", "GSA", "GSV", "RMC", "ZDA")
    assert [count for count in range(12) if "GSV" in plan.due(count)] == [0, 5, 10]


def test_restriction_keeps_the_order_of_the_chip() -> None:
    """Names are given in any order; what is off by default can be asked for."""
    assert SentencePlan(MT3339, ("VTG", "RMC", "GGA")).due(3) == ("GGA", "RMC", "VTG")


def test_commands_change_the_plan_and_reset_restores_it() -> None:
    """Odd intervals hold for any count, far beyond the number of plans kept."""
    plan = SentencePlan(UBLOX_M8, None)
    factory = plan.due(0)
    assert plan.set_every("GSV", 7)
    assert plan.set_every("GLL", 251)
    for count in range(2000):
        assert ("GSV" in plan.due(count)) is (count % 7 == 0)
        assert ("GLL" in plan.due(count)) is (count % 251 == 0)
    assert len(plan._kept) <= 64
    plan.reset()
    assert plan.due(1) == factory


def test_everything_off() -> None:
    """A chip told to be silent is silent."""
    plan = SentencePlan(MT3339, ("RMC",))
    plan.set_every("RMC", 0)
    assert plan.due(0) == ()


@pytest.mark.parametrize("names", [("RMC", "GNS"), ("GBS",), ()])
def test_unknown_sentences_are_refused(names: tuple[str, ...]) -> None:
    """The message lists what the chip can send."""
    with pytest.raises(GnssError, match=r"mt3339: expected some of GGA, GSA, GSV.* got "):
        SentencePlan(MT3339, names)


def test_a_command_for_an_unknown_sentence_is_told_no() -> None:
    """`set_every` says False and changes nothing."""
    plan = SentencePlan(MT3339, None)
    before = plan.due(0)
    assert not plan.set_every("GBS", 1)
    assert plan.due(0) == before
