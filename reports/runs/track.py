"""Where the car was: as reported, and as it truly was."""

from __future__ import annotations

from typing import Any

import numpy as np

from reports.runs.columns import Column
from reports.runs.run import REPORTED, STORED, TRUE, Run
from rig.measures.arrays import Floats, Ints

LAT, LON = "LAT", "LON"


def track_of(run: Run, start_ns: int, end_ns: int, points: int) -> dict[str, Any]:
    """Return {"reported": {times_ns, lat, lon}, "truth": the same or None} with gaps left out.

    Without positions both are None; of several devices the first one's track is given.
    """
    layer = STORED if run.finished else REPORTED
    columns = run.part(layer)[layer]
    name = next((n for n in sorted(columns) if run.names.split(n)[1] == LAT), None)
    reported = truth = None
    if name is not None:
        lat, lon = columns[name], columns.get(name.removesuffix(LAT) + LON)
        reported = None if lon is None else _line(lat, lon, start_ns, end_ns, points)
    column = name or LAT
    true_lat = run.column(column, TRUE)
    true_lon = run.column(column.removesuffix(LAT) + LON, TRUE)
    if len(true_lat.time_ns):
        truth = _line(true_lat, true_lon, start_ns, end_ns, points)
    return {"reported": reported, "truth": truth, "source": name}


def _line(lat: Column, lon: Column, start_ns: int, end_ns: int, points: int) -> dict[str, Any]:
    times_ns, i, j = np.intersect1d(lat.time_ns, lon.time_ns, return_indices=True)
    inside = (times_ns >= start_ns) & (times_ns <= end_ns)
    lat_deg, lon_deg = lat.value[i], lon.value[j]
    inside &= np.isfinite(lat_deg) & np.isfinite(lon_deg)
    times_ns, lat_deg, lon_deg = times_ns[inside], lat_deg[inside], lon_deg[inside]
    kept = _farthest(times_ns, lat_deg, lon_deg, points)
    return {
        "count": len(times_ns),
        "times_ns": times_ns[kept].tolist(),
        "lat": lat_deg[kept].tolist(),
        "lon": lon_deg[kept].tolist(),
    }


def _farthest(times_ns: Ints, lat_deg: Floats, lon_deg: Floats, points: int) -> Ints:
    """Return places at equal ways along the line: no bend is lost where the car was fast."""
    if len(times_ns) <= points:
        return np.arange(len(times_ns))
    step = np.hypot(np.diff(lat_deg), np.diff(lon_deg) * np.cos(np.radians(lat_deg[:-1])))
    # Half by the way, half by the number: one that stands still has no way.
    way = np.concatenate(([0.0], np.cumsum(step)))
    share = way / way[-1] if way[-1] > 0 else np.zeros(len(way))
    share = share + np.arange(len(way)) / len(way)
    wanted = np.linspace(0.0, float(share[-1]), points)
    return np.unique(np.clip(np.searchsorted(share, wanted), 0, len(share) - 1))
