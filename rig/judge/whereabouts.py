"""Where in a run a limit was broken worst: the scenario's own notation, `cruise+23.4 s`."""

from __future__ import annotations

import numpy as np

from rig.judge.limits import Verdict
from rig.measures.arrays import Floats, Ints
from rig.measures.counts import is_error_line
from rig.measures.link import Link
from rig.measures.measures import Measures
from rig.measures.names import link_of
from rig.measures.windows import Window, window_of
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader

SHOWN_LINE_CHARACTERS = 160
_LATENCIES = {
    "latency.stored.": "stored",
    "latency.published.": "published",
    "latency.": "received",
}
_ERRORS = {"fidelity.": "wire", "truth_error.": "true"}
_GAPS = ("rate", "coverage", "outage.", "start")


def whereabouts(record: RecordReader, measures: Measures, verdict: Verdict) -> str:
    """Say where `verdict` was broken worst; empty where no instant can be named."""
    limit = verdict.limit
    if limit.name == "log.errors":
        return _first_error(record)
    name = link_of(limit.name)
    link = measures.links.get(name) if name else None
    if link is None:
        return ""
    manifest = record.manifest
    window = window_of(manifest, limit.phase, limit.except_faults, link.name)
    if window is None:
        return ""
    measure = limit.name.removeprefix(f"{link.name}.")
    if measure == "gone":
        return _departures(manifest, link.name)
    if measure.startswith(_GAPS):
        return _longest_gap(manifest, link, window)
    if measure == "missing":
        times_ns = link.missing_ns(window)
        return f"first at {place(manifest, int(times_ns[0]))}" if len(times_ns) else ""
    if measure == "invalid":
        return _first_invalid(manifest, link, window)
    for prefix, kind in _LATENCIES.items():
        if measure.startswith(prefix):
            return _worst(manifest, window, *link.latency_series(kind))
    for prefix, against in _ERRORS.items():
        if measure.startswith(prefix):
            return _worst_error(manifest, link, window, against)
    if measure.startswith("time_error."):
        return _worst(manifest, window, *link.time_error_series)
    if measure.startswith("age."):
        return _worst(manifest, window, *measures.age_series(link.name))
    if measure.startswith("position_error.") and measures.track is not None:
        return _worst(manifest, window, measures.track.time_ns, measures.track.errors_m)
    return ""


def place(manifest: Manifest, time_ns: int) -> str:
    """Return an instant as `cruise+23.4 s`, or as seconds of the run outside every phase."""
    for phase in manifest.phases:
        if phase.start_ns <= time_ns < phase.end_ns:
            return f"{phase.name}+{(time_ns - phase.start_ns) / 1e9:.1f} s"
    return f"{manifest.seconds(time_ns):.1f} s of the run"


def _departures(manifest: Manifest, link: str) -> str:
    """Say when a real device went away, what its port said, and whether it came back."""
    told = []
    for outage in manifest.result.get("gone", {}).get(link, ()):
        start_ns, end_ns = int(outage["start_ns"]), int(outage["end_ns"])
        reason = f" ({outage['reason']})" if outage["reason"] else ""
        after = f"back after {(end_ns - start_ns) / 1e9:.1f} s" if end_ns else "never back"
        told.append(f"{outage['place']} went away at {place(manifest, start_ns)}{reason}, {after}")
    return "; ".join(told)


def _worst(manifest: Manifest, window: Window, times_ns: Ints, values: Floats) -> str:
    inside = window.holds(times_ns)
    if not inside.any():
        return ""
    index = int(np.argmax(np.where(inside, values, -np.inf)))
    return f"worst at {place(manifest, int(times_ns[index]))}"


def _worst_error(manifest: Manifest, link: Link, window: Window, against: str) -> str:
    found: tuple[float, str, int] | None = None
    for signal, matched in link.stored.items():
        errors = np.abs(link.errors_steps(window, against, signal))
        if len(errors):
            index = int(np.argmax(errors))
            times_ns = matched.measured_ns[matched.has_sample & window.holds(matched.measured_ns)]
            candidate = (float(errors[index]), signal, int(times_ns[index]))
            found = candidate if found is None else max(found, candidate)
    return "" if found is None else f"worst: {found[1]} at {place(manifest, found[2])}"


def _longest_gap(manifest: Manifest, link: Link, window: Window) -> str:
    longest: tuple[int, int] = (0, 0)
    for start_ns, end_ns in window.spans:
        received = link.received_ns
        inside = received[(received >= start_ns) & (received < end_ns)]
        edges = np.concatenate(([start_ns], inside, [end_ns])).astype(np.int64)
        gaps = np.diff(edges)
        index = int(np.argmax(gaps))
        longest = max(longest, (int(gaps[index]), int(edges[index])))
    if not longest[0]:
        return ""
    return f"longest gap: {longest[0] / 1e9:.3g} s from {place(manifest, longest[1])}"


def _first_invalid(manifest: Manifest, link: Link, window: Window) -> str:
    matched = link.stored.get("LAT")
    if matched is None:
        return ""
    times_ns = matched.measured_ns[~matched.has_sample & window.holds(matched.measured_ns)]
    return f"first at {place(manifest, int(times_ns.min()))}" if len(times_ns) else ""


def _first_error(record: RecordReader) -> str:
    line = next(filter(is_error_line, record.log_lines), "")
    return f"first: {line[:SHOWN_LINE_CHARACTERS]}" if line else ""
