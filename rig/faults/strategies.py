"""Faults for Hypothesis: drawn from the catalogue's own ranges, shrunk to what still fails.

The only module of the rig that imports Hypothesis, which is no dependency of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from rig.faults.build import fault
from rig.faults.catalogue import FAULT_KINDS, Parameter
from rig.faults.draw import DEFAULT_WIRES, drawable_kinds, lasting_s, written
from rig.faults.spec import FaultSpec


@st.composite
def fault_entries(
    draw: st.DrawFn,
    links: Sequence[str],
    duration_s: float,
    most: int = 3,
    *,
    wires: Mapping[str, Sequence[str]] = DEFAULT_WIRES,
    kinds: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Draw the entries of a scenario's `faults:`.

    Args:
        draw: Hypothesis's own.
        links: of the scenario.
        duration_s: of the drive; each fault ends within it.
        most: so many faults at most.
        wires: what each link consists of; see `rig.scenario.faults.wires_of`.
        kinds: those to draw from; none: every kind that these links can suffer.
    """
    count = draw(st.integers(0, most))
    pairs = _pairs(links, wires, kinds)
    return [_entry(*draw(_drawn(pairs, duration_s))) for _ in range(count)]


@st.composite
def faults(
    draw: st.DrawFn,
    links: Sequence[str],
    duration_s: float,
    most: int = 3,
    *,
    wires: Mapping[str, Sequence[str]] = DEFAULT_WIRES,
    kinds: Sequence[str] = (),
) -> list[FaultSpec]:
    """Draw faults for `rig.faults.add_faults`; arguments as of `fault_entries`."""
    count = draw(st.integers(0, most))
    pairs = _pairs(links, wires, kinds)
    drawn = [draw(_drawn(pairs, duration_s)) for _ in range(count)]
    return [
        fault(kind, on, at_s=at_s, for_s=for_s, name=f"{kind} on {on}, {number}", **parameters)
        for number, (kind, on, at_s, for_s, parameters) in enumerate(drawn, 1)
    ]


def _pairs(
    links: Sequence[str], wires: Mapping[str, Sequence[str]], kinds: Sequence[str]
) -> list[tuple[str, str]]:
    pairs = drawable_kinds(links, wires)
    return [(kind, on) for kind, on in pairs if on in links and (not kinds or kind in kinds)]


@st.composite
def _drawn(
    draw: st.DrawFn, pairs: Sequence[tuple[str, str]], duration_s: float
) -> tuple[str, str, float, float, dict[str, str]]:
    """Draw kind, link, begin, duration and parameters; small is weak, early and short."""
    kind, on = draw(st.sampled_from(pairs))
    entry = FAULT_KINDS[kind]
    at_s = _tenth_s(draw(st.floats(0.0, max(0.0, duration_s - 1.0))))
    for_s = 0.0
    if entry.lasts:
        for_s = max(0.1, _tenth_s(draw(st.floats(*lasting_s(entry, duration_s - at_s)))))
    parameters = {p.word: draw(_parameter(p)) for p in entry.parameters}
    return kind, on, at_s, for_s, parameters


def _parameter(parameter: Parameter) -> st.SearchStrategy[str]:
    if parameter.dimension is None:
        return st.sampled_from(parameter.choices)
    if parameter.drawn is None:
        assert isinstance(parameter.default, float)
        return st.just(written(parameter, parameter.default))
    low, high = parameter.drawn
    return st.floats(low, high).map(lambda value: written(parameter, value))


def _tenth_s(value_s: float) -> float:
    return int(value_s * 10.0) / 10.0


def _entry(
    kind: str, on: str, at_s: float, for_s: float, parameters: dict[str, str]
) -> dict[str, Any]:
    entry: dict[str, Any] = {"at": f"{at_s:g} s", "on": on, kind: parameters or True}
    return entry | {"for": f"{for_s:g} s"} if for_s else entry
