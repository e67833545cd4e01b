"""Errors of the bus, in words."""

from __future__ import annotations

from collections import Counter

import pytest

from server.can.frame import ERROR, CanFrame
from server.can.health import QUIET_S, BusHealth


def error(kind: int, detail: int = 0) -> CanFrame:
    """An error frame as SocketCAN has it."""
    return CanFrame(ERROR | kind, bytes((0, detail, 0, 0, 0, 0, 0, 0)))


@pytest.mark.parametrize(
    ("frame", "words", "counter"),
    [
        (error(0x04, 0x0C), "error warning", "error_frames"),
        (error(0x04, 0x20), "error passive", "error_passive"),
        (error(0x04, 0x01), "loses frames", "overflows"),
        (CanFrame(ERROR | 0x04, b""), "controller problems", "error_frames"),
        (error(0x40), "bus-off", "bus_off"),
        (error(0x20), "nobody acknowledges", "no_acknowledgements"),
        (error(0x88), "errors on the bus", "bus_errors"),
    ],
)
def test_classes_have_words_and_counts(frame: CanFrame, words: str, counter: str) -> None:
    """Each class says what it means."""
    counts: Counter[str] = Counter()
    health = BusHealth(counts)
    health.take(frame, 10.0)
    assert words in health.reason(10.0, 9.0)
    assert counts[counter] == 1


def test_the_worst_is_told() -> None:
    """A bus error does not hide bus-off, and a second one of the same is not counted."""
    counts: Counter[str] = Counter()
    health = BusHealth(counts)
    for frame in (error(0x40), error(0x80), error(0x40)):
        health.take(frame, 10.0)
    assert "bus-off" in health.reason(10.0, 11.0)
    assert (counts["bus_off"], counts["error_frames"]) == (1, 3)


@pytest.mark.parametrize("end", [error(0x100), error(0x04, 0x40)])
def test_the_interface_says_that_it_is_over(end: CanFrame) -> None:
    """A restart, or the state active, ends it."""
    health = BusHealth(Counter())
    health.take(error(0x40), 10.0)
    health.take(end, 10.1)
    assert health.reason(10.1, 9.0) == ""


def test_frames_and_silence_about_errors_end_it() -> None:
    """Not all interfaces say when it is over: frames without errors do."""
    health = BusHealth(Counter())
    health.take(error(0x04, 0x30), 10.0)
    later = 10.0 + QUIET_S + 0.1
    assert health.reason(later, 9.0)  # no frame since
    assert health.reason(10.5, 10.4)  # not for long
    assert health.reason(later, 10.4) == ""
