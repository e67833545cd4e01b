"""Faults with what came of them: when the gateway noticed, and when readings came again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from reports.runs.columns import RECEIVED
from reports.runs.run import REPORTED, STORED, Run
from rig.measures.stale import STALE_EVENT
from rig.measures.states import LINK_EVENT
from rig.quantity import QuantityError, convert
from rig.record.manifest import FaultWindow, Manifest
from rig.record.streams import Event

AFTER_NS = 10_000_000_000
"""What is noticed later than this after a fault's end has another cause."""
FAULT_EVENT = "fault"
NOTICES = ("gateway.gap", "gateway.store")
UP = ("up", "connecting")
LAST_SOUND_STATE = 1


class Fault(msgspec.Struct, frozen=True):
    """One fault while it was active.

    Attributes:
        detected_s: when the gateway first showed that it noticed; None if it never did.
        detected_by: what showed it.
        recovered_s: when the next reading came in after its end; None if none ever did.
        required_s: the longest recovery that a limit of the scenario allows.
    """

    id: str
    name: str
    kind: str
    link: str
    start_s: float
    end_s: float
    detected_s: float | None
    detected_by: str
    recovered_s: float | None
    required_s: float | None
    text: str


def faults_of(run: Run) -> list[Fault]:
    """Return the faults of a run in order of time; of one that goes on, those so far."""
    events = run.events()
    windows = run.manifest.faults or fault_windows(events, None)
    received = _received(run) if windows else {}
    found = []
    for number, window in enumerate(windows):
        later = [
            w.start_ns for w in windows if w.link == window.link and w.start_ns >= window.end_ns
        ]
        until_ns = min([window.end_ns + AFTER_NS, *later])
        noticed = noticed_by(events, window, until_ns)
        recovered_ns = _next(received.get(window.link, received[""]), window.end_ns)
        required_s = required_recovery_s(run.manifest, window)
        found.append(_fault(number, window, noticed, recovered_ns, required_s))
    return found


def _fault(
    number: int,
    window: FaultWindow,
    noticed: tuple[int, str] | None,
    recovered_ns: int | None,
    required_s: float | None,
) -> Fault:
    parts = [f"{window.name or window.kind} on {window.link or 'the run'}"]
    parts.append(f"{(window.end_ns - window.start_ns) / 1e9:.3g} s long")
    if noticed is not None:
        parts.append(f"noticed after {(noticed[0] - window.start_ns) / 1e9:.3g} s ({noticed[1]})")
    else:
        parts.append("never noticed")
    if recovered_ns is None:
        parts.append("no reading came again")
    else:
        text = f"readings again {(recovered_ns - window.end_ns) / 1e9:.3g} s after its end"
        parts.append(
            text if required_s is None else f"{text}, at most {required_s:g} s are allowed"
        )
    return Fault(
        id=f"fault-{number}",
        name=window.name or window.kind,
        kind=window.kind,
        link=window.link,
        start_s=window.start_ns / 1e9,
        end_s=window.end_ns / 1e9,
        detected_s=None if noticed is None else noticed[0] / 1e9,
        detected_by="" if noticed is None else noticed[1],
        recovered_s=None if recovered_ns is None else recovered_ns / 1e9,
        required_s=required_s,
        text=", ".join(parts),
    )


def noticed_by(
    events: Sequence[Event], fault: FaultWindow, until_ns: int
) -> tuple[int, str] | None:
    """Return (instant, what it was) of the first sign that the gateway noticed a fault."""
    stale: set[int] = set()
    for event in events:
        what = _sign(event, fault.link, stale)
        if what and fault.start_ns <= event.time_ns <= until_ns:
            return event.time_ns, what
    return None


def _sign(event: Event, link: str, stale: set[int]) -> str:
    """Say what an event shows of trouble with `link`; "" where nothing."""
    detail = event.detail
    if event.kind == LINK_EVENT and link in ("", detail.get("name")):
        state, reason = str(detail.get("state", "")), str(detail.get("reason", ""))
        if state not in UP:
            return f"link {detail.get('name')} {state}" + (f": {reason}" if reason else "")
    elif event.kind == STALE_EVENT and link in ("", detail.get("link")):
        listed = set(detail.get("signals", ()))
        more = listed - stale
        stale.clear()
        stale.update(listed)
        if more:
            return f"{len(more)} signal{'s' if len(more) > 1 else ''} of {detail.get('link')} stale"
    elif event.kind in NOTICES:
        return event.kind.removeprefix("gateway.")
    elif event.kind == "can" and link in ("", "can") and detail.get("name") == "bus_off":
        return "a controller left the bus"
    return ""


def fault_windows(events: Iterable[Event], end_ns: int | None) -> list[FaultWindow]:
    """Return the faults of events; one that is still active ends at `end_ns`, or at the last."""
    open_: dict[tuple[str, Any], Event] = {}
    found = []
    latest_ns = end_ns or 0
    for event in events:
        latest_ns = max(latest_ns, event.time_ns)
        if event.kind != FAULT_EVENT:
            continue
        detail = event.detail
        key = (str(detail.get("name", "")), detail.get("number"))
        if detail.get("phase") == "start":
            open_[key] = event
        elif key in open_:
            found.append(_window(open_.pop(key), event.time_ns))
    found += [_window(event, latest_ns) for event in open_.values()]
    return sorted(found, key=lambda window: (window.start_ns, window.name))


def _window(start: Event, end_ns: int) -> FaultWindow:
    detail = start.detail
    return FaultWindow(
        str(detail.get("name", "")),
        str(detail.get("kind", "")),
        str(detail.get("link", "")),
        start.time_ns,
        max(end_ns, start.time_ns),
    )


def required_recovery_s(manifest: Manifest, fault: FaultWindow) -> float | None:
    """Return the longest recovery from a fault that a limit allows."""
    allowed = []
    phase = manifest.phase_at(fault.end_ns)
    for limit in manifest.limits:
        link, _, rest = limit.name.partition(".")
        if rest != "recovery.max" or limit.max is None or fault.link not in ("", link):
            continue
        if limit.phase in (None, phase):
            try:
                allowed.append(convert(limit.max, limit.unit, "s"))
            except QuantityError:
                continue
    return min(allowed, default=None)


def _received(run: Run) -> dict[str, np.ndarray]:
    """Return link -> the instants at which its sound readings came in, in order; "" for all."""
    columns = run.part(REPORTED)
    if not columns[REPORTED] and run.finished:
        columns = run.part(STORED)
    parts: dict[str, list[np.ndarray]] = {}
    for name, column in columns[RECEIVED].items():
        sound = column.value > 0
        if len(column.state):
            sound &= column.state <= LAST_SOUND_STATE
        parts.setdefault(run.names.link(name), []).append(column.value[sound].astype(np.int64))
    found = {link: np.sort(np.concatenate(times)) for link, times in parts.items()}
    every = [times for times in found.values() if len(times)]
    return {**found, "": np.sort(np.concatenate(every)) if every else np.zeros(0, dtype=np.int64)}


def _next(times_ns: np.ndarray, after_ns: int) -> int | None:
    index = int(np.searchsorted(times_ns, after_ns))
    return int(times_ns[index]) if index < len(times_ns) else None
