"""Draws faults for campaigns: an entry of `faults:` with a kind, a duration and parameters.

Everything comes from the catalogue: which kinds can strike a link, and within which range each
parameter and the duration lie. What is drawn is the mapping that a scenario file would hold.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from rig.faults.catalogue import FAULT_KINDS, FaultKind, Parameter, Range, possible_kinds

SHORTEST_S = 0.05
DEFAULT_WIRES: Mapping[str, tuple[str, ...]] = {
    "obd": ("serial", "elm327"),
    "gps": ("serial", "gnss"),
    "esp32": ("serial", "wifi"),
    "mesh": ("serial",),
    "can": ("tcp", "bus"),
}
"""What a link consists of in a scenario that says nothing of it."""


def drawable_kinds(
    needs: Sequence[str], wires: Mapping[str, Sequence[str]] = DEFAULT_WIRES
) -> list[tuple[str, str]]:
    """Return each (kind, what it strikes) that a campaign can draw for a scenario.

    Args:
        needs: the scenario's links.
        wires: what each link consists of there; see `rig.scenario.faults.wires_of`.
    """
    # The console of a board that sends by Wi-Fi carries no reading: a fault there shows nothing.
    carrying = {
        on: [w for w in ws if w != "serial" or "wifi" not in ws] for on, ws in wires.items()
    }
    at_links = possible_kinds(needs, carrying)
    at_targets = [(kind.word, on) for kind in FAULT_KINDS.values() for on in kind.targets]
    return [pair for pair in (*at_links, *at_targets) if FAULT_KINDS[pair[0]].drawn_s is not None]


def draw_fault(
    rng: random.Random, kind: str, on: str, at_s: float, most_s: float
) -> dict[str, Any]:
    """Return a drawn entry of `faults:`, as a scenario file holds it.

    Args:
        rng: where the draws come from.
        kind: of `FAULT_KINDS`.
        on: the link, or the target, that it strikes.
        at_s: when it begins, in seconds of the drive.
        most_s: how long it may last.
    """
    entry = FAULT_KINDS[kind]
    fault: dict[str, Any] = {"at": _seconds(at_s), "on": on}
    given = {parameter.word: draw_parameter(rng, parameter) for parameter in entry.parameters}
    fault[kind] = given or True
    if entry.lasts:
        fault["for"] = _seconds(rng.uniform(*lasting_s(entry, most_s)))
    return fault


def lasting_s(kind: FaultKind, most_s: float) -> Range:
    """Return how long a drawn fault of this kind may last, at least and at most."""
    low_s, high_s = kind.drawn_s or (SHORTEST_S, most_s)
    high_s = max(min(high_s, most_s), SHORTEST_S)
    return min(low_s, high_s), high_s


def draw_parameter(rng: random.Random, parameter: Parameter) -> str:
    """Return a value as a scenario file has it: a word, or a number with its unit."""
    if parameter.dimension is None:
        return rng.choice(parameter.choices)
    if parameter.drawn is None:
        assert isinstance(parameter.default, float)
        return written(parameter, parameter.default)
    return written(parameter, rng.uniform(*parameter.drawn))


def written(parameter: Parameter, value: float) -> str:
    """Return a number of this parameter with its unit, within what the catalogue allows."""
    assert parameter.dimension is not None
    value = float(f"{value:.4g}")  # what nobody would write by hand helps nobody to read
    if parameter.maximum is not None:
        value = min(value, parameter.maximum)
    return f"{max(value, parameter.minimum):.10g} {parameter.dimension.unit}".strip()


def _seconds(value_s: float) -> str:
    return f"{int(value_s * 1000) / 1000:.10g} s"
