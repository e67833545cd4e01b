"""The rows that a vehicle takes for the radio: one value of a signal for each instant of a grid.

A signal with a rate of r is due at each multiple (in UTC) of the grid's period nearest to 1/r. Its
value is the newest reading of the time since it was due last, the instant itself included; without
one it is missing from the row. What a car's own gateway stored are the readings of the first
vehicle; those of further vehicles are the samples that the rig handed to them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rig.measures.arrays import Bools, Floats, Ints, Readings
from rig.measures.link import Link
from rig.measures.matching import NO_SAMPLE, Matched, Samples, joined
from rig.record.manifest import MeshInfo, SignalInfo

_LAST_SOUND_STATE = 1
_ROUNDING_STEPS = 0.501  # a value between two steps of the sensor goes to the nearer one


def rows_of(times_ns: Ints, values: Floats, step_ns: int) -> Samples:
    """Return the rows of one signal that is due each `step_ns`, out of its readings."""
    order = np.argsort(times_ns, kind="stable")
    times_ns, values = times_ns[order], values[order]
    row_ns = -(-times_ns // step_ns) * step_ns
    # The last reading of each row, in order of time, is its newest.
    is_newest = np.append(row_ns[1:] != row_ns[:-1], True) if len(row_ns) else row_ns == row_ns
    taken = values[is_newest]
    return Samples(row_ns[is_newest], np.full(len(taken), np.nan), taken)


def step_ns(mesh: MeshInfo, rate_hz: float) -> int:
    """Return from one instant at which a signal is due to the next."""
    divider = max(1, round(1.0 / (rate_hz * mesh.period_s)))
    return round(mesh.period_s * 1000) * divider * 1_000_000


def sound(readings: Readings) -> Readings:
    """Return the readings that were measured."""
    return readings.where(readings.state <= _LAST_SOUND_STATE)


def match_rows(readings: Readings, info: SignalInfo, samples: Mapping[int, Samples]) -> Matched:
    """Return the sound `readings` of one signal of several vehicles, each with its row."""
    readings = sound(readings)
    readings = readings.where(np.lexsort((readings.seq, readings.received_ns)))
    sample = np.full(len(readings), NO_SAMPLE, dtype=np.int64)
    begin = 0
    for device, own in samples.items():
        chosen = readings.device == device
        sample[chosen] = _exact(readings.time_ns[chosen], own.time_ns, begin)
        begin += len(own.time_ns)
    return Matched(info, readings, sample, joined(samples.values()), readings.time_ns.copy())


def _exact(times_ns: Ints, rows_ns: Ints, begin: int) -> Ints:
    if not len(rows_ns):
        return np.full(len(times_ns), NO_SAMPLE, dtype=np.int64)
    index = np.clip(np.searchsorted(rows_ns, times_ns), 0, len(rows_ns) - 1)
    return np.where(rows_ns[index] == times_ns, index + begin, NO_SAMPLE)


def count_invented(link: Link, mesh: MeshInfo, holds: Mapping[str, Bools]) -> int:
    """Count the readings that the vehicle never had, or not within the bound of their signal.

    Args:
        link: the radio link.
        mesh: says the bounds.
        holds: signal -> which of its stored readings count.
    """
    count = 0
    for name, matched in link.stored.items():
        chosen = holds[name]
        count += int(np.count_nonzero(chosen & ~matched.has_sample))
        known = chosen & matched.has_sample
        had = matched.samples.wire[matched.sample[known]]
        errors = np.abs(matched.readings.value[known] - had)
        wraps = matched.info.wraps
        if wraps is not None:
            errors = np.minimum(errors, wraps - errors)
        most = mesh.bounds.get(name, 0.0) + _ROUNDING_STEPS * matched.info.resolution
        count += int(np.count_nonzero(errors > most))
    return count


def longest_gap_s(link: Link, spans: tuple[tuple[int, int], ...], devices: int) -> float | None:
    """Return the longest time of which no reading of one vehicle came, ever."""
    longest_ns = 0
    parts = [(m.readings.device, m.readings.time_ns) for m in link.stored.values()]
    if not parts:
        return None
    device = np.concatenate([part for part, _ in parts])
    times_ns = np.concatenate([part for _, part in parts])
    for number in np.unique(device).tolist():
        own = np.unique(times_ns[device == number])
        for start, end in spans:
            inside = own[(own >= start) & (own < end)]
            edges = np.concatenate(([start], inside, [end])).astype(np.int64)
            longest_ns = max(longest_ns, int(np.diff(edges).max()))
    if len(np.unique(device)) < devices:
        longest_ns = max(longest_ns, *(end - start for start, end in spans))
    return longest_ns / 1e9
