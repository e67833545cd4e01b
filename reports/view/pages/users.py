"""`/users`: users, their sessions, and the audit (admins)."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.listing import Tab, placed, tabs
from reports.view.lists.users import AUDIT, USERS
from reports.view.page import page, register


def layout(**_: Any) -> Component:
    """Give the page."""
    return page(
        "Users",
        tabs(
            "Users and audit log",
            Tab(name="users", label="Users", parts=(placed(USERS),)),
            Tab(name="audit", label="Audit log", parts=(placed(AUDIT),)),
            id="users",
        ),
        name="users",
        needs="gateway",
        role="admin",
    )


register(__name__, "/users", "Users", layout)
