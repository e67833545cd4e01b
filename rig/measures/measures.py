"""The figures of a run, looked up by name, phase, and with or without the faults' windows.

`measure(record)` reads the record once (about 0.2 s for ten minutes of driving); each figure is
computed when it is first asked for. `rig.measures.names` lists the names and their definitions.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from rig.measures.age import ages, ages_in
from rig.measures.air import Air
from rig.measures.arrays import (
    LOCAL,
    Floats,
    Ints,
    Readings,
    percentile,
    published_readings,
)
from rig.measures.bus import BUS_MEASURES, Bus, count_strange
from rig.measures.bus import LINK as CAN_LINK
from rig.measures.counts import (
    count_acknowledged_lost,
    count_board_events,
    count_doubled,
    count_lost,
    count_unpublished,
    is_error_line,
    is_exception_line,
    most_waiting,
)
from rig.measures.link import Link
from rig.measures.matching import (
    NO_SAMPLES,
    Matched,
    Samples,
    changes,
    joined,
    match,
    match_devices,
    samples_by_signal,
)
from rig.measures.names import AIR_MEASURES, MEASURE_NAMES
from rig.measures.position import Track, stored_track
from rig.measures.real_links import clock_offset_ns, wire_samples
from rig.measures.rows import count_invented, longest_gap_s, match_rows, rows_of, sound, step_ns
from rig.measures.signals import signals_of
from rig.measures.stale import marks_of, unmarked_s, wrongly_marked_s
from rig.measures.starts import (
    Count,
    count_by_start,
    kills_of,
    oldest_lost_s,
    store_recovery_s,
    unwatched,
)
from rig.measures.states import degraded_pct
from rig.measures.stored import stored_readings
from rig.measures.uplinks import LINK as ESP32_LINK
from rig.measures.uplinks import UPLINK_MEASURES, Uplinks
from rig.measures.windows import Window, window_of
from rig.record.manifest import CanInfo, Manifest, SignalInfo
from rig.record.reader import RecordReader
from rig.record.streams import link_of_wire

_LINK_MEASURE = re.compile(r"(?P<link>[a-z][a-z0-9_]*)\.(?P<name>.+)")
_COUNTER = "counter."
_MESH = "mesh"
_DERIVED = "derived"  # source of the samples of what the gateway computes; no link


class Measured(NamedTuple):
    """One value with its unit."""

    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class SignalFidelity:
    """How true the stored values of one signal are, for tables."""

    signal: str
    unit: str
    resolution: float
    readings: int
    rate_per_s: float | None
    max_steps: float | None
    rms_steps: float | None


class Measures:
    """Every figure of one run. Made by `measure`."""

    def __init__(self, record: RecordReader) -> None:
        self.manifest: Manifest = record.manifest
        self.signals: dict[int, SignalInfo] = signals_of(record.manifest)
        self._published = published_readings(record)
        self._stored = stored_readings(record, self._published)
        self._acknowledged = record.stored_at
        self._log_lines = record.log_lines
        self._events = record.events
        self._marks = marks_of(record.events, record.manifest.end_ns, self._kills_ns)
        self._uplinks = Uplinks(record)
        self._air = Air(record)
        self.bus = Bus(record)
        told = wire_samples(record)
        samples = samples_by_signal(record.samples) | told
        self._tapped = {link for link, _ in told}
        self._devices = {name: n for n, name in enumerate(record.manifest.devices, LOCAL + 1)}
        names = {source for source, _ in samples} | set(record.manifest.plan) | set(record.links)
        names = {link_of_wire(name) for name in names}
        names |= {
            self.signals[s].link
            for s in np.unique(self._stored.signal[self._stored.device == LOCAL]).tolist()
            if s in self.signals
        }
        self.links: dict[str, Link] = {
            name: self._link(name, samples) for name in sorted(names - {"", _DERIVED})
        }
        self._derived = self._link(_DERIVED, samples)
        self._found: dict[tuple[str, str | None, bool], Measured | None] = {}

    # -- looking up ------------------------------------------------------------------------------
    def get(
        self, name: str, phase: str | None = None, except_faults: bool = False
    ) -> Measured | None:
        """Return the measure over `phase` (None: the whole run); None if it was not measured.

        An unknown name or phase was not measured either.
        """
        key = (name, phase, except_faults)
        if key not in self._found:
            self._found[key] = self._compute(*key)
        return self._found[key]

    def all(self, phase: str | None = None, except_faults: bool = False) -> dict[str, Measured]:
        """Return every measure that has a value, counters included, in the order of the list."""
        names = [
            name
            for entry in MEASURE_NAMES
            for name in entry.names(list(self.links))
            if "<name>" not in name
        ]
        for link, counters in self._result("counters").items():
            names += [f"{link}.{_COUNTER}{name}" for name in sorted(counters)]
        names += sorted(self._result("measures"))
        found = {name: self.get(name, phase, except_faults) for name in dict.fromkeys(names)}
        return {name: measured for name, measured in found.items() if measured is not None}

    # -- series, for the report ------------------------------------------------------------------
    @cached_property
    def track(self) -> Track | None:
        """Stored positions with the truth beside them; None without GPS positions."""
        link = self.links.get("gps")
        return None if link is None else stored_track(link.stored)

    def fidelity_by_signal(self, link: str) -> list[SignalFidelity]:
        """Return one row per signal of `link` that was stored, over the whole run."""
        window = Window(((self.manifest.start_ns, self.manifest.end_ns),))
        rows = []
        for name, matched in self.links[link].stored.items():
            errors = self.links[link].errors_steps(window, signal=name)
            count = int(np.count_nonzero(window.holds(matched.measured_ns)))
            duration_s = window.duration_s
            rows.append(
                SignalFidelity(
                    name,
                    matched.info.unit,
                    matched.info.resolution,
                    count,
                    count / duration_s if duration_s else None,
                    _largest(errors),
                    _rms(errors),
                )
            )
        return rows

    def derived(self) -> dict[str, tuple[Ints, Floats]]:
        """Return derived signal -> (instants in ns, values): they come from no link."""
        found = {}
        for signal, info in self.signals.items():
            if info.link == "":
                rows = self._stored.where(
                    (self._stored.signal == signal) & (self._stored.device == LOCAL)
                )
                if len(rows):
                    found[info.name] = rows.time_ns, rows.value
        return found

    # -- computing -------------------------------------------------------------------------------
    def _link(self, name: str, samples: dict[tuple[str, str], Samples]) -> Link:
        devices = [d for d, link in self.manifest.devices.items() if link == name]
        if name == _MESH and self.manifest.mesh is not None:
            return self._mesh_link(devices, samples)
        if devices:
            return self._device_link(name, devices, samples)
        own = {signal: rows for (source, signal), rows in samples.items() if source == name}
        if name == CAN_LINK and self.manifest.can is not None:
            return self._can_link(self.manifest.can, own)
        return Link(
            name,
            stored=self._match(self._stored, name, own),
            published=self._match(self._published, name, own),
            samples=own,
            plan=self.manifest.plan.get(name, {}),
            real=self._is_untold(name),
        )

    def _is_untold(self, link: str) -> bool:
        """Return whether a device was real and nobody heard what it said but the gateway."""
        return link in self.manifest.real_links and link not in self._tapped

    def _device_link(
        self, name: str, devices: list[str], samples: dict[tuple[str, str], Samples]
    ) -> Link:
        own: dict[str, dict[int, Samples]] = {}
        for (source, signal), rows in samples.items():
            if source in devices:
                own.setdefault(signal, {})[self._devices[source]] = rows
        numbers = [self._devices[device] for device in devices]
        return Link(
            name,
            stored=self._match_devices(self._stored, numbers, own),
            published=self._match_devices(self._published, numbers, own),
            samples={signal: joined(parts.values()) for signal, parts in own.items()},
            plan=self.manifest.plan.get(name, {}),
            real=self._is_untold(name),
            devices=len(devices),
        )

    def _can_link(self, info: CanInfo, carried: dict[str, Samples]) -> Link:
        """Return what the gateway read of the bus; signals with a rate are wanted in part."""
        plan = self.manifest.plan.get(CAN_LINK, {})
        untold = self._is_untold(CAN_LINK) and not carried
        wanted = {
            name: changes(rows) if name in info.changes else rows
            for name, rows in carried.items()
            if name in plan and plan[name] is None
        }
        return Link(
            CAN_LINK,
            stored=self._match(self._stored, CAN_LINK, carried),
            published=self._match(self._published, CAN_LINK, carried),
            samples=wanted,
            plan=plan,
            carried={} if untold else {name: carried.get(name, NO_SAMPLES) for name in plan},
            real=untold,
        )

    def _mesh_link(self, devices: list[str], samples: dict[tuple[str, str], Samples]) -> Link:
        """Return the vehicles' rows, and what the base station has of them."""
        plan = self.manifest.plan.get(_MESH, {})
        rows = {name: self._rows(name, rate_hz or 1.0, devices, samples)
                for name, rate_hz in plan.items()}  # fmt: skip
        numbers = [self._devices[device] for device in devices]

        def matched(readings: Readings) -> dict[str, Matched]:
            found = {}
            readings = readings.where(np.isin(readings.device, numbers))
            for signal in np.unique(readings.signal).tolist():
                info = self.signals.get(signal)
                if info is not None and info.name in plan:
                    own = readings.where(readings.signal == signal)
                    found[info.name] = match_rows(own, info, rows[info.name])
            return found

        return Link(
            _MESH,
            stored=matched(self._stored),
            published=matched(self._published),
            samples={name: joined(parts.values()) for name, parts in rows.items()},
            plan=dict.fromkeys(plan),
            devices=len(devices),
        )

    def _rows(
        self,
        signal: str,
        rate_hz: float,
        devices: list[str],
        samples: dict[tuple[str, str], Samples],
    ) -> dict[int, Samples]:
        assert self.manifest.mesh is not None
        step = step_ns(self.manifest.mesh, rate_hz)
        rows = {}
        for device in devices:
            given = samples.get((device, signal))
            if given is None and device == devices[0]:  # the car: its own gateway's readings
                own = sound(self._stored.where(self._stored.device == LOCAL))
                numbers = [n for n, info in self.signals.items() if info.name == signal]
                own = own.where(np.isin(own.signal, numbers))
                rows[self._devices[device]] = rows_of(own.time_ns, own.value, step)
            elif given is not None:
                rows[self._devices[device]] = rows_of(given.time_ns, given.wire, step)
        return rows

    def _match_devices(
        self, readings: Readings, devices: list[int], samples: dict[str, dict[int, Samples]]
    ) -> dict[str, Matched]:
        matched = {}
        readings = readings.where(np.isin(readings.device, devices))
        for signal in np.unique(readings.signal).tolist():
            info = self.signals.get(signal)
            if info is not None:
                rows = readings.where(readings.signal == signal)
                matched[info.name] = match_devices(rows, info, samples.get(info.name, {}))
        return matched

    def _match(
        self, readings: Readings, link: str, samples: dict[str, Samples]
    ) -> dict[str, Matched]:
        matched = {}
        readings = readings.where(readings.device == LOCAL)
        offset_ns = clock_offset_ns(self.manifest, link)
        if offset_ns:
            readings = dataclasses.replace(readings, time_ns=readings.time_ns + offset_ns)
        for signal in np.unique(readings.signal).tolist():
            info = self.signals.get(signal)
            if info is not None and (info.link or _DERIVED) == link:
                rows = readings.where(readings.signal == signal)
                own = samples.get(info.name, NO_SAMPLES)
                late_ns = 0 if self.manifest.can is None else self.manifest.can.late_ns
                matched[info.name] = match(rows, info, own, late_ns)
        return matched

    def _compute(self, name: str, phase: str | None, except_faults: bool) -> Measured | None:
        given = self._result("measures").get(name)
        if given is not None:
            value = math.inf if given[0] is None else float(given[0])  # JSON has no infinity
            return Measured(value, str(given[1])) if phase is None else None
        split = _LINK_MEASURE.fullmatch(name)
        link = self.links.get(split["link"]) if split else None
        window = window_of(self.manifest, phase, except_faults, link.name if link else None)
        if name == "derived.fidelity.max":
            link = self._derived  # no link's own: a fault of any may strike what it follows from
        if window is None:
            return None
        if link is not None and split is not None:
            return self._of_link(link, split["name"], window, whole=phase is None)
        if name == "ingest.throughput":
            return self._throughput(window)
        if name == "readings.waiting.max":
            own = self._published.where(self._published.device == LOCAL)
            acknowledged = [ack for ack in self._acknowledged if not ack.device]
            most = most_waiting(own, acknowledged, window) if len(self._published) else None
            return _value(most, "")
        return self._of_run(name) if phase is None else None

    def _of_link(self, link: Link, name: str, window: Window, *, whole: bool) -> Measured | None:
        family, _, last = name.rpartition(".")
        if name.startswith(_COUNTER):
            count = self._result("counters").get(link.name, {}).get(name.removeprefix(_COUNTER))
            return _value(count, "") if whole else None
        if family in _LATENCY_KINDS and last in _PERCENTILES:
            return _value(percentile(link.latency_ms(_LATENCY_KINDS[family], window), last), "ms")
        if family == "time_error" and last in _PERCENTILES:
            return _value(percentile(link.time_errors_ms(window), last), "ms")
        if family == "age" and last in _PERCENTILES:
            return _value(percentile(ages_in(self.age_series(link.name), window), last), "s")
        if family == "position_error" and last in _PERCENTILES and link.name == "gps":
            return _value(percentile(self._position_errors(window), last), "m")
        if family in _FIDELITY and last in _FIDELITY_OF:
            errors = link.errors_steps(window, _FIDELITY[family])
            return _value(_FIDELITY_OF[last](errors), "step")
        if link.name == _MESH and self.manifest.mesh is not None:
            found = self._of_mesh(link, name, window)
            if found is not None:
                return found
        if name == "degraded":
            share = degraded_pct(self._events, link.name, window, self.manifest.end_ns)
            return _value(share, "%")
        if link.name == CAN_LINK and name in BUS_MEASURES:
            value, unit = self.bus.figure(name, window, whole=whole)
            return _value(value, unit)
        if link.name == CAN_LINK and name == "invented":
            return _value(count_strange(link, window), "")
        if name == "provisioned" and link.name in self.manifest.devices.values():
            events = [e for e in self._events if e.kind == "provision"]
            done = sum(event.detail["name"] == "done" for event in events)
            return _value(done if events and whole else None, "")
        if name in ("resets", "crashes") and link.name in self.manifest.devices.values():
            return _value(count_board_events(self._events, name, window), "")
        if name in UPLINK_MEASURES and link.name == ESP32_LINK:
            value, unit = self._uplinks.figure(name, None if whole else window)
            return _value(value, unit)
        return self._of_continuity(link, name, window, whole=whole)

    def _of_mesh(self, link: Link, name: str, window: Window) -> Measured | None:
        if name in AIR_MEASURES:
            value, unit = self._air.figure(name, window, self._stored)
            return _value(value, unit)
        if name == "invented":
            return _value(self._invented(link, window), "")
        if name == "gap.max":
            return _value(longest_gap_s(link, window.spans, link.devices), "s")
        return None

    def _invented(self, link: Link, window: Window) -> int:
        assert self.manifest.mesh is not None
        holds = {name: window.holds(m.readings.time_ns) for name, m in link.stored.items()}
        return count_invented(link, self.manifest.mesh, holds)

    def _of_continuity(
        self, link: Link, name: str, window: Window, *, whole: bool
    ) -> Measured | None:
        if name == "gone" and whole:
            times = self._result("gone").get(link.name)
            return _value(None if times is None else len(times), "")
        if name == "rate":
            return _value(link.rate_per_s(window), "/s")
        if name == "coverage":
            return _value(link.coverage_pct(window), "%")
        if name == "coverage.worst":
            return _value(link.worst_coverage_pct(window), "%")
        if name == "missing":
            return _value(link.missing(window), "")
        if name == "stale.unmarked.max":
            return _value(
                unmarked_s(
                    link.name, link.published, link.plan, self._marks, window, self._kills_ns
                ),
                "s",
            )
        if name == "stale.wrong.max":
            return _value(wrongly_marked_s(link.name, link.published, self._marks, window), "s")
        if name == "outage.max":
            return _value(link.outage_s(window), "s")
        if name == "recovery.max":
            return _value(self._recovery(link, window), "s")
        if name == "start" and whole:
            return _value(link.start_s(self.manifest.epoch_ns), "s")
        if name == "invalid" and link.name == "gps":
            return _value(link.invalid(window), "")
        return None

    def _recovery(self, link: Link, window: Window) -> float | None:
        ends = [
            fault.end_ns
            for fault in self.manifest.faults
            if fault.link in ("", link.name)
            and any(start <= fault.end_ns <= end for start, end in window.spans)
        ]
        return max((link.recovery_s(end) for end in ends), default=None)

    def _of_run(self, name: str) -> Measured | None:
        result = self.manifest.result
        sim_s, wall_s = result.get("sim_s"), result.get("wall_s")
        gateway = self._result("gateway")
        paced = self.manifest.mode == "paced"
        known: dict[str, Callable[[], tuple[float | None, str]]] = {
            "readings.lost": lambda: (self._lost(), ""),
            "readings.acknowledged.lost": lambda: (self._acknowledged_lost(), ""),
            "readings.lost.age.max": lambda: (
                oldest_lost_s(
                    self._stored.where(self._stored.device == LOCAL),
                    self._published.where(self._published.device == LOCAL),
                    self.manifest.faults,
                ),
                "s",
            ),
            "readings.doubled": lambda: (self._doubled(), ""),
            "readings.stored.doubled": lambda: (count_doubled(self._stored), ""),
            "readings.unpublished": lambda: (
                count_unpublished(
                    self._stored,
                    self._published,
                    unwatched(self._stored, self.manifest, self._events),
                ),
                "",
            ),
            "store.recovery.max": lambda: (
                store_recovery_s(self.manifest, self._acknowledged),
                "s",
            ),
            "store.compacted": lambda: (int(np.count_nonzero(self._stored.is_compacted)), ""),
            "store.cycles": lambda: (self._result("store").get("cycles"), ""),
            "store.segments": lambda: (self._result("store").get("segments"), ""),
            "log.exceptions": lambda: (sum(map(is_exception_line, self._log_lines)), ""),
            "log.errors": lambda: (sum(map(is_error_line, self._log_lines)), ""),
            "gateway.exit": lambda: (gateway.get("exit"), ""),
            "gateway.cpu": lambda: (gateway.get("cpu_pct") if paced else None, "%"),
            "gateway.rss": lambda: (gateway.get("rss_mb") if paced else None, "MB"),
            "rig.sim_s": lambda: (sim_s, "s"),
            "rig.wall_s": lambda: (wall_s, "s"),
            "rig.ratio": lambda: (sim_s / wall_s if sim_s and wall_s else None, "x"),
        }
        return _value(*known[name]()) if name in known else None

    def _throughput(self, window: Window) -> Measured | None:
        """Readings committed in the window, per second of wall time."""
        result = self.manifest.result
        if self.manifest.mode != "paced" or not window.duration_s:
            return None
        pace = (
            result["sim_s"] / result["wall_s"]
            if result.get("wall_s") and result.get("sim_s")
            else 1.0
        )
        committed = int(np.count_nonzero(window.holds(self._stored.shown_ns)))
        return _value(committed / window.duration_s * pace, "/s")

    def _lost(self) -> int | None:
        return _sum_of_known([self._by_start(count_lost), *self._lost_afar()])

    def _acknowledged_lost(self) -> int | None:
        local = self._by_start(lambda stored, _, acks: count_acknowledged_lost(stored, acks))
        return _sum_of_known([local, *self._lost_afar()])

    def _lost_afar(self) -> list[int | None]:
        """Return what was acknowledged to boards, and to vehicles by radio, and is not stored."""
        return [part.lost(self._stored, self._published) for part in (self._uplinks, self._air)]

    def _by_start(self, count: Count) -> int | None:
        return count_by_start(
            self.manifest.result.get("boots") or [],
            self._stored.where(self._stored.device == LOCAL),
            self._published.where(self._published.device == LOCAL),
            [ack for ack in self._acknowledged if not ack.device],
            count,
        )

    @property
    def _kills_ns(self) -> list[int]:
        return [kill.start_ns for kill in kills_of(self.manifest)]

    def _doubled(self) -> int | None:
        if self._lost() is None:
            return None
        return max(count_doubled(self._stored), sum(link.doubled() for link in self.links.values()))

    def age_series(self, link: str) -> tuple[Ints, Floats]:
        """Return (instants of looking in ns, ages in s) of a link; see `rig.measures.age`."""
        if link not in self._age_series:
            self._age_series[link] = ages(self.links[link].published, self.manifest.end_ns)
        return self._age_series[link]

    @cached_property
    def _age_series(self) -> dict[str, tuple[Ints, Floats]]:
        return {}

    def _position_errors(self, window: Window) -> Floats:
        if self.track is None:
            return np.array([], dtype=np.float64)
        errors_m = self.track.errors_m[window.holds(self.track.time_ns)]
        return errors_m[~np.isnan(errors_m)]  # a real receiver's have no truth beside them

    def _result(self, key: str) -> dict[str, Any]:
        return self.manifest.result.get(key) or {}


def measure(record: RecordReader) -> Measures:
    """Return the figures of the run that `record` tells of."""
    # Millions of rows that all stay: to look through them for garbage takes as long as reading.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return Measures(record)
    finally:
        if was_enabled:
            gc.enable()


_LATENCY_KINDS = {
    "latency": "received",
    "latency.stored": "stored",
    "latency.published": "published",
}
_PERCENTILES = ("p50", "p95", "p99", "max")
_FIDELITY = {"fidelity": "wire", "truth_error": "true"}


def _largest(errors: Floats) -> float | None:
    return float(np.abs(errors).max()) if len(errors) else None


def _rms(errors: Floats) -> float | None:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else None


_FIDELITY_OF: dict[str, Callable[[Floats], float | None]] = {"max": _largest, "rms": _rms}


def _sum_of_known(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _value(value: float | None, unit: str) -> Measured | None:
    return None if value is None else Measured(float(value), unit)
