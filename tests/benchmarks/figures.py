"""What a benchmark returns: rows, each a figure with its goal and what it is compared with."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COLUMNS = ("figure", "median", "from - to", "unit", "goal", "met", "beside it", "times")


@dataclass(frozen=True, slots=True)
class Goal:
    """Bounds of a figure; None is unbounded."""

    least: float | None = None
    most: float | None = None

    def is_met(self, value: float) -> bool:
        """True if `value` is within the bounds."""
        above = self.least is None or value >= self.least
        return above and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{text(self.least)} - {text(self.most)}"
        return f">= {text(self.least)}" if self.least is not None else f"<= {text(self.most or 0)}"


@dataclass(frozen=True, slots=True)
class Beside:
    """What a figure is compared with: a peer, a floor, the same thing done otherwise."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, measured once or several times.

    `values`, the goal and what stands beside it have the same unit.
    """

    name: str
    values: Sequence[float]
    unit: str
    goal: Goal | None = None
    beside: Beside | None = None

    @property
    def median(self) -> float:
        """The figure."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """How many times the figure is of what stands beside it."""
        if self.beside is None or not self.beside.value:
            return None
        return self.median / self.beside.value

    @property
    def met(self) -> bool | None:
        """True if the goal is met, None without one."""
        return None if self.goal is None else self.goal.is_met(self.median)

    def as_json(self) -> dict[str, object]:
        """Give the row as plain values."""
        return {
            "name": self.name,
            "median": self.median,
            "values": list(self.values),
            "unit": self.unit,
            "goal": self.goal and str(self.goal),
            "met": self.met,
            "beside": self.beside and {"name": self.beside.name, "value": self.beside.value},
            "ratio": self.ratio,
        }

    def cells(self) -> list[str]:
        """Give the row of a table, as named in COLUMNS."""
        several = len(self.values) > 1
        return [
            self.name,
            text(self.median),
            f"{text(min(self.values))} - {text(max(self.values))}" if several else "",
            self.unit,
            str(self.goal or ""),
            {None: "", True: "yes", False: "**no**"}[self.met],
            f"{self.beside.name}: {text(self.beside.value)}" if self.beside else "",
            f"{self.ratio:.2f}" if self.ratio is not None else "",
        ]


def text(value: float) -> str:
    """Three significant digits, more before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(rows: Iterable[Row]) -> str:
    """Give a table that reads well as it is, and pastes into a document."""
    cells = [list(COLUMNS), *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in cells)
