"""From phases to a drive: traces fitted, recordings read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.scenario import Scenario, ScenarioError, build_drive, expand_scenario, recorded_positions
from rig.scenario.drive import fit_trace, phase_trace, trace_from
from sim.vehicle import Accelerate, Cruise, Idle, KeyOff, Trace

TRIANGLE = ((0.0, 10.0, 20.0), (0.0, 100.0, 0.0))


def test_a_trace_is_cut_at_a_duration_between_its_points() -> None:
    """The speed there lies on the line."""
    assert fit_trace(TRIANGLE, 15.0) == ((0.0, 10.0, 15.0), (0.0, 100.0, 50.0))


def test_a_trace_begins_anywhere() -> None:
    """Between two points, at one, and shortly before its end."""
    assert trace_from(TRIANGLE, 5.0) == ((0.0, 5.0, 15.0), (50.0, 100.0, 0.0))
    assert trace_from(TRIANGLE, 10.0) == ((0.0, 10.0), (100.0, 0.0))
    assert trace_from(TRIANGLE, 0.0) == TRIANGLE
    assert trace_from(TRIANGLE, 18.0) == ((0.0, 2.0), (20.0, 0.0))


def test_a_trace_repeats_until_the_duration() -> None:
    """The end of one round is the start of the next."""
    times_s, speeds_kph = fit_trace(TRIANGLE, 45.0)
    assert times_s == (0.0, 10.0, 20.0, 30.0, 40.0, 45.0)
    assert speeds_kph == (0.0, 100.0, 0.0, 100.0, 0.0, 50.0)


@given(st.floats(0.01, 500.0))
def test_a_fitted_trace_is_exactly_as_long_as_asked_and_in_order(duration_s: float) -> None:
    """Instants rise strictly from 0 to the duration; speeds stay in range."""
    times_s, speeds_kph = fit_trace(TRIANGLE, duration_s)
    assert (times_s[0], times_s[-1]) == (0.0, duration_s)
    assert all(a < b for a, b in pairwise(times_s))
    assert len(times_s) == len(speeds_kph)
    assert all(0.0 <= speed <= 100.0 for speed in speeds_kph)


def test_a_trace_of_one_instant_is_refused() -> None:
    """It could never fill a phase."""
    with pytest.raises(ValueError, match="above 0 s"):
        fit_trace(((0.0,), (5.0,)), 10.0)


def test_each_phase_becomes_the_vehicles_phase(load: Callable[..., Scenario]) -> None:
    """Kinds, names, windows and numbers go over."""
    scenario = load(
        head=(
            "rig: 1\nphases:\n  - {idle: 5 s}\n  - {cruise: {speed: 90 km/h, for: 60 s}}\n"
            "  - {accelerate: {to: 100 km/h, for: 20 s, pedal: 50 %}}\n"
            "  - {cycle: us06, for: 30 min}\n  - {off: 10 s}\n"
        )
    )
    drive = build_drive(scenario)
    assert [type(p) for p in drive.phases] == [Idle, Cruise, Accelerate, Trace, KeyOff]
    assert list(drive.windows) == list(scenario.windows)
    assert drive.duration_s == scenario.duration_s == 5 + 60 + 20 + 1800 + 10
    assert phase_trace(scenario.phases[3])[0][-1] == 1800.0


def test_a_recorded_drive_is_found_beside_the_scenario(tmp_path: Path) -> None:
    """Its length is the phase's, and `for` cuts it."""
    rows = "".join(f"{second},{second * 2}\n" for second in range(61))
    (tmp_path / "mine.csv").write_text("time_s,speed_kph\n" + rows, encoding="utf-8")
    path = tmp_path / "rec.scenario.yaml"
    path.write_text(
        "rig: 1\nphases: [{drive: mine.csv}, {drive: mine.csv, as: part, for: 30.5 s}]\n"
        "limits: {readings.lost: {equals: 0}}\n",
        encoding="utf-8",
    )
    (scenario,) = expand_scenario(path)
    assert [(p.name, p.duration_s) for p in scenario.phases] == [("mine", 60.0), ("part", 30.5)]
    assert phase_trace(scenario.phases[1])[1][-1] == pytest.approx(61.0)
    assert recorded_positions(scenario) is None


@pytest.mark.parametrize(
    ("text", "phase", "words"),
    [
        (None, "{drive: mine.csv}", "a recorded drive that can be read"),
        ("nonsense\n", "{drive: mine.csv}", "a recorded drive that can be read"),
        ("time_s,speed_kph\n0,1\n10,2\n", "{drive: mine.csv, for: 11 s}", "at most 10 s"),
    ],
)
def test_a_recorded_drive_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str | None, phase: str, words: str
) -> None:
    """Absent, unreadable, or shorter than asked: the scenario's line is named."""
    if text is not None:
        (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    path = tmp_path / "rec.scenario.yaml"
    path.write_text(f"rig: 1\nphases:\n  - {phase}\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=words) as caught:
        expand_scenario(path)
    assert caught.value.line == 3


def test_a_recorded_drive_whose_positions_jump_is_refused(tmp_path: Path) -> None:
    """The message names the file, the line and the position; a course of one's own helps."""
    rows = ["0,50.0,7.0,5", "1,50.0001,7.0,5", "2,51.0,7.0,5", "3,50.0002,7.0,5"]
    (tmp_path / "mine.csv").write_text(
        "time_s,lat,lon,speed_kph\n" + "\n".join(rows) + "\n", encoding="utf-8"
    )
    path = tmp_path / "rec.scenario.yaml"
    text = "rig: 1\nphases:\n  - {drive: mine.csv}\nlimits: {readings.lost: {equals: 0}}\n"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"yaml:3: expected .* course.* before position 3"):
        expand_scenario(path)
    path.write_text(text + "world: {route: highway}\n", encoding="utf-8")
    expand_scenario(path)
