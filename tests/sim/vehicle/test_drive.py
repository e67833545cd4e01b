"""Phases and drives refuse what cannot be driven."""

from __future__ import annotations

import math

import pytest

from sim.vehicle import Accelerate, Cruise, Drive, Idle, KeyOff, Trace


def test_windows_name_every_phase() -> None:
    """The windows follow each other without a gap."""
    drive = Drive(
        [Idle("a", 10.0), Trace("b", (5.0, 7.0, 25.0), (0.0, 1.0, 2.0)), KeyOff("c", 5.0)]
    )
    assert drive.windows == [("a", 0.0, 10.0), ("b", 10.0, 30.0), ("c", 30.0, 35.0)]
    assert drive.duration_s == 35.0


def test_an_empty_drive_is_refused() -> None:
    """A drive needs a phase."""
    with pytest.raises(ValueError, match="at least one phase"):
        Drive([])


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf])
def test_a_duration_must_be_positive(duration_s: float) -> None:
    """Every phase lasts a definite time."""
    with pytest.raises(ValueError, match=r"'stand'.*above 0 s"):
        Idle("stand", duration_s)


@pytest.mark.parametrize("speed_kph", [-1.0, 401.0, math.nan])
def test_a_speed_must_be_a_cars(speed_kph: float) -> None:
    """Speeds are km/h of a car."""
    with pytest.raises(ValueError, match="0 to 400 km/h"):
        Cruise("go", 10.0, speed_kph)


@pytest.mark.parametrize("pedal_pct", [0.0, 101.0, math.nan])
def test_a_pedal_is_a_percentage(pedal_pct: float) -> None:
    """The pedal is above 0 and at most 100 %."""
    with pytest.raises(ValueError, match="pedal"):
        Accelerate("go", 10.0, 100.0, pedal_pct)


@pytest.mark.parametrize(
    ("times_s", "speeds_kph", "words"),
    [
        ((0.0, 1.0), (0.0,), "as many times as speeds"),
        ((0.0,), (0.0,), "at least 2 points"),
        ((0.0, 1.0, 1.0), (0.0, 1.0, 2.0), "rising times"),
        ((0.0, math.nan), (0.0, 1.0), "rising times"),
        ((0.0, 1.0), (0.0, -2.0), "0 to 400 km/h"),
    ],
)
def test_a_trace_must_be_one(
    times_s: tuple[float, ...], speeds_kph: tuple[float, ...], words: str
) -> None:
    """A trace needs rising times and a speed for each."""
    with pytest.raises(ValueError, match=words):
        Trace("trace", times_s, speeds_kph)
