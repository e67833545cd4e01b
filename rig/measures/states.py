"""How a link was, as the gateway told it on its live stream."""

from __future__ import annotations

from collections.abc import Iterable

from rig.measures.windows import Span, Window
from rig.record.streams import Event

LINK_EVENT = "gateway.link"
DEGRADED = "degraded"


def degraded_pct(events: Iterable[Event], link: str, window: Window, end_ns: int) -> float | None:
    """Return the part of `window` in which the link was degraded; None if it had no state."""
    spans: list[Span] = []
    state, since_ns, known = "", 0, False
    for event in events:
        detail = event.detail
        if event.kind != LINK_EVENT or detail["name"] != link or "gateway" in detail:
            continue
        if state == DEGRADED:
            spans.append((since_ns, event.time_ns))
        state, since_ns, known = str(detail["state"]), event.time_ns, True
    if state == DEGRADED:
        spans.append((since_ns, max(since_ns, end_ns)))
    if not known or window.duration_s <= 0:
        return None
    return 100.0 * (1.0 - window.without(spans).duration_s / window.duration_s)
