"""Phases: every kind, their names, their mistakes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig.scenario import Scenario, ScenarioError

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]


def head(*phases: str) -> str:
    """The beginning of a file with these phases."""
    return "rig: 1\nphases:\n" + "".join(f"  - {phase}\n" for phase in phases)


def test_every_kind_is_read(load: Load) -> None:
    """Speeds arrive in km/h, durations in seconds, names as given or by kind."""
    phases = load(
        head=head(
            "{idle: 30 s}",
            "{idle: {for: 1 min}, as: waiting}",
            "{cruise: {speed: 20 m/s, for: 5 min}}",
            "{accelerate: {to: 60 mph, for: 20 s, pedal: 40 %}, as: launch}",
            "{cycle: us06, as: hard-driving}",
            "{cycle: us06, as: part, for: 100 s}",
            "{cycle: us06, as: piece, from: 96 s}",
            "{off: 10 s}",
        )
    ).phases
    assert [phase.name for phase in phases] == [
        "idle",
        "waiting",
        "cruise",
        "launch",
        "hard-driving",
        "part",
        "piece",
        "off",
    ]
    assert [phase.duration_s for phase in phases] == [30, 60, 300, 20, 596, 100, 500, 10]
    assert phases[2].speed_kph == pytest.approx(72.0)
    assert phases[3].to_kph == pytest.approx(96.56064)
    assert (phases[3].pedal_pct, phases[4].cycle) == (40.0, "us06")
    assert [phase.from_s for phase in phases[4:7]] == [0.0, 0.0, 96.0]


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("{idel: 30 s}", "did you mean 'idle'?"),
        ("{as: x}", "one of idle, cruise"),
        ("{idle: 30 s, cruise: {speed: 1 m/s, for: 1 s}}", "found idle and cruise"),
        ("{idle: 0 s}", "more than 0 s"),
        ("{idle: -3 s}", "more than 0 s"),
        ("{idle: 9 h, for: 3 s}", "only beside"),
        ("{idle: 900 h}", "at most 604800 s"),
        ("{idle: }", "a duration"),
        ("{idle: 30 s, as: two words}", "a phase name"),
        ("{idle: 30 s, as: lead-in}", "a phase name of your own"),
        ("{cruise: 110 km/h}", "'cruise'"),
        ("{cruise: {speed: 110 km/h}}", "`for: 5 min`"),
        ("{cruise: {for: 5 min}}", "`speed: 110 km/h`"),
        ("{cruise: {speed: 110, for: 5 min}}", "km/h, mph, m/s"),
        ("{cruise: {speed: 1100 km/h, for: 5 min}}", "at most 400 km/h"),
        ("{accelerate: {to: 1 m/s, for: 1 s, pedal: 120 %}}", "at most 100 %"),
        ("{cycle: us05}", "did you mean 'us06'?"),
        ("{cycle: [us06]}", "a drive cycle"),
        ("{cycle: us06, from: 10 min}", "a start within us06, below 596 s"),
        ("{idle: 30 s, from: 3 s}", "'from' only beside `cycle:`"),
        ("idle", "a phase"),
    ],
)
def test_a_wrong_phase_is_refused(refuse: Refuse, phase: str, words: str) -> None:
    """The message is about that phase, on its line."""
    error = refuse(head=head(phase))
    assert error.line == 3
    assert words in str(error)


def test_two_phases_of_one_name_are_refused(refuse: Refuse) -> None:
    """A limit could not tell them apart; `as:` helps."""
    error = refuse(head=head("{idle: 1 s}", "{off: 1 s}", "{idle: 2 s}"))
    assert error.line == 5
    assert "first on line 3" in error.found
    assert "`as:`" in error.hint


def test_no_phase_is_refused(refuse: Refuse) -> None:
    """A drive needs one."""
    assert "at least one phase" in str(refuse(head="rig: 1\nphases: []\n"))
