"""`/links`: state of the gateway: links, store, forwarding."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.part import part


def layout(**_: Any) -> Component:
    """Give the page."""
    sources = html.Section([html.H2("Sources of data"), part("sources")], className="links-section")
    return page("Links", part("links"), sources, name="links", needs="gateway", role="viewer")


register(__name__, "/links", "Links", layout)
