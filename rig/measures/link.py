"""One link's readings and samples, and the figures about them.

A reading belongs to a window by the instant at which it was measured.

* latency: from the instant measured to received, committed, or arrived at a WebSocket client. A
  compacted reading whose receipt, or commit, nobody saw has none.
* rate: readings stored per second.
* coverage: stored of those called for. Where the plan gives a rate, rate times time is called for;
  where it says "as fast as the link allows", each sample that the world took. On CAN a rate is the
  most that is wanted: no more than the bus carried is called for. On GPS, each epoch at
  which the receiver had a fix. A signal that is stored more often than called for counts as 100 %,
  so it makes up for no other.
  `coverage.worst` is that of the worst signal, of whole readings called for (a signal that is due
  every ten seconds is not called for in nine); on GPS, of each signal that the receiver gave.
* missing: samples on the wire that no stored reading stems from.
* time_error: the instant that the gateway says a reading was measured, against the sample's.
* fidelity: stored value against the sample's value on the wire, in steps of the resolution;
  truth_error: the same against the value that was not yet quantised.
* recovery: from a fault's end to the next reading received; infinite if none came.
* outage: the longest time without a reading received; a window's edges count as readings, but the
  time before the run's first reading does not (`start` is that).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rig.measures.arrays import Floats, Ints, floats, ints
from rig.measures.compacted import UNSEEN
from rig.measures.matching import EPOCH_LINK, Matched, Samples
from rig.measures.stored import UNKNOWN_NS
from rig.measures.windows import Span, Window

_NS_PER_MS = 1e6
_ROUNDING = 1e-9  # rate times duration is a product of floats
_EPOCH_SIGNAL = "LAT"  # a fix is stored if its position is


@dataclass(frozen=True)
class Link:
    """What the measures know about one link.

    Attributes:
        name: "obd", "gps".
        stored: per signal name, what the store gave back.
        published: per signal name, what a WebSocket client got.
        samples: per signal name, what the world took.
        plan: per signal name, the rate called for in Hz, or None for "as fast as the link allows".
        carried: per signal name, the samples of which the plan wants a part: no more than these
            are called for.
        devices: how many devices of their own the link is made of; 0: it is the gateway's.
        real: True where the device was real: the world took no samples, and the instant measured
            is the one that the gateway gives.
    """

    name: str
    stored: Mapping[str, Matched]
    published: Mapping[str, Matched]
    samples: Mapping[str, Samples]
    plan: Mapping[str, float | None]
    real: bool = False
    devices: int = 0
    carried: Mapping[str, Samples] = field(default_factory=dict)

    # -- latency ---------------------------------------------------------------------------------
    @cached_property
    def _latencies(self) -> dict[str, tuple[Ints, Floats]]:
        """Per kind: instants measured, and milliseconds from there."""
        return {
            "received": _delays(self.stored, self.real, to_shown=False),
            "stored": _delays(self.stored, self.real, to_shown=True),
            "published": _delays(self.published, self.real, to_shown=True),
        }

    def latency_ms(self, kind: str, window: Window) -> Floats:
        """Return the latencies to "received", "stored" or "published" in `window`."""
        measured_ns, delays_ms = self._latencies[kind]
        return delays_ms[window.holds(measured_ns)]

    def latency_series(self, kind: str) -> tuple[Ints, Floats]:
        """Return (instants measured in ns, latencies in ms) of the whole run, in order of time."""
        measured_ns, delays_ms = self._latencies[kind]
        order = np.argsort(measured_ns, kind="stable")
        return measured_ns[order], delays_ms[order]

    # -- rate and coverage -----------------------------------------------------------------------
    def rate_per_s(self, window: Window) -> float | None:
        """Return readings stored per second."""
        if window.duration_s <= 0:
            return None
        return sum(_count(m.measured_ns, window) for m in self.stored.values()) / window.duration_s

    def coverage_pct(self, window: Window) -> float | None:
        """Return readings stored of those called for; None where nothing was."""
        counts = self._epochs(window) if self.name == EPOCH_LINK else self._planned(window)
        due = sum(due for _, due in counts)
        return 100.0 * sum(min(kept, due) for kept, due in counts) / due if due > 0 else None

    def _epochs(self, window: Window) -> list[tuple[float, float]]:
        samples = self.samples.get(_EPOCH_SIGNAL)
        if samples is None:
            return []
        due = _count(samples.time_ns[samples.valid], window)
        return [(self._kept(_EPOCH_SIGNAL, window), due)]

    def _planned(self, window: Window) -> list[tuple[float, float]]:
        counts: list[tuple[float, float]] = []
        for signal, rate_hz in self.plan.items():
            if rate_hz is not None:
                due = rate_hz * window.duration_s * max(1, self.devices)
                carried = self.carried.get(signal)
                if carried is not None:
                    due = min(due, _count(carried.time_ns[carried.valid], window))
            else:
                samples = self.samples.get(signal)
                due = 0 if samples is None else _count(samples.time_ns[samples.valid], window)
            counts.append((self._kept(signal, window), due))
        return counts

    def coverage_series(self, span: Span, step_ns: int) -> tuple[Ints, Floats]:
        """Return (starts of spans of `step_ns` in ns, coverage in %), where anything was due."""
        edges = np.append(np.arange(span[0], span[1], step_ns, dtype=np.int64), span[1])
        if len(edges) < 2:
            return ints([]), floats([])
        seconds = np.diff(edges) / 1e9
        nothing = np.zeros(len(seconds))

        def counted(times_ns: Ints | None) -> Floats:
            found = nothing if times_ns is None else np.histogram(times_ns, edges)[0]
            return np.asarray(found, dtype=np.float64)

        kept, all_due = nothing, nothing
        plan = {_EPOCH_SIGNAL: None} if self.name == EPOCH_LINK else self.plan
        for signal, rate_hz in plan.items():
            if rate_hz is not None:
                due = rate_hz * seconds * max(1, self.devices)
                carried = self.carried.get(signal)
                if carried is not None:
                    due = np.minimum(due, counted(carried.time_ns[carried.valid]))
            else:
                samples = self.samples.get(signal)
                due = counted(None if samples is None else samples.time_ns[samples.valid])
            kept = kept + np.minimum(counted(self._kept_ns.get(signal)), due)
            all_due = all_due + due
        called = all_due > 0
        return edges[:-1][called], 100.0 * kept[called] / all_due[called]

    def worst_coverage_pct(self, window: Window) -> float | None:
        """Return the coverage of the worst signal; None where not one reading was called for."""
        counts = self._planned(window)
        if self.name == EPOCH_LINK:
            counts = [(self._kept(s, window), self._given(s, window)) for s in self.samples]
        whole = [(kept, math.floor(due + _ROUNDING)) for kept, due in counts]
        return min((100.0 * min(kept, due) / due for kept, due in whole if due), default=None)

    def missing(self, window: Window) -> int | None:
        """Count the samples on the wire that no stored reading stems from."""
        if not self.samples:
            return None
        return sum(self._given(s, window) - self._kept(s, window) for s in self.samples)

    def missing_ns(self, window: Window) -> Ints:
        """Return the instants of the samples that are missing, in order."""
        parts = [ints([])]
        for signal, samples in self.samples.items():
            given = samples.time_ns[samples.valid & window.holds(samples.time_ns)]
            matched = self.stored.get(signal)
            kept = ints([]) if matched is None else matched.measured_ns[matched.has_sample]
            parts.append(np.setdiff1d(given, kept))
        return np.sort(np.concatenate(parts))

    def _given(self, signal: str, window: Window) -> int:
        """Count the samples that the device put on the wire."""
        samples = self.samples[signal]
        return _count(samples.time_ns[samples.valid], window)

    def _kept(self, signal: str, window: Window) -> int:
        """Count the readings stored, each sample once."""
        return _count(self._kept_ns[signal], window) if signal in self._kept_ns else 0

    @cached_property
    def _kept_ns(self) -> dict[str, Ints]:
        """Signal -> instants measured of what is stored, each sample once."""
        return {signal: self._once(signal, matched) for signal, matched in self.stored.items()}

    def _once(self, signal: str, matched: Matched) -> Ints:
        if self.real:
            return matched.measured_ns
        sampled = np.unique(matched.sample[matched.has_sample])
        times_ns = matched.samples.time_ns[sampled]
        wanted = self.samples.get(signal)
        if wanted is not None and len(wanted.time_ns) < len(matched.samples.time_ns):
            times_ns = np.intersect1d(times_ns, wanted.time_ns)  # of changes: those alone
        return times_ns

    # -- time -------------------------------------------------------------------------------------
    def time_errors_ms(self, window: Window) -> Floats:
        """Return how far off the readings' own instants are, in either direction."""
        times_ns, errors_ms = self.time_error_series
        return errors_ms[window.holds(times_ns)]

    @cached_property
    def time_error_series(self) -> tuple[Ints, Floats]:
        """Instants measured in ns, and how far off the reading's own instant is, in ms."""
        times, errors = [ints([])], [floats([])]
        for matched in self.stored.values():
            sound = matched.has_sample
            times.append(matched.measured_ns[sound])
            said_ns = matched.readings.time_ns[sound]
            errors.append(np.abs(said_ns - matched.measured_ns[sound]) / _NS_PER_MS)
        return np.concatenate(times), np.concatenate(errors)

    # -- truth -----------------------------------------------------------------------------------
    def errors_steps(
        self, window: Window, against: str = "wire", signal: str | None = None
    ) -> Floats:
        """Return stored less sampled value in steps, for `signal` or all of the link's signals."""
        parts = [
            _errors(matched, window, against)
            for name, matched in self.stored.items()
            if signal in (None, name)
        ]
        return np.concatenate(parts) if parts else floats([])

    def invalid(self, window: Window) -> int | None:
        """Count the fixes stored for epochs at which the receiver had none."""
        if not self.samples:
            return None
        matched = self.stored.get(_EPOCH_SIGNAL)
        if matched is None:
            return 0
        return _count(matched.measured_ns[~matched.has_sample], window)

    def doubled(self) -> int:
        """Count the readings beyond the first that stem from one sample.

        A device's own clock may be off by more than two samples are apart until it knows better, so
        of its readings those count that stand at one instant.
        """
        if self.devices:
            return sum(_at_one_instant(matched) for matched in self.stored.values())
        extra = 0
        for matched in self.stored.values():
            sampled = matched.sample[matched.has_sample]
            extra += len(sampled) - len(np.unique(sampled))
        return extra

    # -- continuity ------------------------------------------------------------------------------
    @cached_property
    def received_ns(self) -> Ints:
        """The instants at which readings came in, in order."""
        parts = [matched.readings.received_ns for matched in self.stored.values()]
        return np.sort(np.concatenate(parts)) if parts else ints([])

    def start_s(self, epoch_ns: int) -> float | None:
        """Return the time from the run's start to the first reading."""
        return float(self.received_ns[0] - epoch_ns) / 1e9 if len(self.received_ns) else None

    def recovery_s(self, fault_end_ns: int) -> float:
        """Return the time from `fault_end_ns` to the next reading; infinite if none came."""
        index = np.searchsorted(self.received_ns, fault_end_ns)
        if index == len(self.received_ns):
            return math.inf
        return float(self.received_ns[index] - fault_end_ns) / 1e9

    def outage_s(self, window: Window) -> float | None:
        """Return the longest time without a reading."""
        longest_ns = 0
        for start, end in window.spans:
            if len(self.received_ns):
                start = max(start, min(int(self.received_ns[0]), end))
            inside = self.received_ns[(self.received_ns >= start) & (self.received_ns < end)]
            edges = np.concatenate(([start], inside, [end])).astype(np.int64)
            longest_ns = max(longest_ns, int(np.diff(edges).max()))
        return longest_ns / 1e9 if window.spans else None


