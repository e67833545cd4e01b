"""A scenario's limits as the pages draw them: bounds, window, outcome, value, margin, line."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from reports.runs.figures import FAMILIES, figure_of
from reports.runs.run import Run
from rig.judge.limits import Limit, Outcome, Verdict
from rig.measures.names import find_measure
from rig.measures.windows import window_of
from rig.quantity import QuantityError, convert

RUNNING, UNJUDGED = "running", "unjudged"
AT_THE_END = ("readings.", "gateway.", "log.", "rig.", "store.", "ingest.")
"""Measures that mean nothing before a run has ended."""


class DrawnLimit(msgspec.Struct, frozen=True):
    """One limit; where it holds for several phases of one name, each has its own.

    Attributes:
        signal: the course in which it is drawn; None where it is only a number.
        min, max, warn_min, warn_max: in the course's unit.
        value, margin: as measured, in `unit`.
        spans: what is judged, where that is less than from start to end.
        about: what is measured.
    """

    id: str
    name: str
    text: str
    unit: str
    min: float | None
    max: float | None
    warn_min: float | None
    warn_max: float | None
    start_s: float
    end_s: float
    signal: str | None
    outcome: str
    value: float | None
    margin: float | None
    margin_pct: float | None
    reason: str
    phase: str | None
    except_faults: bool
    spans: list[tuple[float, float]]
    file: str
    line: int
    about: str = ""
    after: bool = False


def limits_of(
    run: Run, verdicts: Sequence[Verdict] | None, now_ns: int | None = None
) -> list[DrawnLimit]:
    """Return the limits of a run with their verdicts.

    Args:
        run: the run.
        verdicts: one for each of the manifest's limits; None where nobody has judged yet.
        now_ns: of a run that goes on: what lies behind it is judged, the rest is under way.
    """
    found = []
    for number, limit in enumerate(run.manifest.limits):
        verdict = None if verdicts is None else verdicts[number]
        found += _drawn(run, number, limit, verdict, now_ns)
    return found


def _drawn(
    run: Run, number: int, limit: Limit, verdict: Verdict | None, now_ns: int | None
) -> list[DrawnLimit]:
    manifest = run.manifest
    signal = figure_of(limit.name)
    unit = FAMILIES[signal.split(".", 1)[1]].unit if signal else limit.unit
    bounds = _bounds(limit, unit)
    link = limit.name.split(".", 1)[0] if signal else None
    window = window_of(manifest, limit.phase, limit.except_faults, link)
    spans = window.spans if window is not None else ()
    phases = [(p.start_ns, p.end_ns) for p in manifest.phases if p.name == limit.phase]
    entry = find_measure(limit.name)
    where = f" [{limit.window}]" if limit.window else ""
    wholes = phases if limit.phase is not None else [(manifest.start_ns, manifest.end_ns)]
    return [
        DrawnLimit(
            id=f"limit-{number}" + (f"-{part}" if part else ""),
            name=limit.name,
            text=f"{limit.name} {limit.bound}{where}",
            unit=limit.unit,
            min=bounds["min"],
            max=bounds["max"],
            warn_min=bounds["warn"] if limit.max is None else None,
            warn_max=bounds["warn"] if limit.max is not None else None,
            start_s=start / 1e9,
            end_s=end / 1e9,
            signal=signal,
            outcome=outcome_of(limit, verdict, end, now_ns),
            value=_finite(verdict.value if verdict else None),
            margin=_finite(verdict.margin if verdict else None),
            margin_pct=_finite(verdict.margin_pct if verdict else None),
            reason=verdict.reason if verdict else "",
            phase=limit.phase,
            except_faults=limit.except_faults,
            spans=[(a / 1e9, b / 1e9) for a, b in spans if a >= start and b <= end],
            file=manifest.scenario_path,
            line=limit.line,
            about=entry.about if entry else "",
            after=limit.after,
        )
        for part, (start, end) in enumerate(wholes or [(manifest.start_ns, manifest.end_ns)])
    ]


def outcome_of(limit: Limit, verdict: Verdict | None, end_ns: int, now_ns: int | None) -> str:
    """Return what to say of a limit; of a run that goes on, only what will stay so is said."""
    if verdict is not None and verdict.outcome is Outcome.SKIPPED:
        return Outcome.SKIPPED.value.lower()
    if now_ns is None:
        return UNJUDGED if verdict is None else verdict.outcome.value.lower()
    is_over = end_ns <= now_ns and not limit.after and not limit.name.startswith(AT_THE_END)
    if verdict is None or not is_over:
        return RUNNING
    return verdict.outcome.value.lower()


def _bounds(limit: Limit, unit: str) -> dict[str, float | None]:
    low = limit.equals if limit.min is None else limit.min
    high = limit.equals if limit.max is None else limit.max
    found = {}
    for name, bound in (("min", low), ("max", high), ("warn", limit.warn)):
        try:
            found[name] = None if bound is None else convert(bound, limit.unit, unit)
        except QuantityError:
            found[name] = None
    return found


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
