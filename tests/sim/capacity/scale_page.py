"""The tables of docs/scale.md: made by the model, and put there by `python -m` of this module."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sim.capacity import Fleet, Plan, Site, plan, read_figures
from sim.capacity.fleet import REFUSE_AFTER_S
from sim.capacity.tables import Cells, demand, figures, limits, markdown, text, trials
from sim.capacity.trial import OUTAGE, ZONE, Trial, run

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"
FIGURES = read_figures()
SIZES = (10_000, 1_000_000, 100_000_000)
COLUMNS, CODEC = "columns", "codec"


def _plans(**of_fleet: object) -> list[Plan]:
    return [plan(Fleet(size, **of_fleet), Site(), FIGURES) for size in SIZES]  # type: ignore[arg-type]


def _steps() -> Sequence[Cells]:
    """What a change of one thing does to a million vehicles."""
    lines: list[Cells] = [
        ("a million vehicles, all sending", "cells", "vehicles of a cell", "gateway cores",
         "database cores", "what binds a cell")
    ]  # fmt: skip
    halved = FIGURES.replaced(compact_us=FIGURES["compact_us"] / 4)
    compiled = FIGURES.replaced(decode_us=FIGURES["decode_us"] / 2.7)
    cases = (
        ("columns, as it is", Fleet(SIZES[1]), Site(), FIGURES),
        ("batches of 60 s", Fleet(SIZES[1], batch_s=60), Site(), FIGURES),
        ("`latest_s = 60`", Fleet(SIZES[1]), Site(latest_s=60), FIGURES),
        ("compaction by shard, on four gateways", Fleet(SIZES[1]), Site(), halved),
        ("the same, batches of 60 s", Fleet(SIZES[1], batch_s=60), Site(), halved),
        ("edge loggers, as it is", Fleet(SIZES[1], wire=CODEC), Site(), FIGURES),
        ("`max_connections` of 1,000", Fleet(SIZES[1], wire=CODEC),
         Site(database_connections=1000), FIGURES),
        ("the same, and the codec compiled", Fleet(SIZES[1], wire=CODEC),
         Site(database_connections=1000), compiled),
    )  # fmt: skip
    for name, fleet, site, table in cases:
        found = plan(fleet, site, table)
        binding = found.binding.name.partition(": ")[2]
        lines.append(
            (
                name,
                f"{found.cells:,}",
                f"{found.cell_vehicles:,.0f}",
                text(found.gateway_cores),
                text(found.cells * found.database_cores),
                binding,
            )
        )
    return lines


def _storms(wire: str) -> Sequence[Cells]:
    fleet = Fleet(10_000 if wire == COLUMNS else 1600, wire=wire)
    gateways = 12 if wire == COLUMNS else 3
    outage_s = 120.0 if wire == COLUMNS else 600.0
    found = plan(fleet, Site(gateways=gateways), FIGURES)
    cases = [Trial(OUTAGE, outage_s)]
    if wire == COLUMNS:
        cases = [
            Trial(ZONE, 30.0),
            *cases,
            Trial(OUTAGE, outage_s, jitter=False),
            Trial(OUTAGE, outage_s, jitter=False, in_step=True),
        ]
    outcomes = [run(found, FIGURES, case, most_vehicles=2500) for case in cases]
    if wire == CODEC:
        site = Site(gateways=gateways, refuse_after_s=None)
        outcomes.insert(0, run(plan(fleet, site, FIGURES), FIGURES, cases[0]))
    lines = list(trials(outcomes))
    if wire == CODEC:
        name, *rest = lines[-1]
        lines[-1] = (f"{name}; refused beyond {REFUSE_AFTER_S:g} s of work, as it is", *rest)
        name, *rest = lines[-2]
        lines[-2] = (f"{name}; never refused", *rest)
    return lines


TABLES: Mapping[str, Callable[[], Sequence[Cells]]] = {
    "demand, columns": lambda: demand(_plans()),
    "demand, edge loggers": lambda: demand(_plans(wire=CODEC)),
    "demand, a tenth drives": lambda: demand(_plans(wire=CODEC, on_the_road=0.1, hours_a_day=1.2)),
    "limits, columns": lambda: limits(plan(Fleet(SIZES[1]), Site(), FIGURES)),
    "limits, edge loggers": lambda: limits(plan(Fleet(SIZES[1], wire=CODEC), Site(), FIGURES)),
    "steps": _steps,
    "storms, columns": lambda: _storms(COLUMNS),
    "storms, edge loggers": lambda: _storms(CODEC),
    "figures": lambda: figures(FIGURES),
}
_TABLE = re.compile(r"<!-- table: ([^>]+) -->\n(.*?)\n(?=\n|$)", re.DOTALL)


def tables_of(page: str) -> dict[str, str]:
    """Give the tables that a page has, by name."""
    return dict(_TABLE.findall(page))


def written(page: str) -> str:
    """Give a page with its tables made anew."""
    return _TABLE.sub(lambda m: f"<!-- table: {m[1]} -->\n{markdown(TABLES[m[1]]())}\n", page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
