"""From the phases of a file to the drive of `sim.vehicle`: traces read, cut and repeated.

`sim` is imported when it is needed: a scenario without cycles loads without it.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rig.scenario.document import Node
from rig.scenario.model import PhaseSpec, Scenario

if TYPE_CHECKING:
    from sim.drives import Recording
    from sim.route import Route
    from sim.vehicle import Drive, Phase

Trace = tuple[tuple[float, ...], tuple[float, ...]]
"""(instants in seconds from 0, speeds in km/h)"""


def cycle_names() -> tuple[str, ...]:
    """Return the names of the built-in drive cycles."""
    from sim.drives import CYCLES

    return CYCLES


@lru_cache(maxsize=8)
def load_trace(name: str) -> Trace:
    """Return the built-in cycle `name`."""
    from sim.drives import load_cycle

    times_s, speeds_kph = load_cycle(name)
    return tuple(times_s), tuple(speeds_kph)


def cycle_duration_s(name: str) -> float:
    """Return the length of the built-in cycle `name`."""
    return load_trace(name)[0][-1]


@lru_cache(maxsize=8)
def load_recording(path: Path) -> Recording:
    """Return the recorded drive in `path`.

    Raises:
        sim.drives.RecordingError: it cannot be read.
    """
    from sim.drives import read_recording

    return read_recording(path)


def recording_duration_s(node: Node, path: Path) -> float:
    """Return the length of the recorded drive that `node` names; an unreadable one is its error."""
    from sim.drives import RecordingError

    try:
        times_s = load_recording(path).times_s
    except (RecordingError, OSError, ValueError) as error:
        raise node.error("a recorded drive that can be read", str(error)) from error
    return float(times_s[-1] - times_s[0])


def trace_from(trace: Trace, start_s: float) -> Trace:
    """Return the rest of `trace` from `start_s` on."""
    times_s, speeds_kph = trace
    first = bisect.bisect_right(times_s, start_s)
    later_s = (0.0, *(time_s - start_s for time_s in times_s[first:]))
    return later_s, (_speed_at(trace, start_s), *speeds_kph[first:])


def fit_trace(trace: Trace, duration_s: float) -> Trace:
    """Return `trace` cut, or repeated from its start, to exactly `duration_s`."""
    times_s, speeds_kph = trace
    length_s = times_s[-1]
    if length_s <= 0.0:
        raise ValueError("a speed trace: expected a length above 0 s, got a single instant")
    out_times_s: list[float] = []
    out_speeds_kph: list[float] = []
    offset_s = 0.0
    while offset_s < duration_s:
        for time_s, speed_kph in zip(times_s, speeds_kph, strict=True):
            if offset_s + time_s > duration_s:
                break
            # The end of one round and the start of the next are one instant: the end wins.
            if not out_times_s or offset_s + time_s > out_times_s[-1]:
                out_times_s.append(offset_s + time_s)
                out_speeds_kph.append(speed_kph)
        offset_s += length_s
    if out_times_s[-1] < duration_s:
        out_speeds_kph.append(_speed_at(trace, duration_s - (offset_s - length_s)))
        out_times_s.append(duration_s)
    return tuple(out_times_s), tuple(out_speeds_kph)


def _speed_at(trace: Trace, time_s: float) -> float:
    times_s, speeds_kph = trace
    right = min(max(bisect.bisect_right(times_s, time_s), 1), len(times_s) - 1)
    left = right - 1
    share = (time_s - times_s[left]) / (times_s[right] - times_s[left])
    return speeds_kph[left] + share * (speeds_kph[right] - speeds_kph[left])


def phase_trace(phase: PhaseSpec) -> Trace:
    """Return the speed trace of a `cycle` or `drive` phase, from 0 s to its duration."""
    if phase.cycle is not None:
        return fit_trace(trace_from(load_trace(phase.cycle), phase.from_s), phase.duration_s)
    if phase.path is None:
        raise ValueError(f"phase {phase.name!r}: expected a cycle or a file, got neither")
    recording = load_recording(phase.path)
    first_s = recording.times_s[0]
    times_s = tuple(time_s - first_s for time_s in recording.times_s)
    return fit_trace((times_s, tuple(recording.speeds_kph)), phase.duration_s)


def recorded_positions(scenario: Scenario) -> Sequence[tuple[float, float, float]] | None:
    """Return (latitude, longitude, altitude in m) of the first recorded drive that has them."""
    for phase in scenario.phases:
        if phase.path is not None:
            positions = load_recording(phase.path).positions
            if positions:
                return positions
    return None


def recorded_course(scenario: Scenario) -> Route | None:
    """Return the course that the first recorded drive with positions took; None without any.

    Raises:
        sim.route.RouteError: its positions make none.
    """
    from sim.route import Route

    positions = recorded_positions(scenario)
    return None if positions is None else Route.from_positions(list(positions))


def build_drive(scenario: Scenario) -> Drive:
    """Return the drive of `scenario` for `sim.vehicle.Vehicle`."""
    from sim.vehicle import Drive

    return Drive([build_phase(phase) for phase in scenario.phases])


def build_phase(phase: PhaseSpec) -> Phase:
    """Return the phase that `sim.vehicle` drives."""
    from sim.vehicle import Accelerate, Cruise, Idle, KeyOff, Trace

    if phase.kind == "idle":
        return Idle(phase.name, phase.duration_s)
    if phase.kind == "off":
        return KeyOff(phase.name, phase.duration_s)
    if phase.kind == "cruise" and phase.speed_kph is not None:
        return Cruise(phase.name, phase.duration_s, phase.speed_kph)
    if phase.kind == "accelerate" and phase.to_kph is not None:
        return Accelerate(phase.name, phase.duration_s, phase.to_kph, phase.pedal_pct)
    times_s, speeds_kph = phase_trace(phase)
    return Trace(phase.name, times_s, speeds_kph)
