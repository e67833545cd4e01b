"""Which sample of the world each reading stems from.

* OBD: the latest sample of the signal that was taken before the reading came in. A request is
  answered before the next one goes out, so this is the sample that the reply carried. Two readings
  that match one sample are one reading too many.
* GPS: the sample of the same UTC epoch, to 5 ms, as the sentences' times are cut to 10 ms.
* CAN: the latest sample at the instant that the reading gives for itself, which is bus time, or up
  to 2 ms later, because adapters cut their time stamps to milliseconds. A sample stands where its
  frame ended on the bus: before that nobody can know the value, and how long a frame waits for the
  bus is no merit or fault of a gateway. A door without time stamps leaves the gateway the instant
  of reading, at which a newer frame may be there: the order decides then, and the value, for
  frames of the last 30 ms (200 ms in wall time, where the world may be late). Each sample has one
  reading there.
* Devices of their own (ESP32): a row stands at an instant of the device's grid, and its samples are
  taken right after it. So it is the device's next sample, if it came until the row was closed; or
  the one before the reading's instant where that is nearer, because the device's clock was ahead:
  by half the time between two samples of the signal at most, and 500 ms.

A real link has no samples: its readings count as measured when the gateway says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from rig.measures.arrays import Bools, Floats, Ints, Readings, floats, ints
from rig.record.manifest import SignalInfo
from rig.record.streams import Sample

EPOCH_TOLERANCE_NS = 5_000_000
EPOCH_LINK = "gps"
BUS_LINK = "can"
STAMP_NS = 2_000_000
CLOCK_NS = 500_000_000
ROW_CLOSED_NS = 1_100_000_000
_LAST_SOUND_STATE = (
    1  # server.readings.State: MEASURED 0, BOUNDED 1; HELD and LOST tell nothing new
)
NO_SAMPLE = -1


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one signal as columns, in order of time; no value is NaN.

    Those of several devices stand one device after the other.
    """

    time_ns: Ints
    true: Floats
    wire: Floats

    @property
    def valid(self) -> Bools:
        """Whether the device put a value on the wire."""
        valid: Bools = ~np.isnan(self.wire)
        return valid


@dataclass(frozen=True, slots=True)
class Matched:
    """The sound readings of one signal, each with its sample.

    Attributes:
        info: the signal.
        readings: in order of `received_ns`.
        sample: index into `samples` for each reading, or `NO_SAMPLE`.
        samples: the world's samples of the signal; empty on a real link.
        measured_ns: the sample's instant, or the reading's own where it has no sample.
    """

    info: SignalInfo
    readings: Readings
    sample: Ints
    samples: Samples
    measured_ns: Ints

    @property
    def has_sample(self) -> Bools:
        """Whether the reading stems from a sample that the device put on the wire."""
        found: Bools = self.sample != NO_SAMPLE
        found[found] = self.samples.valid[self.sample[found]]
        return found


def samples_by_signal(samples: list[Sample]) -> dict[tuple[str, str], Samples]:
    """Return (source, signal) -> its samples."""
    rows: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        rows.setdefault((sample.source, sample.signal), []).append(sample)
    found = {}
    for key, group in rows.items():
        times, _, _, true, wire = zip(*group, strict=True)
        column = ints(times)
        order = np.argsort(column, kind="stable")
        found[key] = Samples(column[order], floats(true)[order], floats(wire)[order])
    return found


NO_SAMPLES = Samples(ints([]), floats([]), floats([]))


def match(readings: Readings, info: SignalInfo, samples: Samples, late_ns: int = 0) -> Matched:
    """Return the sound ones of one signal's `readings`, each with its sample.

    Args:
        readings: of one signal.
        info: the signal.
        samples: the world's.
        late_ns: on CAN, how far behind its frame a reading's own instant may be.
    """
    readings = readings.where(readings.state <= _LAST_SOUND_STATE)
    readings = readings.where(np.lexsort((readings.seq, readings.received_ns)))
    if info.link == EPOCH_LINK:
        sample = _match_epoch(readings.time_ns, samples.time_ns)
    elif info.link == BUS_LINK:
        sample = _match_frame(readings, samples, late_ns)
    else:
        sample = np.searchsorted(samples.time_ns, readings.received_ns, side="right") - 1
    measured = readings.time_ns.copy()
    found = sample != NO_SAMPLE
    measured[found] = samples.time_ns[sample[found]]
    return Matched(info, readings, sample, samples, measured)


