"""What is shown where no page is; its module's name is how Dash finds it."""

from __future__ import annotations

from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.shell import of_role, offered


def layout(**_: Any) -> Component:
    """Say that there is no such page, and where to go."""
    links = [
        html.Li(dcc.Link(place.name, href=place.path), **of_role(place)) for place in offered()
    ]
    return page(
        "There is no such page",
        html.P("The address is mistyped, or what it showed is gone. These pages are here:"),
        html.Ul(links, className="link-list"),
        name="missing",
    )


register(__name__, "/404", "No such page", layout)
