"""`/sessions`: recorded sessions and trips."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.listing import Tab, placed, tabs
from reports.view.lists.sessions import SESSIONS, TRIPS
from reports.view.page import page, register


def layout(**_: Any) -> Component:
    """Give the page."""
    return page(
        "Sessions",
        tabs(
            "Sessions and trips",
            Tab(name="sessions", label="Sessions", parts=(placed(SESSIONS),)),
            Tab(name="trips", label="Trips", parts=(placed(TRIPS),)),
            id="sessions",
        ),
        name="sessions",
        needs="gateway",
        role="viewer",
    )


register(__name__, "/sessions", "Sessions", layout)
