"""Courses of figures: the strips in which a scenario's limits are drawn.

Each family of measures of which a course over time makes sense has one (`FAMILIES`); the others are
numbers, and stand in the statistics. Beside them are the errors and the delays of each signal. All
of it comes from `rig.measures`, as the verdict does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from reports.runs.columns import Column, Columns, column_of
from reports.runs.names import LOCAL, Names
from rig.measures.air import Air
from rig.measures.arrays import Bools, Floats, Ints, Readings, floats, ints, published_readings
from rig.measures.link import Link, error_series
from rig.measures.matching import EPOCH_LINK, Matched
from rig.measures.measures import Measures
from rig.measures.names import AIR_MEASURES, find_measure, link_of
from rig.measures.stale import STALE_EVENT
from rig.measures.states import DEGRADED, LINK_EVENT
from rig.measures.stored import stored_readings
from rig.measures.uplinks import LINK as BOARDS
from rig.measures.uplinks import Uplinks
from rig.measures.windows import Window
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import CAN_ERROR

SECOND_NS = 1_000_000_000
COVERAGE_NS = 10 * SECOND_NS
STEPS = 60
"""Of courses that add up from the start: how often they are looked at."""
_NS_PER_MS = 1e6
_MESH, _CAN, _GPS = "mesh", "can", EPOCH_LINK


@dataclass(frozen=True, slots=True)
class Family:
    """A course that a link can have.

    Attributes:
        unit: of the values.
        about: what a value says.
        only: the link that alone has it; "" for all.
        needs_truth: True where a real device has none.
    """

    unit: str
    about: str
    only: str = ""
    needs_truth: bool = False


FAMILIES: Mapping[str, Family] = {
    "latency": Family("ms", "from the instant measured to received, each reading"),
    "latency.stored": Family("ms", "from the instant measured to committed, each reading"),
    "latency.published": Family(
        "ms", "from the instant measured to the arrival at a WebSocket client, each reading"
    ),
    "age": Family("s", "age of the oldest of the link's newest values, looked at each second"),
    "time_error": Family("ms", "how far off a reading's own instant is", needs_truth=True),
    "rate": Family("/s", "readings stored, each second"),
    "coverage": Family("%", "readings stored of those called for, each ten seconds"),
    "missing": Family("", "values not in the store, added up", needs_truth=True),
    "fidelity": Family("step", "stored value off the one on the wire", needs_truth=True),
    "truth_error": Family("step", "stored value off what was true", needs_truth=True),
    "outage": Family("s", "time since the reading before, at each reading"),
    "recovery": Family("s", "from a fault's end to the next reading"),
    "degraded": Family("%", "100 while the gateway calls the link degraded"),
    "stale": Family("", "signals that the gateway calls stale"),
    "position_error": Family("m", "distance from the truth", only=_GPS, needs_truth=True),
    "compression_ratio": Family("x", "bytes of the plain record / bytes sent, so far", only="+"),
    "suppression_ratio": Family("", "readings not sent / readings taken, so far", only="+"),
    "bits_per_reading": Family("bit", "bits sent for each reading, so far", only=BOARDS),
    "queue": Family("", "packets that waited on a board, at most", only=BOARDS),
    "delivery": Family("%", "packets stored of those sent, so far", only=_MESH),
    "airtime": Family("%", "time on the air of the busiest vehicle, so far", only=_MESH),
    "channel_utilisation": Family("%", "time with any radio on the air, so far", only=_MESH),
    "collisions": Family("%", "frames lost to another frame, so far", only=_MESH),
    "bus_load": Family("%", "load of the bus, each second", only=_CAN),
    "frames": Family("/s", "frames on the bus, each second", only=_CAN),
    "error_frames": Family("", "error frames on the bus, added up", only=_CAN),
}
_SENDERS = (BOARDS, _MESH)
_LAST_WORDS = ("p50", "p95", "p99", "max", "rms", "worst")
_OTHER_NAMES = {"queue_max": "queue"}
_MEASURES_OF = {family: measure for measure, family in _OTHER_NAMES.items()}


def figure_units(manifest: Manifest) -> dict[str, Family]:
    """Return the courses that a run can have: name -> family."""
    found = {}
    for link in links_of(manifest):
        for name, family in FAMILIES.items():
            if family.only == "+":
                fits = link in _SENDERS
            else:
                fits = family.only in ("", link)
            if fits and not (family.needs_truth and link in manifest.real_links):
                found[f"{link}.{name}"] = family
    return found


def links_of(manifest: Manifest) -> list[str]:
    """Return the links that the plan or the devices of a run name."""
    return list(dict.fromkeys([*manifest.plan, *manifest.devices.values()]))


def figure_of(measure: str) -> str | None:
    """Return the course in which a limit on `measure` is drawn; None where it is only a number."""
    link = link_of(measure)
    if link is None or find_measure(measure) is None:
        return None
    name = measure.removeprefix(f"{link}.")
    family, _, last = name.rpartition(".")
    name = family if last in _LAST_WORDS and family else name
    name = _OTHER_NAMES.get(name, name)
    if name.startswith("stale.") or name not in FAMILIES:
        return None
    return f"{link}.{name}"


def derive(record: RecordReader, measures: Measures, names: Names) -> dict[str, Columns]:
    """Return the courses ("figure"), and of each signal its errors ("error") and delays ("delay").

    An error is the stored value less the true one, in the signal's unit.
    """
    figures: Columns = {}
    for link, family, make in _makers(record, measures):
        times_ns, values = make()
        if len(times_ns):
            figures[f"{link}.{family}"] = column_of(times_ns, values)
    errors, delays = _of_signals(measures, names)
    return {"figure": figures, "error": errors, "delay": delays}


_Course = tuple[Ints, Floats]
_NOTHING: _Course = (ints([]), floats([]))


def _makers(
    record: RecordReader, measures: Measures
) -> Iterator[tuple[str, str, Callable[[], _Course]]]:
    manifest = measures.manifest
    whole = Window(((manifest.start_ns, max(manifest.end_ns, manifest.start_ns)),))
    for name, link in measures.links.items():
        for family, kind in (("latency", "received"), ("latency.stored", "stored"),
                             ("latency.published", "published")):  # fmt: skip
            yield name, family, partial(link.latency_series, kind)
        yield name, "age", partial(oldest_ages, measures, name)
        yield name, "time_error", partial(getattr, link, "time_error_series")
        yield name, "rate", partial(_rate, link, whole)
        yield name, "coverage", partial(link.coverage_series, whole.spans[0], COVERAGE_NS)
        yield name, "missing", partial(_missing, link, whole)
        for family, against in (("fidelity", "wire"), ("truth_error", "true")):
            yield name, family, partial(_steps, link, against)
        yield name, "outage", partial(_outages, link)
        yield name, "recovery", partial(_recoveries, link, manifest)
        yield name, "degraded", partial(_degraded, record, name)
        yield name, "stale", partial(_stale, record, name)
    if measures.track is not None:
        track = measures.track
        yield _GPS, "position_error", lambda: (track.time_ns, track.errors_m)
    if BOARDS in measures.links:
        uplinks = Uplinks(record)
        for family in ("compression_ratio", "suppression_ratio", "bits_per_reading", "queue"):
            wanted = _MEASURES_OF.get(family, family)
            yield BOARDS, family, partial(_so_far, _all_of(record), partial(_sent, uplinks, wanted))
    if _MESH in measures.links and manifest.mesh is not None:
        air = Air(record)
        stored = stored_readings(record, published_readings(record))
        for family in AIR_MEASURES:
            yield _MESH, family, partial(_so_far, whole, partial(_on_air, air, family, stored))
    if _CAN in measures.links:
        yield from _of_bus(record, measures)


def _of_bus(
    record: RecordReader, measures: Measures
) -> Iterator[tuple[str, str, Callable[[], _Course]]]:
    starts_ns, loads_pct = measures.bus.load_by_second()
    yield _CAN, "bus_load", lambda: (starts_ns, floats(loads_pct))
    times_ns = ints([row.time_ns for row in record.can])
    is_error = np.array([bool(row.flags & CAN_ERROR) for row in record.can], dtype=bool)
    yield _CAN, "frames", lambda: _by_second(times_ns[~is_error])
    yield _CAN, "error_frames", lambda: _added_up(times_ns[is_error])


def oldest_ages(measures: Measures, link: str) -> _Course:
    """Return (instants of looking, age of the oldest signal of a link in s)."""
    looks_ns, ages_s = measures.age_series(link)
    looks, where = np.unique(looks_ns, return_inverse=True)
    oldest = np.zeros(len(looks))
    np.maximum.at(oldest, where, ages_s)
    return looks, oldest


def _rate(link: Link, whole: Window) -> _Course:
    parts = [m.measured_ns for m in link.stored.values()]
    if not parts:
        return _NOTHING
    times_ns = np.concatenate(parts)
    return _by_second(times_ns[whole.holds(times_ns)], whole.spans[0])


def _by_second(times_ns: Ints, span: tuple[int, int] | None = None) -> _Course:
    if not len(times_ns):
        return _NOTHING
    begin_ns, end_ns = span or (int(times_ns.min()), int(times_ns.max()))
    count = max(1, (end_ns - begin_ns) // SECOND_NS)
    second = (times_ns - begin_ns) // SECOND_NS
    second = second[second < count]
    counts = np.bincount(second, minlength=count).astype(np.float64)
    return begin_ns + np.arange(count, dtype=np.int64) * SECOND_NS, counts


def _all_of(record: RecordReader) -> Window:
    """Return the whole of a record: what boards sent counts from their first byte on."""
    manifest = record.manifest
    sim_s = float(manifest.result.get("sim_s") or 0.0)
    end_ns = max(manifest.end_ns, manifest.epoch_ns + round(sim_s * 1e9))
    return Window(((manifest.epoch_ns, end_ns + 1),))


def _missing(link: Link, whole: Window) -> _Course:
    return _added_up(link.missing_ns(whole))


def _sent(uplinks: Uplinks, measure: str, window: Window) -> float | None:
    return uplinks.figure(measure, window)[0]


def _on_air(air: Air, measure: str, stored: Readings, window: Window) -> float | None:
    return air.figure(measure, window, stored)[0]


def _added_up(times_ns: Ints) -> _Course:
    times_ns = np.sort(times_ns)
    return times_ns, np.arange(1, len(times_ns) + 1, dtype=np.float64)


def _steps(link: Link, against: str) -> _Course:
    parts = [error_series(matched, against) for matched in link.stored.values()]
    if not parts:
        return _NOTHING
    times, errors = zip(*parts, strict=True)
    return np.concatenate(times), np.abs(np.concatenate(errors))


def _outages(link: Link) -> _Course:
    received = link.received_ns
    return received[1:], np.diff(received) / 1e9


def _recoveries(link: Link, manifest: Manifest) -> _Course:
    times, values = [], []
    for fault in manifest.faults:
        if fault.link in ("", link.name):
            seconds = link.recovery_s(fault.end_ns)
            if np.isfinite(seconds):
                times.append(fault.end_ns + round(seconds * 1e9))
                values.append(seconds)
    return ints(times), floats(values)


def _degraded(record: RecordReader, link: str) -> _Course:
    times, values = [], []
    for event in record.events:
        detail = event.detail
        if event.kind == LINK_EVENT and detail.get("name") == link and "gateway" not in detail:
            times.append(event.time_ns)
            values.append(100.0 if detail.get("state") == DEGRADED else 0.0)
    return _stairs(times, values)


def _stale(record: RecordReader, link: str) -> _Course:
    found = [
        (event.time_ns, float(len(event.detail["signals"])))
        for event in record.events
        if event.kind == STALE_EVENT and event.detail.get("link") == link
    ]
    return _stairs([time_ns for time_ns, _ in found], [count for _, count in found])


def _stairs(times: list[int], values: list[float]) -> _Course:
    """Repeat each value just before the next one: a line between points would slope."""
    all_times, all_values = times[:1], values[:1]
    for time_ns, before, value in zip(times[1:], values[:-1], values[1:], strict=True):
        all_times += [time_ns - 1, time_ns]
        all_values += [before, value]
    return ints(all_times), floats(all_values)


def _so_far(whole: Window, figure: Callable[[Window], float | None]) -> _Course:
    begin_ns, end_ns = whole.spans[0]
    times, values = [], []
    for step in range(1, STEPS + 1):
        at_ns = begin_ns + (end_ns - begin_ns) * step // STEPS
        value = figure(Window(((begin_ns, at_ns),)))
        if value is not None:
            times.append(at_ns)
            values.append(value)
    return ints(times), floats(values)


def _of_signals(measures: Measures, names: Names) -> tuple[Columns, Columns]:
    errors: Columns = {}
    delays: Columns = {}
    devices = [LOCAL, *measures.manifest.devices]
    for link in [*measures.links.values()]:
        for signal, matched in link.stored.items():
            for number in np.unique(matched.readings.device).tolist():
                name = names.of(devices[number], signal)
                own = matched.readings.device == number
                errors[name], delays[name] = _of_signal(matched, own)
    found = {name: column for name, column in errors.items() if len(column.time_ns)}
    return found, {name: column for name, column in delays.items() if len(column.time_ns)}


def _of_signal(matched: Matched, own: Bools) -> tuple[Column, Column]:
    readings = matched.readings
    known = own & matched.has_sample
    true = matched.samples.true[matched.sample[known]]
    error = readings.value[known] - true
    wraps = matched.info.wraps
    if wraps is not None:
        error = (error + wraps / 2) % wraps - wraps / 2
    sound = ~np.isnan(error)
    delay_ms = (readings.received_ns[known] - matched.measured_ns[known]) / _NS_PER_MS
    times_ns = readings.time_ns[known]
    return column_of(times_ns[sound], error[sound]), column_of(times_ns, delay_ms)
