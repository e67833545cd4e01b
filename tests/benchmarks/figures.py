"""What a benchmark returns: rows, each a figure with its goal and what it is compared with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """Bounds of a figure; None is unbounded."""

    least: float | None = None
    most: float | None = None

    def is_met(self, value: float) -> bool:
        above = self.least is None or value >= self.least
        return above and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


@dataclass(frozen=True, slots=True)
class Beside:
    """What a figure is compared with: a peer, a floor, the same thing done otherwise."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `value`, the goal and what stands beside it have the same unit."""

    name: str
    value: float
    unit: str
    beside: Beside | None = None
    goal: Goal | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the value is of what stands beside it."""
        if self.beside is None or not self.beside.value:
            return None
        return self.value / self.beside.value

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.is_met(self.value)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "beside": self.beside and {"name": self.beside.name, "value": self.beside.value},
            "ratio": self.ratio,
            "goal": self.goal and str(self.goal),
            "met": self.met,
        }


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    Attributes:
        quick: short runs, once each.
        peer: also measure the best known emulator (installed from the index into a temporary
            environment, and run as a process of its own).
    """

    quick: bool = False
    peer: bool = False


def text(value: float) -> str:
    """Three significant digits, more before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def print_table(title: str, rows: Iterable[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in ("figure", "value", "unit", "beside it", "ratio", "goal", "met"):
        right = column in ("value", "ratio")
        table.add_column(column, justify="right" if right else "left")
    for row in rows:
        table.add_row(
            row.name,
            text(row.value),
            row.unit,
            f"{row.beside.name}: {text(row.beside.value)}" if row.beside else "",
            f"{row.ratio:.2f}" if row.ratio is not None else "",
            str(row.goal or ""),
            {None: "", True: "yes", False: "[bold]no[/bold]"}[row.met],
        )
    Console(width=None if Console().is_terminal else 140).print(table)
