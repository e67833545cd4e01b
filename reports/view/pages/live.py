"""`/live` and `/index.html`: what the vehicle sends now."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.part import part


def layout(
    device: str | None = None,
    vehicle: str | None = None,
    replay: str | None = None,
    cards: str | None = None,
    **_: Any,
) -> Component:
    """Give the live dashboard: connection, session, cards, stage with map, alerts, sources."""
    which: dict[str, Any] = {"device": device, "vehicle": vehicle, "replay": replay}
    label: dict[str, Any] = {"aria-label": "Sources of data"}
    return page(
        "Live",
        html.Div(
            [
                part("connection", **which),
                part("device-chooser", **which),
                part("session-now", **which),
            ],
            className="live-head bar",
        ),
        part("cards", cards=cards, **which),
        part("stage", id="stage", kind="live", panels=["map"], **which),
        part("alerts-live", **which),
        html.Section(
            [html.H2("Sources", className="visually-hidden"), part("sources", **which)],
            **label,
        ),
        wide=True,
        name="live",
        needs="gateway",
        role="viewer",
    )


register(__name__, "/live", "Live", layout)
register(f"{__name__}.index", "/index.html", "Live", layout)