def _match_frame(readings: Readings, samples: Samples, late_ns: int) -> Ints:
    latest = np.searchsorted(samples.time_ns, readings.time_ns + STAMP_NS, side="right") - 1
    if not late_ns or not len(samples.time_ns):
        return np.asarray(latest)
    sample = latest.tolist()
    earliest = np.searchsorted(samples.time_ns, readings.time_ns - late_ns).tolist()
    values, carried = readings.value.tolist(), samples.wire.tolist()
    following = len(carried)
    for index in range(len(sample) - 1, -1, -1):
        newest = min(sample[index], following - 1)
        candidates = range(newest, earliest[index] - 1, -1)
        same = next((place for place in candidates if carried[place] == values[index]), newest)
        if newest >= earliest[index]:
            sample[index] = same
        following = sample[index]
    return ints(sample)


def match_devices(readings: Readings, info: SignalInfo, samples: Mapping[int, Samples]) -> Matched:
    """Return the sound `readings` of one signal of several devices, each with its own sample."""
    readings = readings.where(readings.state <= _LAST_SOUND_STATE)
    readings = readings.where(np.lexsort((readings.seq, readings.received_ns)))
    sample = np.full(len(readings), NO_SAMPLE, dtype=np.int64)
    begin = 0
    for device, own in samples.items():
        chosen = readings.device == device
        found = _match_row(readings.time_ns[chosen], own.time_ns)
        sample[chosen] = np.where(found == NO_SAMPLE, NO_SAMPLE, found + begin)
        begin += len(own.time_ns)
    together = joined(samples.values())
    measured = readings.time_ns.copy()
    known = sample != NO_SAMPLE
    measured[known] = together.time_ns[sample[known]]
    return Matched(info, readings, sample, together, measured)


def changes(samples: Samples) -> Samples:
    """Return the first sample, and those whose value on the wire is another one than before."""
    wire = samples.wire
    chosen = np.append(True, wire[1:] != wire[:-1]) if len(wire) else wire == wire
    return Samples(samples.time_ns[chosen], samples.true[chosen], wire[chosen])


def joined(parts: Iterable[Samples]) -> Samples:
    """Return the samples of several devices, one device after the other."""
    columns = [(part.time_ns, part.true, part.wire) for part in parts]
    if not columns:
        return NO_SAMPLES
    times, true, wire = zip(*columns, strict=True)
    return Samples(np.concatenate(times), np.concatenate(true), np.concatenate(wire))


def _match_row(times_ns: Ints, samples_ns: Ints) -> Ints:
    if not len(samples_ns):
        return np.full(len(times_ns), NO_SAMPLE, dtype=np.int64)
    usual_ns = float(np.median(np.diff(samples_ns))) if len(samples_ns) > 1 else 0.0
    early_ns = int(min(usual_ns / 2, CLOCK_NS))
    last = len(samples_ns) - 1
    after = np.searchsorted(samples_ns, times_ns)
    before_ns = times_ns - samples_ns[np.clip(after - 1, 0, last)]
    after_ns = samples_ns[np.clip(after, 0, last)] - times_ns
    is_before = (after > 0) & (before_ns <= early_ns)
    is_after = (after <= last) & (after_ns <= ROW_CLOSED_NS)
    before_wins = is_before & (~is_after | (before_ns < after_ns))
    return np.where(before_wins, after - 1, np.where(is_after, after, NO_SAMPLE))


def _match_epoch(times_ns: Ints, epochs_ns: Ints) -> Ints:
    if not len(epochs_ns):
        return np.full(len(times_ns), NO_SAMPLE, dtype=np.int64)
    after = np.searchsorted(epochs_ns, times_ns)
    left = np.clip(after - 1, 0, len(epochs_ns) - 1)
    right = np.clip(after, 0, len(epochs_ns) - 1)
    nearer_left = np.abs(times_ns - epochs_ns[left]) <= np.abs(epochs_ns[right] - times_ns)
    nearest = np.where(nearer_left, left, right)
    near = np.abs(epochs_ns[nearest] - times_ns) <= EPOCH_TOLERANCE_NS
    return np.where(near, nearest, NO_SAMPLE)
