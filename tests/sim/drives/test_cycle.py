"""The drive cycles are the published ones."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise

import pytest

from sim.drives import CYCLES, CycleError, DriveError, cycle_trace, load_cycle


def _distance_km(name: str) -> float:
    times_s, speeds_kph = load_cycle(name)
    steps = zip(pairwise(times_s), pairwise(speeds_kph), strict=True)
    return sum((b - a) * 0.5 * (v + w) / 3600.0 for (a, b), (v, w) in steps)


@pytest.mark.parametrize(
    ("name", "duration_s", "km", "top_kph"),
    [("wltc", 1800.0, 23.27, 131.3), ("us06", 596.0, 12.89, 129.2)],
)
def test_totals(name: str, duration_s: float, km: float, top_kph: float) -> None:
    """Duration, distance and top speed are the published ones."""
    times_s, speeds_kph = load_cycle(name)
    assert times_s[-1] - times_s[0] == duration_s
    assert _distance_km(name) == pytest.approx(km, abs=0.006)
    assert max(speeds_kph) == pytest.approx(top_kph, abs=0.05)


def test_wltc_checksum() -> None:
    """The sum of all WLTC class 3b speeds is the checksum of UN GTR No. 15."""
    _, speeds_kph = load_cycle("wltc")
    assert sum(speeds_kph) == pytest.approx(83_758.6, abs=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "total"),
    [(0, 589, 11_140.3), (590, 1022, 17_121.2), (1023, 1477, 25_782.2), (1478, 1800, 29_714.9)],
)
def test_wltc_phase_checksums(start: int, end: int, total: float) -> None:
    """The four phases (low, medium, high, extra high) have the published checksums."""
    _, speeds_kph = load_cycle("wltc")
    assert sum(speeds_kph[start : end + 1]) == pytest.approx(total, abs=1e-6)


def test_us06_is_in_steps_of_a_tenth_of_a_mile_per_hour() -> None:
    """Every US06 speed is a multiple of 0.1 mph, as published, and the top is 80.3 mph."""
    _, speeds_kph = load_cycle("us06")
    mph = [speed / 1.609344 for speed in speeds_kph]
    assert all(speed == pytest.approx(round(speed, 1), abs=1e-4) for speed in mph)
    assert max(mph) == pytest.approx(80.3, abs=1e-4)


@pytest.mark.parametrize("name", CYCLES)
def test_cycles_are_second_by_second_and_name_their_source(name: str) -> None:
    """A cycle has a row per second, starts and ends at rest, and says where it comes from."""
    times_s, speeds_kph = load_cycle(name)
    assert times_s == tuple(float(second) for second in range(len(times_s)))
    assert speeds_kph[0] == speeds_kph[-1] == 0.0
    text = resources.files("sim.drives").joinpath("cycles", f"{name}.csv").read_text("utf-8")
    assert "# Source: " in text


def test_a_cycle_becomes_a_phase() -> None:
    """A cycle is a trace phase with its own name or the given one."""
    assert cycle_trace("us06").name == "us06"
    assert cycle_trace("us06", "hard driving").name == "hard driving"
    assert cycle_trace("us06").duration_s == 596.0


def test_an_unknown_cycle_is_refused() -> None:
    """The error names what there is and what came."""
    with pytest.raises(CycleError, match="us06, wltc, got 'nedc'") as caught:
        load_cycle("nedc")
    assert isinstance(caught.value, DriveError)
