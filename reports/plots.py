"""Which drawings a run gets, and what goes into them."""

from __future__ import annotations

import numpy as np

from reports.judged_run import JudgedRun
from reports.runs.figures import oldest_ages
from reports.svg.decimate import Floats
from reports.svg.element import Markup, element, join
from reports.svg.histogram import draw_histogram
from reports.svg.lanes import Lane, draw_lanes
from reports.svg.map import LocalTrack, draw_map
from reports.svg.strip import Band, Line, Mark, Strip, TimeSpan, draw_strip
from reports.text import short
from rig.measures.matching import Matched
from rig.measures.measures import Measured
from rig.measures.position import metres_per_degree
from rig.quantity import QuantityError, convert

# Most telling first; what the run did not store is left out.
_DRIVE_SIGNALS = (
    "SPEED",
    "RPM",
    "BOOST",
    "INTAKE_PRESSURE",
    "THROTTLE_POS",
    "ENGINE_LOAD",
    "COOLANT_TEMP",
    "FUEL_RATE",
    "GPS_SPEED",
    "ALT",
    "VehicleSpeed",
    "EngineSpeed",
    "BoostPressure",
)
_MOST_STRIPS = 8
_PERCENTILES = ("p50", "p95", "p99", "max")
_LATENCY_BUCKETS = 160
_FEWEST_IN_BUCKET = 4
_CEILING_FACTOR = 1.5
_FEWEST_STEPS = 20.0
_HALF_WIDTH, _THIRD_WIDTH = 520.0, 415.0


def span_of(run: JudgedRun) -> TimeSpan:
    """Return what the strips show: from the run's start to its end, start-up included."""
    end_s = run.manifest.seconds(run.manifest.end_ns)
    return TimeSpan(0.0, end_s if end_s > 0 else 1.0)


def lanes(run: JudgedRun) -> Markup:
    """Return phases and faults along the time axis."""
    manifest = run.manifest
    rows = [
        Lane(
            "phase",
            "phase",
            [
                Band(manifest.seconds(p.start_ns), manifest.seconds(p.end_ns), p.name)
                for p in manifest.phases
            ],
        )
    ]
    for link in dict.fromkeys(fault.link for fault in manifest.faults):
        bars = [band for band, of in _faults(run) if of == link]
        rows.append(Lane(link or "fault", "fault", bars))
    return draw_lanes(rows, span_of(run))


def drive_strips(run: JudgedRun) -> list[Markup]:
    """Return one figure per main signal: truth against stored."""
    chosen = []
    for signal in _DRIVE_SIGNALS:
        stored = _stored(run, signal)
        if stored is not None:
            chosen.append((signal, *stored))
    chosen = chosen[:_MOST_STRIPS]
    figures = []
    for index, (signal, link, times_s, values) in enumerate(chosen):
        lines = []
        truth = run.truth(signal)
        if truth is not None:
            lines.append(Line("truth", "truth", *truth))
        lines.append(Line("stored", "stored", times_s, values))
        bands = [band for band, of in _faults(run) if of in ("", link)]
        strip = Strip(lines, bands, smallest_range=_FEWEST_STEPS * _resolution(run, signal))
        picture = draw_strip(
            strip,
            span_of(run),
            axis=index == len(chosen) - 1,
            label=f"{signal} over time, truth and stored",
        )
        note = _fidelity_note(run, link, signal, len(values))
        figures.append(_figure(signal, _unit(run, signal), lines, picture, note, legend=index == 0))
    return figures


def latency_figure(run: JudgedRun, link: str) -> Markup | None:
    """Return the latency of a link over time with its limits; None if nothing was received."""
    times_ns, delays_ms = run.measures.links[link].latency_series("received")
    if not len(times_ns):
        return None
    times_s = run.seconds(times_ns)
    marks = latency_marks(run, link)
    centres, medians, high = _buckets(times_s, delays_ms, span_of(run))
    lines = [
        Line("each", "each", times_s, delays_ms),
        Line("p95", "p95", centres, high),
        Line("p50", "p50", centres, medians),
    ]
    known = [float(np.percentile(delays_ms, 99)), *(mark.value for mark in marks)]
    strip = Strip(
        lines,
        [band for band, of in _faults(run) if of in ("", link)],
        marks,
        height=120.0,
        from_zero=True,
        ceiling=_CEILING_FACTOR * max(known),
    )
    picture = draw_strip(strip, span_of(run), axis=True, label=f"latency of {link} over time")
    return _figure("Latency", "ms, measured to received", lines, picture)


def age_figure(run: JudgedRun, link: str) -> Markup | None:
    """Return the age of the oldest signal of a link, looked at each second; None if unknown."""
    looks, oldest = oldest_ages(run.measures, link)
    if not len(looks):
        return None
    lines = [Line("oldest", "stored", run.seconds(looks), oldest)]
    bands = [band for band, of in _faults(run) if of in ("", link)]
    strip = Strip(lines, bands, _marks(run, f"{link}.age.", "s"), height=64.0, from_zero=True)
    picture = draw_strip(strip, span_of(run), axis=True, label=f"age of {link} values over time")
    return _figure("Age", "s, the oldest of the link's signals", lines, picture)


def load_figure(run: JudgedRun, link: str) -> Markup | None:
    """Return the load of the CAN bus over time; None for a link that is not on it."""
    starts_ns, loads_pct = run.measures.bus.load_by_second()
    if link != "can" or not len(starts_ns):
        return None
    lines = [Line("each second", "stored", run.seconds(starts_ns), np.array(loads_pct))]
    bands = [band for band, of in _faults(run) if of in ("", link)]
    strip = Strip(lines, bands, height=64.0, from_zero=True)
    picture = draw_strip(strip, span_of(run), axis=True, label="load of the CAN bus over time")
    return _figure("Bus load", "%, intermission included", lines, picture)


