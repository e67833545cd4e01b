"""Figures of a recording (histogram, one signal against another, all strips), drawn when asked for.

They are Plotly's, made in the browser of what the stage shows (`assets/js/stage/analysis.js`):
nothing is fetched twice, and Plotly itself is loaded with the first figure, not with the page.
"""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, html
from dash.development.base_component import Component

DRAW, FIGURES = "analysis-draw", "analysis-figures"
ONE, OTHER = "analysis-signal", "analysis-other"


def analysis() -> Component:
    """Give the section below the stage."""
    label: dict[str, Any] = {"aria-label": "Figures"}
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Figures"),
                    html.Button("Draw the window", id=DRAW, type="button"),
                    _choice(ONE, "Signal"),
                    _choice(OTHER, "against"),
                ],
                className="bar",
            ),
            html.Div(id=FIGURES, className="analysis"),
        ],
        className="analysis-section",
        **label,
    )


def _choice(name: str, words: str) -> Component:
    return html.Div(
        [
            html.Label(words, htmlFor=name),
            # The browser's own: it can be read by everybody, and follows the theme.
            html.Select([html.Option("the first one", value="")], id=name),
        ],
        className="analysis-choice",
    )


def wire(app: Dash) -> None:
    """Connect the section with the script that draws it."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("stage", "figures"),
        Output(FIGURES, "children"),
        Output(ONE, "children"),
        Output(OTHER, "children"),
        Input(DRAW, "n_clicks"),
        prevent_initial_call=True,
    )