def _delays(signals: Mapping[str, Matched], real: bool, *, to_shown: bool) -> tuple[Ints, Floats]:
    times, delays = [ints([])], [floats([])]
    for matched in signals.values():
        readings = matched.readings
        sound = np.ones(len(readings), dtype=bool) if real else matched.has_sample
        arrived = readings.shown_ns if to_shown else readings.received_ns
        sound &= (readings.seq != UNSEEN) & (arrived != UNKNOWN_NS)
        times.append(matched.measured_ns[sound])
        delays.append((arrived[sound] - matched.measured_ns[sound]) / _NS_PER_MS)
    return np.concatenate(times), np.concatenate(delays)


def error_series(matched: Matched, against: str) -> tuple[Ints, Floats]:
    """Return (instants measured, stored less sampled value in steps) of a signal's readings.

    `against` is "wire" or "true". What has no such value (SATS has no truth) is left out.
    """
    chosen = matched.has_sample
    samples, sample = matched.samples, matched.sample[chosen]
    expected = (samples.wire if against == "wire" else samples.true)[sample]
    errors = matched.readings.value[chosen] - expected
    known = ~np.isnan(errors)
    times_ns, errors = matched.measured_ns[chosen][known], errors[known]
    wraps = matched.info.wraps
    if wraps is not None:
        errors = (errors + wraps / 2) % wraps - wraps / 2
    return times_ns, errors / matched.info.resolution


def _errors(matched: Matched, window: Window, against: str) -> Floats:
    times_ns, errors = error_series(matched, against)
    return errors[window.holds(times_ns)]


def _at_one_instant(matched: Matched) -> int:
    readings = matched.readings
    instants = np.stack((readings.device, readings.time_ns), axis=1)
    return len(instants) - len(np.unique(instants, axis=0)) if len(instants) else 0


def _count(times_ns: Ints, window: Window) -> int:
    return int(np.count_nonzero(window.holds(times_ns)))
