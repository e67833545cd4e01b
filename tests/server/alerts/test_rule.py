"""A rule: the six operators, hysteresis, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.alerts.rule import CONDITIONS, Rule, RuleBody, checked
from server.answers import BadParameter
from server.catalogue import by_name

RPM = by_name("RPM")
THROTTLE = by_name("THROTTLE_POS")


def rule(signal: Any = RPM, **fields: Any) -> Rule:
    """A rule over a signal."""
    fields = {"name": "r", "signal": signal.name, **fields}
    body = checked(msgspec.convert(fields, RuleBody), signal)
    return Rule(1, body, signal, 300)


@pytest.mark.promise("A02")
@pytest.mark.parametrize(
    ("condition", "begins"),
    [
        ("gt", [False, False, True]),
        ("ge", [False, True, True]),
        ("lt", [True, False, False]),
        ("le", [True, True, False]),
        ("eq", [False, True, False]),
        ("ne", [True, False, True]),
    ],
)
def test_six_operators(condition: str, begins: list[bool]) -> None:
    """Each operator says of a smaller, an equal and a greater value what mathematics says."""
    made = rule(condition=condition, threshold=3000)
    assert [made.begins(value) for value in (2999.75, 3000.0, 3000.25)] == begins


def test_symbols_mean_the_same() -> None:
    """A symbol is the operator's other name."""
    for symbol, name in CONDITIONS.items():
        body = checked(RuleBody(name="r", signal="RPM", condition=symbol, threshold=1000), RPM)
        assert body.condition == name


@pytest.mark.parametrize(
    ("condition", "holds", "ends"),
    [("gt", 2901, 2900), ("ge", 2900, 2899), ("lt", 3099, 3100), ("le", 3100, 3101)],
)
def test_hysteresis(condition: str, holds: float, ends: float) -> None:
    """Once begun, an alert goes on until the value is the hysteresis away on the good side."""
    made = rule(condition=condition, threshold=3000, hysteresis=100)
    assert made.holds(holds)
    assert not made.holds(ends)


def test_hysteresis_of_equal() -> None:
    """An alert on equality goes on within the hysteresis on both sides."""
    made = rule(condition="eq", threshold=3000, hysteresis=10)
    assert [made.holds(value) for value in (2989.0, 2990.0, 3010.0, 3011.0)] == [
        False,
        True,
        True,
        False,
    ]


def test_equal_means_the_nearest_step() -> None:
    """A percentage in 255 steps is equal to 50 at the step that is nearest, and at no other."""
    made = rule(THROTTLE, condition="eq", threshold=50)
    equal = [step for step in range(256) if made.begins(step * 100 / 255)]
    assert len(equal) == 1
    assert equal[0] in (127, 128)
    other = rule(THROTTLE, condition="ne", threshold=50)
    assert [step for step in range(256) if not other.begins(step * 100 / 255)] == equal


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, "condition"),
        ({"condition": "above", "threshold": 1}, "condition"),
        ({"condition": "gt"}, "threshold"),
        ({"condition": "gt", "threshold": 16383.75}, "threshold"),
        ({"condition": "lt", "threshold": 0}, "threshold"),
        ({"condition": "eq", "threshold": -1}, "threshold"),
        ({"condition": "ne", "threshold": 1, "hysteresis": 1}, "hysteresis"),
        ({"condition": "gt", "threshold": 1, "stale_s": 1}, "stale_s"),
        ({"kind": "stale"}, "stale_s"),
        ({"kind": "stale", "stale_s": 1, "threshold": 1}, "threshold"),
        ({"kind": "stale", "stale_s": 1, "duration_s": 1}, "duration_s"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], where: str) -> None:
    """Fields that do not go together, and a threshold that is never met, are refused by name."""
    with pytest.raises(BadParameter) as caught:
        rule(**fields)
    assert caught.value.where == where
