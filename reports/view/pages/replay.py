"""`/session/<session>` and `/replay.html?session=`: a recorded session on the stage."""

from __future__ import annotations

from typing import Any

from dash.development.base_component import Component

from reports.view.analysis import analysis
from reports.view.page import page, register
from reports.view.part import part


def layout(session: str | None = None, **_: Any) -> Component:
    """Give the stage of a session; the newest where none is named."""
    return page(
        f"Session {session}" if session else "Newest session",
        part("stage", id="stage", kind="session", session=session, panels=["map"]),
        analysis(),
        part("session-facts", session=session),
        part("exports", session=session),
        wide=True,
        name="session",
        needs="gateway",
        role="viewer",
    )


register(__name__, "/session/<session>", "Session", layout)
register(f"{__name__}.newest", "/replay.html", "Replay", layout)
