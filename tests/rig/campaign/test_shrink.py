"""Shrinking: what has nothing to do with the failure goes, what it needs stays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest

from rig.campaign.conduct import _settled
from rig.campaign.document import Document, drive_s, kind_of, scenario_of, seconds, span_s
from rig.campaign.draw import draw
from rig.campaign.shrink import Shrinking, shrink
from rig.campaign.task import Outcome

from .conftest import PASSED, broken

KEY = "readings.lost"
Fails = Callable[[Document], bool]


def shrunk(document: Document, fails: Fails, **more: object) -> Shrinking:
    """Shrink with a gateway that is a function."""

    def drive(candidate: Document) -> Future[Outcome]:
        scenario_of(candidate)  # each step is a scenario
        future: Future[Outcome] = Future()
        future.set_result(broken(KEY) if fails(candidate) else PASSED)
        return future

    return shrink(document, KEY, drive, _settled, **more)


def found(kind: str) -> Document:
    """A drawn run with a fault of this kind on OBD, and with others."""
    for number in range(1, 400):
        document = draw(5, number)
        faults = [(kind_of(fault), fault["on"]) for fault in document["faults"]]
        if (kind, "obd") in faults and len(document["needs"]) > 1:
            return document
    raise AssertionError(f"no {kind} in 400 runs")


def strikes(document: Document, kind: str) -> list[Document]:
    return [fault for fault in document["faults"] if kind_of(fault) == kind]


@pytest.mark.parametrize("kind", ["hang_up", "garbage"])
def test_only_the_fault_that_matters_stays(kind: str) -> None:
    """One fault is left, on one link, as short and as weak as it goes, soon after the start."""
    smallest = shrunk(found(kind), lambda document: bool(strikes(document, kind)))
    document = smallest.document
    assert smallest.finished
    assert [kind_of(fault) for fault in document["faults"]] == [kind]
    assert document["needs"] == ["obd"]
    assert not document["gateway"]
    assert len(document["phases"]) <= 2
    start_s, end_s = span_s(document["faults"][0])
    assert start_s <= 4.5
    assert end_s - start_s <= 1.0
    assert drive_s(document) < 30
    assert smallest.passing


def test_what_the_failure_needs_stays() -> None:
    """A failure that takes 3 s of noise at 200 B/s keeps these: a smaller one would pass."""

    def fails(document: Document) -> bool:
        for fault in strikes(document, "garbage"):
            start_s, end_s = span_s(fault)
            rate = float(fault["garbage"]["rate"].split()[0])
            if end_s - start_s >= 3 and rate >= 200:
                return True
        return False

    number = next(n for n in range(1, 2000) if fails(draw(6, n)))
    document = shrunk(draw(6, number), fails).document
    assert fails(document)
    (fault,) = document["faults"]
    assert seconds(fault["for"]) < 6.5
    assert float(fault["garbage"]["rate"].split()[0]) < 410


def test_a_failure_without_any_fault_keeps_none() -> None:
    """A gateway that is simply wrong needs no fault, and hardly a drive."""
    document = shrunk(found("hang_up"), lambda document: True).document
    assert document["faults"] == []
    assert drive_s(document) <= 10
    assert len(document["needs"]) == 1


def test_the_result_does_not_depend_on_the_number_of_cores() -> None:
    """Of a batch the first candidate in order counts, whatever the others do."""
    one, four = (
        shrunk(found("hang_up"), lambda document: bool(strikes(document, "hang_up")), width=width)
        for width in (1, 4)
    )
    assert one.document == four.document


def test_it_ends_when_it_is_told() -> None:
    """A budget that is used up ends it with what it has so far."""
    smallest = shrunk(found("hang_up"), lambda document: True, most_steps=3)
    assert not smallest.finished
    assert smallest.steps == 3
    stopped = shrunk(found("hang_up"), lambda document: True, stopped=lambda: True)
    assert (stopped.finished, stopped.steps) == (False, 0)
