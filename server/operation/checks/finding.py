"""What a look at something gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.config import GatewayConfig

OK, WARN, FAIL = "ok", "warning", "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has found.

    Attributes:
        check: what was looked at.
        state: "ok", "warning" or "failure".
        found: what is there.
        advice: what to do; empty where all is well.
    """

    check: str
    state: str
    found: str
    advice: str = ""

    @property
    def lines(self) -> str:
        """State, what was looked at, what is there; below it what to do."""
        mark = {OK: "ok     ", WARN: "warning", FAIL: "FAILURE"}[self.state]
        advice = f"\n         -> {self.advice}" if self.advice else ""
        return f"{mark}  {self.check}: {self.found}{advice}"


Check = Callable[["GatewayConfig", Mapping[str, str]], Iterator[Finding]]
"""Looks at what a configuration needs; given the environment too."""
