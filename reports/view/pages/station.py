"""`/station`: scenarios that run now, with their steps and limits."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.part import part


def layout(**_: Any) -> Component:
    """Give the page."""
    return page("Station", part("station"), name="station", needs="runs")


register(__name__, "/station", "Station", layout)