def latency_marks(run: JudgedRun, link: str) -> list[Mark]:
    """Return the upper limits on a link's latency over the whole run or a phase of it."""
    return _marks(run, f"{link}.latency.", "ms")


def latency_histogram(run: JudgedRun, link: str) -> Markup | None:
    """Return how the latencies of a link are distributed; None if nothing was received."""
    _, delays_ms = run.measures.links[link].latency_series("received")
    if not len(delays_ms):
        return None
    return draw_histogram(
        delays_ms,
        latency_marks(run, link),
        "ms",
        f"distribution of the latency of {link}",
        width=_HALF_WIDTH,
    )


def position_figures(run: JudgedRun) -> tuple[Markup, Markup] | None:
    """Return the map and the distribution of the position error; None without positions."""
    track = run.measures.track
    true_lat, true_lon = run.truth("LAT"), run.truth("LON")
    if track is None or not len(track.time_ns):
        return None
    origin = float(track.true_lat_deg[0]), float(track.true_lon_deg[0])
    stored = _local(track.lat_deg, track.lon_deg, origin)
    if true_lat is None or true_lon is None:
        truth = _local(track.true_lat_deg, track.true_lon_deg, origin)
    else:
        truth = _local(true_lat[1], true_lon[1], origin)
    errors_m = track.errors_m
    picture = draw_map(truth, stored, int(errors_m.argmax()))
    marks = _marks(run, "gps.position_error.", "m")
    label = "distribution of the position error"
    return picture, draw_histogram(errors_m, marks, "m", label, width=_THIRD_WIDTH)


def percentile_row(run: JudgedRun, prefix: str) -> list[str]:
    """Return the percentiles of the measures that begin with `prefix`, as text."""
    found: list[Measured | None] = [run.measures.get(f"{prefix}.{p}") for p in _PERCENTILES]
    return [short(None if measured is None else measured.value, 3) for measured in found]


def _marks(run: JudgedRun, prefix: str, unit: str) -> list[Mark]:
    marks = {}
    for limit in run.manifest.limits:
        last = limit.name.removeprefix(prefix)
        if limit.max is None or not limit.name.startswith(prefix) or last not in _PERCENTILES:
            continue
        try:
            value = convert(limit.max, limit.unit, unit)
        except QuantityError:
            continue
        where = f" {limit.phase}" if limit.phase else ""
        marks[f"{last}{where} ≤ {short(value)}"] = value
    return [Mark(value, label) for label, value in marks.items()]


def _faults(run: JudgedRun) -> list[tuple[Band, str]]:
    manifest = run.manifest
    return [
        (Band(manifest.seconds(f.start_ns), manifest.seconds(f.end_ns), f.name or f.kind), f.link)
        for f in manifest.faults
    ]


def _stored(run: JudgedRun, signal: str) -> tuple[str, Floats, Floats] | None:
    """Return (link, virtual seconds, values) of what was stored, in order of time."""
    for name, link in run.measures.links.items():
        matched: Matched | None = link.stored.get(signal)
        if matched is not None and len(matched.readings):
            order = np.argsort(matched.measured_ns, kind="stable")
            return name, run.seconds(matched.measured_ns[order]), matched.readings.value[order]
    derived = run.measures.derived().get(signal)
    if derived is None:
        return None
    order = np.argsort(derived[0], kind="stable")
    return "obd", run.seconds(derived[0][order]), derived[1][order]


def _unit(run: JudgedRun, signal: str) -> str:
    return next((s.unit for s in run.measures.signals.values() if s.name == signal), "")


def _fidelity_note(run: JudgedRun, link: str, signal: str, stored: int) -> str:
    """Say how many values were stored and how far the worst one is off."""
    rows = run.measures.fidelity_by_signal(link) if link in run.measures.links else []
    worst = next((row.max_steps for row in rows if row.signal == signal), None)
    off = "" if worst is None else f", worst off by {short(round(worst, 6), 3)} steps"
    return f"{stored:,} stored{off}"


def _resolution(run: JudgedRun, signal: str) -> float:
    return next((s.resolution for s in run.measures.signals.values() if s.name == signal), 0.0)


def _figure(
    name: str, unit: str, lines: list[Line], picture: Markup, note: str = "", *, legend: bool = True
) -> Markup:
    keys = [
        element("span", element("i", class_=f"key {line.look}"), line.label, class_="legend")
        for line in lines
        if legend
    ]
    head = element(
        "figcaption",
        element("b", name),
        element("span", unit, class_="unit"),
        element("span", class_="readout"),
        element("span", join(*keys), class_="legends"),
        element("span", note, class_="unit note-right") if note else Markup(""),
    )
    return element("figure", head, picture)


def _buckets(times_s: Floats, values: Floats, span: TimeSpan) -> tuple[Floats, Floats, Floats]:
    """Return (middles, medians, 95th percentiles) of equal spans of time that hold enough."""
    width = (span.end_s - span.start_s) / _LATENCY_BUCKETS
    edges = np.arange(_LATENCY_BUCKETS + 1) * width + span.start_s
    cuts = np.searchsorted(times_s, edges)
    rows = [
        (edges[i] + width / 2, *np.percentile(values[a:b], (50, 95)))
        for i, (a, b) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True))
        if b - a >= _FEWEST_IN_BUCKET
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _local(lat_deg: Floats, lon_deg: Floats, origin: tuple[float, float]) -> LocalTrack:
    north_m, east_m = metres_per_degree(origin[0])
    return LocalTrack((lon_deg - origin[1]) * east_m, (lat_deg - origin[0]) * north_m)
