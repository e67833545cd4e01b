"""What was worth a line, as the event lane shows it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reports.runs.names import Names
from rig.measures.stale import STALE_EVENT
from rig.measures.states import LINK_EVENT
from rig.record.manifest import Manifest
from rig.record.streams import Event

MOST_SHOWN_NAMES = 6
_LINK_SEVERITY = {"up": "good", "connecting": "info", "degraded": "warn", "down": "bad"}


class ShownEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event: `kind` and `severity` are those that the stage draws."""

    t: float
    kind: str
    severity: str
    text: str
    link: str | None = None
    signal: str | None = None
    end: float | None = None


def shown_events(
    manifest: Manifest, names: Names, events: Sequence[Event], start_ns: int, end_ns: int
) -> list[ShownEvent]:
    """Return phases and events from `start_ns` to `end_ns`, in order of time."""
    found = [
        ShownEvent(p.start_ns / 1e9, "phase", "info", p.name, end=p.end_ns / 1e9)
        for p in manifest.phases
        if p.start_ns <= end_ns and p.end_ns >= start_ns
    ]
    for event in events:
        if start_ns <= event.time_ns <= end_ns:
            found.append(shown(event, names))
    return sorted(found, key=lambda event: event.t)


def shown(event: Event, names: Names) -> ShownEvent:
    """Return one event as it is shown."""
    time_s, detail = event.time_ns / 1e9, event.detail
    if event.kind == LINK_EVENT:
        name, state = str(detail.get("name", "")), str(detail.get("state", ""))
        reason = str(detail.get("reason", ""))
        text = f"link {name} {state}" + (f": {reason}" if reason else "")
        return ShownEvent(time_s, "link", _LINK_SEVERITY.get(state, "info"), text, link=name)
    if event.kind == STALE_EVENT:
        return _stale(time_s, event, names)
    if event.kind == "fault":
        is_start = detail.get("phase") == "start"
        text = f"fault {detail.get('name')} ({detail.get('kind')}) {detail.get('phase')}s"
        severity = "warn" if is_start else "info"
        return ShownEvent(time_s, "fault", severity, text, link=str(detail.get("link", "")) or None)
    if event.kind == "dtc" or "dtc" in str(detail.get("name", "")):
        return ShownEvent(time_s, "dtc", "warn", _plain(event), link="obd")
    if event.kind in ("gateway.gap", "gateway.store", "gateway.alert"):
        kind = "alert" if event.kind == "gateway.alert" else "note"
        bad = detail.get("state") not in (None, "ok")
        return ShownEvent(time_s, kind, "bad" if bad else "info", _plain(event))
    link = str(detail["link"]) if isinstance(detail.get("link"), str) else None
    severity = "bad" if detail.get("name") in ("crash", "bus_off") else "info"
    return ShownEvent(time_s, "note", severity, _plain(event), link=link or _link_of(event))


def _stale(time_s: float, event: Event, names: Names) -> ShownEvent:
    link = str(event.detail.get("link", ""))
    listed = [
        names.signals[number].name if number in names.signals else str(number)
        for number in event.detail.get("signals", ())
    ]
    if not listed:
        return ShownEvent(time_s, "stale", "good", f"{link}: nothing stale any more", link=link)
    more = len(listed) - MOST_SHOWN_NAMES
    text = ", ".join(listed[:MOST_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
    return ShownEvent(time_s, "stale", "warn", f"{link} stale: {text}", link=link)


def _link_of(event: Event) -> str | None:
    return event.kind if event.kind in ("can", "esp32", "mesh", "obd", "gps") else None


def _plain(event: Event) -> str:
    """Return an event of any kind in words: its kind, and what it says."""
    said = [
        value if isinstance(value, str) else f"{key} {msgspec.json.encode(value).decode()}"
        for key, value in event.detail.items()
        if value not in ("", None) and key not in ("n", "type", "time_ns")
    ]
    return f"{event.kind.removeprefix('gateway.')}: {', '.join(said)}"
