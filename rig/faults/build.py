"""Faults from Python: made with the units of a scenario file, put into a world."""

from __future__ import annotations

from typing import Any

from rig.faults.catalogue import FAULT_KINDS, TARGETS, Parameter
from rig.faults.install import install_all
from rig.faults.spec import FaultSpec
from rig.faults.strike import FaultError, FaultWorld
from rig.quantity import QuantityError


def fault(
    kind: str, on: str, *, at_s: float, for_s: float = 0.0, name: str = "", **parameters: str
) -> FaultSpec:
    """Return one fault.

    Args:
        kind: of `FAULT_KINDS`.
        on: the link, or of `TARGETS` the one, that it strikes.
        at_s: virtual second at which it begins.
        for_s: how long it lasts; 0 for an instant.
        name: what events and reports call it.
        parameters: by the words of a scenario file, with units: `probability="20 %"`.

    Raises:
        FaultError: no such kind, a link that it cannot strike, or a parameter that is wrong.
    """
    entry = FAULT_KINDS.get(kind)
    if entry is None:
        raise FaultError(f"expected a kind of fault of {', '.join(FAULT_KINDS)}, found {kind!r}")
    if on not in entry.links:
        raise FaultError(f"{kind}: expected on= one of {', '.join(entry.links)}, found {on!r}")
    if (for_s > 0.0) != entry.lasts:
        found = f"for_s={for_s:g}"
        expected = "for_s above 0" if entry.lasts else "no for_s: it happens at an instant"
        raise FaultError(f"{kind}: expected {expected}, found {found}")
    known = {parameter.word: parameter for parameter in entry.parameters}
    if unknown := set(parameters) - set(known):
        expected = ", ".join(known) or "no parameter"
        raise FaultError(f"{kind}: expected {expected}, found {', '.join(sorted(unknown))}")
    values = {p.field: _value(kind, p, parameters.get(word)) for word, p in known.items()}
    return FaultSpec(kind, on, ((at_s, at_s + for_s),), values, name or f"{kind} on {on}")


def add_faults(world: FaultWorld, *faults: FaultSpec, **targets: Any) -> None:
    """Put faults into a world; each begins, ends and is noted at its instants.

    Args:
        world: a `sim.world.World`, or whatever has what a `FaultWorld` needs.
        faults: as `fault` makes them; each draws from a stream of its own, by its place here.
        targets: gateway=, database=: what can be struck besides links.

    Raises:
        FaultError: the world has no such link, or no such target.
    """
    if unknown := set(targets) - set(TARGETS):
        raise FaultError(f"expected targets of {', '.join(TARGETS)}, found {sorted(unknown)}")
    install_all(world, faults, targets)


def _value(kind: str, parameter: Parameter, text: str | None) -> float | str:
    if text is None:
        if parameter.default is None:
            raise FaultError(f"{kind}: expected {parameter.word}=, found none")
        return parameter.default
    if parameter.dimension is None:
        if text not in parameter.choices:
            expected = ", ".join(parameter.choices)
            raise FaultError(f"{kind}: expected {parameter.word} of {expected}, found {text!r}")
        return text
    try:
        value = parameter.dimension.parse(text)
    except QuantityError as error:
        raise FaultError(f"{kind}, {parameter.word}: {error}") from error
    unit = parameter.dimension.unit
    most = value if parameter.maximum is None else parameter.maximum
    if not parameter.minimum <= value <= most:
        bounds = f"{parameter.minimum:g} to {most:g} {unit}"
        raise FaultError(f"{kind}: expected {parameter.word} from {bounds}, found {text!r}")
    return value
