"""`/`: the list of runs where there are runs, else the live page."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.config import current_config
from reports.view.page import Layout, register
from reports.view.pages import live, runs


def layout(**parameters: Any) -> Component:
    """Give the page that most people want first."""
    shown: Layout = runs.layout if current_config().runs else live.layout
    return shown(**parameters)


register(__name__, "/", "telerig", layout)
