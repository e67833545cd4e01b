"""Figures of a run as numbers: every measure, each signal, the counters of each link."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reports.runs.figures import figure_of
from reports.runs.problem import RunError
from reports.runs.run import REPORTED, STORED, Run
from rig.measures.names import find_measure


def statistics_of(run: Run, start_ns: int, end_ns: int) -> dict[str, Any]:
    """Return the figures of each signal from start to end, and every measure of the run.

    A record that is too damaged for measures has those of its signals alone, and says why.
    """
    layer = STORED if run.finished else REPORTED
    signals = []
    for name, column in sorted(run.part(layer)[layer].items()):
        begin, end = column.between(start_ns, end_ns)
        values = column.value[begin:end]
        values = values[np.isfinite(values)]
        signals.append(
            {
                "signal": name,
                "unit": run.names.info(name).unit,
                "link": run.names.link(name),
                "count": end - begin,
                "min": float(values.min()) if len(values) else None,
                "max": float(values.max()) if len(values) else None,
                "mean": float(values.mean()) if len(values) else None,
                "first_ns": int(column.time_ns[begin]) if end > begin else None,
                "last_ns": int(column.time_ns[end - 1]) if end > begin else None,
            }
        )
    measures, trouble = _measures(run)
    return {
        "signals": signals,
        "measures": measures,
        "counters": run.manifest.result.get("counters") or {},
        "phases": [phase.name for phase in run.manifest.phases],
        "trouble": trouble,
    }


def _measures(run: Run) -> tuple[list[dict[str, Any]], str]:
    try:
        found = run.measures().all()
    except RunError as error:
        return [], str(error)
    rows = []
    for name, measured in found.items():
        entry = find_measure(name)
        rows.append(
            {
                "name": name,
                "value": measured.value if math.isfinite(measured.value) else None,
                "unit": measured.unit,
                "about": entry.about if entry else "",
                "signal": figure_of(name),
            }
        )
    return rows, ""
