"""`/setup`: makes the first admin of a gateway, with the code of its log."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.part import part


def layout(**_: Any) -> Component:
    """Give the page."""
    return page("First admin", part("setup"), name="setup")


register(__name__, "/setup", "First admin", layout)
