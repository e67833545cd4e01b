"""The limits of a file: names, bounds, windows, units."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig.judge.limits import Limit
from rig.scenario import Scenario, ScenarioError

Load = Callable[..., Scenario]
Refuse = Callable[..., ScenarioError]


def section(limit: str) -> str:
    """A `limits:` section with one limit; it stands on line 6."""
    return f"limits:\n  {limit}\n"


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        (
            "obd.latency.p95: {max: 0.06 s, warn: 50 ms}",
            [Limit("obd.latency.p95", "ms", max=60.0, warn=50.0, line=6)],
        ),
        ("obd.rate: {min: 300/min}", [Limit("obd.rate", "/s", min=5.0, line=6)]),
        ("readings.lost: {equals: 0}", [Limit("readings.lost", "", equals=0.0, line=6)]),
        (
            "gps.outage.max: {min: 45 s, max: 1 min}",
            [Limit("gps.outage.max", "s", min=45.0, max=60.0, line=6)],
        ),
        (
            "obd.rate: {min: 4 Hz, phase: cruise, except: faults}",
            [Limit("obd.rate", "/s", min=4.0, phase="cruise", except_faults=True, line=6)],
        ),
        (
            "obd.coverage: {min: 98 %, phase: [idle, cruise]}",
            [Limit("obd.coverage", "%", min=98.0, phase=p, line=6) for p in ("idle", "cruise")],
        ),
        (
            "obd.rate: [{min: 4/s}, {max: 9/s, mode: virtual}]",
            [
                Limit("obd.rate", "/s", min=4.0, line=6),
                Limit("obd.rate", "/s", max=9.0, mode="virtual", line=6),
            ],
        ),
        (
            "gateway.rss: {max: 70000 kB, mode: paced}",
            [Limit("gateway.rss", "MB", max=70.0, mode="paced", line=6)],
        ),
        ("rig.ratio: {min: 50}", [Limit("rig.ratio", "x", min=50.0, line=6)]),
        ("obd.fidelity.max: {max: 1 step}", [Limit("obd.fidelity.max", "step", max=1.0, line=6)]),
        ("gps.counter.bad: {max: 3}", [Limit("gps.counter.bad", "", max=3.0, line=6)]),
    ],
)
def test_a_limit_is_read_in_the_unit_of_its_measure(
    load: Load, text: str, limits: list[Limit]
) -> None:
    """Bounds convert; lists of bounds and of phases give one limit each."""
    found = load(limits=section(text)).limits
    assert [_rounded(limit) for limit in found] == [_rounded(limit) for limit in limits]


def _rounded(limit: Limit) -> tuple[object, ...]:
    bounds = [limit.min, limit.max, limit.equals, limit.warn]
    return (
        limit.name,
        limit.unit,
        *(None if bound is None else round(bound, 9) for bound in bounds),
        limit.phase,
        limit.except_faults,
        limit.mode,
        limit.line,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("obd.latancy.p95: {max: 60 ms}", "did you mean 'obd.latency.p95'?"),
        ("lin.rate: {min: 1/s}", "the name of a measure"),
        ("obd.latency.p95: {max: 60}", "without a unit"),
        ("obd.latency.p95: {max: 60 m}", "with unit 'm'"),
        ("obd.latency.p95: {max: 60 ms, min: 70 ms}", "'min' not above 'max'"),
        ("obd.latency.p95: {max: 60 ms, equals: 3 ms}", "'equals' alone"),
        ("obd.latency.p95: {warn: 60 ms}", "'max', 'min' or 'equals'"),
        ("obd.latency.p95: {max: 60 ms, warn: 70 ms}", "'warn' not above 'max' (60 ms)"),
        ("obd.rate: {min: 4/s, warn: 3/s}", "'warn' not below 'min' (4/s)"),
        ("obd.rate: {min: 4/s, max: 9/s, warn: 5/s}", "beside 'max' or 'min' alone"),
        ("obd.rate: {}", "found none"),
        ("obd.rate: {minimum: 4/s}", "did you mean 'min'?"),
        ("obd.rate: 4/s", "a limit such as {max: 5 Hz}"),
        ("obd.rate: {min: 4/s, phase: cruising}", "did you mean 'cruise'?"),
        ("obd.rate: {min: 4/s, except: idle}", "'faults' after 'except'"),
        ("obd.rate: {min: 4/s, mode: real}", "a mode"),
        ("gateway.cpu: {max: 40 %}", "`mode: paced`"),
        ("gateway.cpu: {max: 40 %, mode: virtual}", "virtual time has no CPU time"),
    ],
)
def test_a_wrong_limit_is_refused_with_its_line(refuse: Refuse, text: str, words: str) -> None:
    """Unknown measure, foreign unit, contradiction: named."""
    error = refuse(limits=section(text))
    assert error.line == 6
    assert words in str(error)


def test_a_measure_of_a_link_that_is_not_needed_is_refused(refuse: Refuse) -> None:
    """It would be UNSET in every run."""
    error = refuse("needs: [obd]\n", limits="limits: {gps.rate: {min: 1/s}}\n")
    assert "needs: [obd, gps]" in error.hint


@pytest.mark.parametrize(
    ("check", "field", "bound"),
    [
        ("gateway.exit == 0", "equals", 0.0),
        ("log.errors <= 2", "max", 2.0),
        ("obd.recovery.max<=500 ms", "max", 0.5),
        ("obd.rate >= 4 Hz", "min", 4.0),
    ],
)
def test_a_check_afterwards_is_a_limit(load: Load, check: str, field: str, bound: float) -> None:
    """It is judged like one, and marked."""
    (found,) = load(f"after: ['{check}']\n").after
    assert getattr(found, field) == bound
    assert found.after


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("gateway.exit", "a comparison such as 'gateway.exit == 0'"),
        ("gateway.exit = 0", "a comparison"),
        ("gateway.exit != 0", "a comparison"),
        ("gateway.exits == 0", "did you mean 'gateway.exit'?"),
        ("gateway.exit == zero", "a number such as '0', without a unit"),
        ("obd.rate >= 4 km", "with unit 'km'"),
        ("gateway.cpu <= 40 %", "with `mode: paced`"),
    ],
)
def test_a_wrong_check_is_refused(refuse: Refuse, check: str, words: str) -> None:
    """The comparison is a closed form, no expression."""
    assert words in str(refuse(f"after: ['{check}']\n"))
