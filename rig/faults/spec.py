"""A fault as data: what goes wrong, on which link, when, and how badly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault of a scenario.

    Attributes:
        kind: key of `rig.faults.catalogue.FAULT_KINDS`.
        link: the link that it strikes.
        windows: (start, end) in virtual seconds, in order, apart; end == start for an instant.
        parameters: field name with its unit -> value, complete with defaults.
        name: what events and reports call it.
        line: where it stands in the scenario file; 0 where it came from code.
    """

    kind: str
    link: str
    windows: tuple[tuple[float, float], ...]
    parameters: Mapping[str, float | str]
    name: str
    line: int = 0

    @property
    def at_s(self) -> float:
        """The instant at which it strikes first."""
        return self.windows[0][0]

    @property
    def for_s(self) -> float:
        """How long it lasts each time."""
        return self.windows[0][1] - self.windows[0][0]

    def number(self, field: str) -> float:
        """Return the parameter `field` as a number."""
        return float(self.parameters[field])

    def word(self, field: str) -> str:
        """Return the parameter `field` as a word."""
        return str(self.parameters[field])
