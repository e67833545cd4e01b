"""`/settings`: addresses, defaults and looks, kept in this browser."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.part import part


def layout(**_: Any) -> Component:
    """Give the page."""
    return page("Settings", part("settings"), name="settings")


register(__name__, "/settings", "Settings", layout)
