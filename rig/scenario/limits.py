"""The `limits:` and `after:` sections: bounds in the unit of their measure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rig.judge.limits import Limit
from rig.measures.names import MeasureName, all_names, find_measure, link_of
from rig.quantity import (
    BITS,
    BYTE_RATE,
    COUNT,
    DISTANCE,
    DURATION,
    PERCENTAGE,
    RATE,
    RATIO,
    SIZE,
    STEPS,
    Dimension,
    QuantityError,
    convert,
    show,
)
from rig.scenario.document import Node, Table, suggestion

LIMIT_KEYS = ("max", "min", "equals", "warn", "phase", "except", "mode")
MODES = ("virtual", "paced")

_DIMENSIONS = (DURATION, RATE, PERCENTAGE, STEPS, DISTANCE, SIZE, BYTE_RATE, COUNT, RATIO, BITS)
_COMPARISON = re.compile(r"\s*([a-z][\w.]*)\s*(==|<=|>=)\s*(.+?)\s*")


def dimension_of(unit: str) -> Dimension:
    """Return the dimension in which bounds of a measure with `unit` are written."""
    for dimension in _DIMENSIONS:
        if unit == dimension.unit or unit in dimension.factors:
            return dimension
    raise ValueError(f"measure unit: expected one that rig.quantity knows, got {unit!r}")


def read_limits(
    node: Node | None, phases: Sequence[str], needs: Sequence[str]
) -> tuple[Limit, ...]:
    """Return the limits in the file's order; a list of bounds, or of phases, gives one each."""
    if node is None or node.is_null:
        return ()
    limits: list[Limit] = []
    for entry in node.as_table("'limits'"):
        measure = _read_measure(entry.key, entry.word, needs)
        for item in entry.value.as_list_or_one():
            limits.extend(_read_limit(item, entry.word, measure, phases))
    return tuple(limits)


def _read_measure(node: Node, name: str, needs: Sequence[str]) -> MeasureName:
    measure = find_measure(name)
    if measure is None:
        raise node.error("the name of a measure", repr(name), suggestion(name, all_names()))
    link = link_of(name)
    if link is not None and link not in needs:
        hint = f"add it: needs: [{', '.join((*needs, link))}]"
        expected = f"a measure of a link that the scenario needs ({', '.join(needs)})"
        raise node.error(expected, repr(name), hint)
    return measure


def _read_limit(node: Node, name: str, measure: MeasureName, phases: Sequence[str]) -> list[Limit]:
    table = node.as_table(f"a limit such as {{max: {_example(measure)}}}", LIMIT_KEYS)
    bounds = {
        key: _read_bound(value, measure)
        for key in ("max", "min", "equals", "warn")
        if (value := table.get(key)) is not None
    }
    _check_bounds(table, bounds, measure)
    mode = table.get("mode")
    if measure.paced_only and (mode is None or mode.as_text() != "paced"):
        raise node.error(
            f"`mode: paced` beside a limit on {name}",
            "none" if mode is None else mode.describe(),
            "virtual time has no CPU time",
        )
    phase = table.get("phase")
    windows: list[str | None] = [None]
    if phase is not None:
        windows = [item.as_word(phases, "the name of a phase") for item in phase.as_list_or_one()]
    exception = table.get("except")
    if exception is not None:
        exception.as_word(("faults",), "'faults' after 'except'")
    return [
        Limit(
            name=name,
            unit=measure.unit,
            min=bounds.get("min"),
            max=bounds.get("max"),
            equals=bounds.get("equals"),
            warn=bounds.get("warn"),
            phase=window,
            except_faults=exception is not None,
            mode=None if mode is None else mode.as_word(MODES, "a mode"),
            line=node.line,
        )
        for window in windows
    ]


def _example(measure: MeasureName) -> str:
    dimension = dimension_of(measure.unit)
    return dimension.example if dimension.unit == measure.unit else f"60 {measure.unit}"


def _read_bound(node: Node, measure: MeasureName) -> float:
    dimension = dimension_of(measure.unit)
    return convert(node.as_quantity(dimension), dimension.unit, measure.unit)


def _check_bounds(table: Table, bounds: dict[str, float], measure: MeasureName) -> None:
    smallest, largest, warn = bounds.get("min"), bounds.get("max"), bounds.get("warn")
    if "equals" in bounds and len(bounds) > 1:
        raise table.node.error("'equals' alone", " and ".join(bounds))
    if not bounds.keys() & {"min", "max", "equals"}:
        there = ", ".join(entry.word for entry in table) or "none"
        raise table.node.error("'max', 'min' or 'equals' in a limit", there)
    if smallest is not None and largest is not None and smallest > largest:
        found = f"{show(smallest, measure.unit)} above {show(largest, measure.unit)}"
        raise table.node.error("'min' not above 'max'", found)
    if warn is None:
        return
    node = table.require("warn", "warn: 50 ms")
    if smallest is not None and largest is not None:
        raise node.error("'warn' beside 'max' or 'min' alone", "both")
    if largest is not None and warn > largest:
        raise node.error(f"'warn' not above 'max' ({show(largest, measure.unit)})")
    if smallest is not None and warn < smallest:
        raise node.error(f"'warn' not below 'min' ({show(smallest, measure.unit)})")


def read_after(node: Node | None, needs: Sequence[str]) -> tuple[Limit, ...]:
    """Return the checks once the gateway has stopped: "gateway.exit == 0"."""
    if node is None or node.is_null:
        return ()
    expected = "a comparison such as 'gateway.exit == 0' (with ==, <= or >=)"
    checks = []
    for item in node.as_list(f"a list of comparisons: [{expected}]"):
        match = _COMPARISON.fullmatch(item.as_text(expected))
        if match is None:
            raise item.error(expected)
        name, sign, text = match.groups()
        measure = _read_measure(item, name, needs)
        if measure.paced_only:
            hint = f"write it under `limits:` with `mode: paced` ({name})"
            raise item.error("a measure that both clocks can tell", repr(name), hint)
        dimension = dimension_of(measure.unit)
        try:
            bound = convert(dimension.parse(text), dimension.unit, measure.unit)
        except QuantityError as error:
            raise item.error(error.expected, error.found) from error
        checks.append(
            Limit(
                name,
                measure.unit,
                min=bound if sign == ">=" else None,
                max=bound if sign == "<=" else None,
                equals=bound if sign == "==" else None,
                line=item.line,
                after=True,
            )
        )
    return tuple(checks)
