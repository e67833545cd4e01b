"""`/run/<run>`: one recorded run on the stage."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.analysis import analysis
from reports.view.page import page, register
from reports.view.part import part


def layout(run: str = "", **_: Any) -> Component:
    """Give the stage of a run."""
    return page(
        f"Run {run}",
        part(
            "stage",
            id="stage",
            kind="run",
            run=run,
            panels=["run", "limits", "wire", "map", "journey"],
        ),
        analysis(),
        wide=True,
        name="run",
        needs="runs",
    )


register(__name__, "/run/<run>", "Run", layout)
