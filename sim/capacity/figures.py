"""The measured figures that the model counts with, one table: `figures.toml`."""

from __future__ import annotations

import datetime
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("figures.toml")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure as it was measured.

    Attributes:
        name: ends with its unit.
        value: the one to count with.
        low, high: what else was found; None where it was measured once.
        unit: in words, of what.
        source: the page or the benchmark that has it.
        date: of the measurement.
        machine: what it was measured on.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    unit: str
    source: str
    date: datetime.date
    machine: str


class Figures:
    """All of them, by name."""

    def __init__(self, figures: Mapping[str, Figure]) -> None:
        self._figures = dict(figures)

    def __getitem__(self, name: str) -> float:
        """Give the value of a figure."""
        return self._figures[name].value

    def __iter__(self) -> Iterator[Figure]:
        return iter(self._figures.values())

    def replaced(self, **values: float) -> Figures:
        """Give the same with some values of your own, another machine's for example.

        Raises:
            KeyError: there is no such figure.
        """
        figures = dict(self._figures)
        for name, value in values.items():
            old = figures[name]
            figures[name] = Figure(
                name, value, None, None, old.unit, "given", old.date, "the one that was given"
            )
        return Figures(figures)

    def request_us(self, samples: float, *, is_codec: bool = False) -> float:
        """Give the gateway's CPU for a request: lines through what was measured.

        Those were requests that come as fast as they are answered, hundreds at a time. Where each
        comes by itself, it wakes the gateway and is committed by itself, too (`alone_us`).
        """
        if is_codec:
            return self["uplink_us"] + samples * self["decode_us"]
        points = [(size, self[f"request_{size}_us"]) for size in (20, 200, 1000)]
        pairs = list(itertools.pairwise(points))
        (x0, y0), (x1, y1) = next((pair for pair in pairs if samples <= pair[1][0]), pairs[-1])
        return self["alone_us"] + y0 + (y1 - y0) * (samples - x0) / (x1 - x0)


def read_figures(file: Path = FILE) -> Figures:
    """Read the table."""
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    machines = tables.pop("machines")
    return Figures(
        {
            name: Figure(
                name,
                float(table["value"]),
                table.get("low"),
                table.get("high"),
                table["unit"],
                table["from"],
                table["date"],
                machines[table["machine"]],
            )
            for name, table in tables.items()
        }
    )
