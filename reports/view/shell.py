"""What stands around every page: header, navigation, state of the connection, theme, user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import dash
from dash import dcc, html
from dash.development.base_component import Component

from reports.view.config import ViewConfig, current_config
from reports.view.part import part


@dataclass(frozen=True)
class Place:
    """A page of the navigation.

    Attributes:
        name: as shown.
        path: its address.
        needs: what it shows: "runs" or "gateway".
        role: who may use it; it is hidden from others. Empty: everybody.
    """

    name: str
    path: str
    needs: str
    role: str = ""


PLACES = (
    Place("Live", "/live", "gateway", "viewer"),
    Place("Runs", "/runs", "runs"),
    Place("Station", "/station", "runs"),
    Place("Sessions", "/sessions", "gateway", "viewer"),
    Place("Compare", "/compare", ""),
    Place("Devices", "/devices", "gateway", "viewer"),
    Place("Alerts", "/alerts", "gateway", "viewer"),
    Place("Links", "/links", "gateway", "viewer"),
    Place("Provisioning", "/provision", "gateway", "admin"),
    Place("Users", "/users", "gateway", "admin"),
    Place("Settings", "/settings", ""),
)


def offered(config: ViewConfig | None = None) -> list[Place]:
    """Give the pages for which there is data."""
    config = config or current_config()
    there = {"": True, "runs": config.runs, "gateway": config.gateway}
    return [place for place in PLACES if there[place.needs]]


def layout() -> Component:
    """Give the frame with the page inside it."""
    config = current_config()
    return html.Div(
        [
            html.A("Skip to the page", href="#page", className="skip-link"),
            _header(config),
            part("notices", class_name="notices"),
            html.Main(dash.page_container, id="page", tabIndex=-1),
        ],
        id="shell",
    )


def _header(config: ViewConfig) -> Component:
    return html.Header(
        [
            dcc.Link(
                [html.Span("telerig", className="brand-name"), _subtitle(config)],
                href="/",
                className="brand",
                id="brand",
            ),
            html.Button(
                "Menu",
                id="nav-toggle",
                className="nav-toggle",
                **_attributes({"aria-expanded": "false", "aria-controls": "nav"}),
            ),
            html.Nav(
                [_link(place) for place in offered(config)],
                id="nav",
                **_attributes({"aria-label": "Pages"}),
            ),
            html.Div(
                [part("link-state"), part("theme-switch"), part("user-menu")],
                className="header-tools",
            ),
        ],
        className="shell-header",
    )


def _subtitle(config: ViewConfig) -> Component:
    return html.Span(config.title, className="brand-title")


def _link(place: Place) -> Component:
    link = dcc.Link(place.name, href=place.path)
    return html.Span(link, className="nav-item", **of_role(place))


def of_role(place: Place) -> dict[str, Any]:
    """Give the attributes by which an element is hidden from roles that may not use the page."""
    return {"data-role": place.role} if place.role else {}


def _attributes(given: dict[str, str]) -> dict[str, Any]:
    """Give attributes with a hyphen, which no keyword can have."""
    return dict(given)
