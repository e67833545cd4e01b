"""`/compare?a=run:ID&b=run:ID`: two runs or sessions, one over the other."""

from __future__ import annotations

from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.part import part

CONFIG: Any = {
    "displaylogo": False,
    "responsive": True,
    "toImageButtonOptions": {"format": "svg", "filename": "telerig-compare"},
}


def layout(a: str | None = None, b: str | None = None, **_: Any) -> Component:
    """Give the page."""
    return page(
        "Compare",
        part("compare", a=a, b=b),
        html.Div(
            dcc.Graph(id="compare-graph", config=CONFIG),
            id="compare-figures",
            className="compare-figures",
            hidden=True,
        ),
        html.Div(id="compare-tables", className="compare-tables"),
        wide=True,
        name="compare",
    )


register(__name__, "/compare", "Compare", layout)
