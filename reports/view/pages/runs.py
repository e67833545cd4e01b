"""`/runs`: the runs of the folder."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.listing import place
from reports.view.lists.runs import RUNS
from reports.view.page import page, register


def layout(**_: Any) -> Component:
    """Give the list of runs."""
    return page("Runs", place(RUNS, id="runs"), name="runs", needs="runs")


register(__name__, "/runs", "Runs", layout)
