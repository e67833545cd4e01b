"""`/alerts`: what fires and fired, rules, silences, receivers."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.listing import Tab, placed, tabs
from reports.view.lists import alerts
from reports.view.page import page, register


def layout(**_: Any) -> Component:
    """Give the page."""
    return page(
        "Alerts",
        tabs(
            "Alerts",
            Tab(name="alerts", label="Alerts", parts=(placed(alerts.ALERTS),)),
            Tab(
                name="rules",
                label="Rules",
                parts=(placed(alerts.RULES), placed(alerts.STATES)),
            ),
            Tab(name="silences", label="Silences", parts=(placed(alerts.SILENCES),)),
            Tab(
                name="receivers",
                label="Receivers",
                role="operator",
                parts=(placed(alerts.TARGETS),),
            ),
            id="alerts",
        ),
        name="alerts",
        needs="gateway",
        role="viewer",
    )


register(__name__, "/alerts", "Alerts", layout)
