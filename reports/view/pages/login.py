"""`/login`: who one is."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.page import page, register
from reports.view.part import part


def layout(**_: Any) -> Component:
    """Give the page."""
    return page("Sign in", part("login"), name="login")


register(__name__, "/login", "Sign in", layout)
