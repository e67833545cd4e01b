"""The driver's mind: which speed to have now, and how fast it should change.

The driver looks a little ahead along a trace, as a human follows the line on a test bench, and goes
at an everyday pace to the speed of a phase that has no trace.
"""

from __future__ import annotations

from collections.abc import Callable

from sim.vehicle.drive import Accelerate, Cruise, Drive, Idle, KeyOff, Phase, Trace

KPH = 1.0 / 3.6  # m/s
LOOK_NEAR_S = 0.10  # [assumed] the slope of a trace is read between these two instants ahead:
LOOK_FAR_S = 0.60  # pedal, manifold and turbo take about that long to answer
EASY_PULL_MPS2 = 2.2  # [assumed] everyday acceleration from rest, less at speed
EASY_PULL_FADE_MPS = 75.0
EASY_BRAKE_MPS2 = 1.8
HARDEST_PULL_MPS2 = 5.0  # [assumed] how fast the wish may move to a trace that jumps
HARDEST_BRAKE_MPS2 = 7.0
LEAD_MPS = 0.5  # the wish never runs further ahead of the car than this
BIN_S = 1.0  # traces finer than this are averaged: a driver cannot follow 10 Hz


class Driver:
    """Turns the drive into a wish: `speed_mps`, `accel_mps2`, or an open-loop `pedal`.

    `ahead_mps` is the speed wished a moment later; `pedal` 0 means follow the speed; `key` False
    means that the engine is to be off once the car stands.
    """

    __slots__ = (
        "_cursor",
        "_follow",
        "_index",
        "_phase_end_s",
        "_phase_start_s",
        "_phases",
        "_pushing",
        "_target_mps",
        "_trace_s",
        "_trace_v",
        "accel_mps2",
        "ahead_mps",
        "key",
        "pedal",
        "speed_mps",
        "step_s",
    )

    def __init__(self, drive: Drive, step_s: float) -> None:
        self._phases = drive.phases
        self._index = -1
        self._phase_start_s = 0.0
        self._phase_end_s = 0.0
        self._cursor = 0
        self._trace_s: tuple[float, ...] = ()
        self._trace_v: tuple[float, ...] = ()
        self._target_mps = 0.0
        self._pushing = 0.0
        self._follow: Callable[[float, float], None] = self._follow_target
        self.step_s = step_s
        self.speed_mps = self.accel_mps2 = self.ahead_mps = 0.0
        self.pedal = 0.0
        self.key = not isinstance(drive.phases[0], KeyOff)

    def look(self, t_s: float, speed_mps: float) -> None:
        """Update the wish for the grid step that starts at `t_s`, the car going `speed_mps`."""
        while t_s >= self._phase_end_s - 1e-9 and self._index + 1 < len(self._phases):
            self._index += 1
            self._enter(self._phases[self._index], speed_mps)
        self._follow(t_s, speed_mps)

    def _enter(self, phase: Phase, speed_mps: float) -> None:
        self._phase_start_s = self._phase_end_s
        self._phase_end_s += phase.duration_s
        self.pedal = 0.0
        self.accel_mps2 = 0.0
        self.speed_mps = speed_mps
        self.key = not isinstance(phase, KeyOff)
        self._follow = self._follow_target
        match phase:
            case Idle() | KeyOff():
                self._target_mps = 0.0
            case Cruise():
                self._target_mps = phase.speed_kph * KPH
            case Accelerate():
                self._target_mps = phase.to_kph * KPH
                self._pushing = phase.pedal_pct / 100.0
                self._follow = self._follow_pedal
            case Trace():
                self._trace_s, self._trace_v = _reference(phase)
                self._cursor = 0
                self._follow = self._follow_trace

    def _follow_target(self, t_s: float, speed_mps: float) -> None:
        """Move the wished speed towards the phase's target at an everyday pace."""
        gap = self._target_mps - self.speed_mps
        accel = gap * 0.6  # eases in over the last seconds
        pull = EASY_PULL_MPS2 * (1.0 - self.speed_mps / EASY_PULL_FADE_MPS)
        pull = max(pull, 0.4)
        if accel > pull:
            accel = pull
        elif gap < 0.0:
            accel = max(min(accel, -0.5), -EASY_BRAKE_MPS2)
        move = accel * self.step_s
        if gap * gap <= move * move or -0.005 < gap < 0.005:
            move = gap
            accel = 0.0
        self._wish(self.speed_mps + move, accel, speed_mps)

    def _follow_pedal(self, t_s: float, speed_mps: float) -> None:
        """Hold the pedal until the target is near, then follow it."""
        if speed_mps + 0.1 < self._target_mps:
            self.pedal = self._pushing
            self.speed_mps = self.ahead_mps = speed_mps
            self.accel_mps2 = 0.0
            return
        self.pedal = 0.0
        self._follow = self._follow_target
        self.speed_mps = self._target_mps
        self._follow_target(t_s, speed_mps)

    def _follow_trace(self, t_s: float, speed_mps: float) -> None:
        """Read the trace now and ahead; a jump in it is approached, not copied."""
        at_s = t_s - self._phase_start_s
        times_s, speeds = self._trace_s, self._trace_v
        last = len(times_s) - 2
        cursor = self._cursor
        while cursor < last and times_s[cursor + 1] <= at_s:
            cursor += 1
        self._cursor = cursor
        now = _between(times_s, speeds, cursor, at_s)
        at_s += LOOK_NEAR_S
        while cursor < last and times_s[cursor + 1] <= at_s:
            cursor += 1
        near = _between(times_s, speeds, cursor, at_s)
        at_s += LOOK_FAR_S - LOOK_NEAR_S
        while cursor < last and times_s[cursor + 1] <= at_s:
            cursor += 1
        far = _between(times_s, speeds, cursor, at_s)
        accel = (far - near) * (1.0 / (LOOK_FAR_S - LOOK_NEAR_S))
        before = self.speed_mps
        if now > before + HARDEST_PULL_MPS2 * self.step_s:
            now = before + HARDEST_PULL_MPS2 * self.step_s
        elif now < before - HARDEST_BRAKE_MPS2 * self.step_s:
            now = before - HARDEST_BRAKE_MPS2 * self.step_s
        self.speed_mps = now
        self.accel_mps2 = accel
        self.ahead_mps = far

    def _wish(self, wish_mps: float, accel: float, speed_mps: float) -> None:
        if wish_mps > speed_mps + LEAD_MPS:
            wish_mps = speed_mps + LEAD_MPS
        elif wish_mps < speed_mps - LEAD_MPS:
            wish_mps = speed_mps - LEAD_MPS
        self.speed_mps = wish_mps
        self.accel_mps2 = accel
        self.ahead_mps = wish_mps + accel * LOOK_FAR_S


def _between(
    times_s: tuple[float, ...], speeds: tuple[float, ...], cursor: int, at_s: float
) -> float:
    start_s = times_s[cursor]
    end_s = times_s[cursor + 1]
    if at_s >= end_s:
        return speeds[cursor + 1]
    left = speeds[cursor]
    return left + (speeds[cursor + 1] - left) * (at_s - start_s) / (end_s - start_s)


def _reference(trace: Trace) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times from 0 and speeds in m/s; averaged over `BIN_S` where the recording is finer."""
    first_s = trace.times_s[0]
    times_s = [time_s - first_s for time_s in trace.times_s]
    speeds = [speed_kph * KPH for speed_kph in trace.speeds_kph]
    if trace.duration_s / (len(times_s) - 1) > 0.5 * BIN_S or trace.duration_s < 2.0 * BIN_S:
        return tuple(times_s), tuple(speeds)
    return _averaged(times_s, speeds)


def _averaged(
    times_s: list[float], speeds: list[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    out_s = [0.0]
    out_v = [speeds[0]]
    edge_s = 1.5 * BIN_S
    total = count = 0.0
    middle_s = BIN_S
    for time_s, speed in zip(times_s, speeds, strict=True):
        if time_s < 0.5 * BIN_S:
            continue
        if time_s >= edge_s:
            if count:
                out_s.append(middle_s)
                out_v.append(total / count)
            bins = int((time_s - edge_s) / BIN_S) + 1
            edge_s += bins * BIN_S
            middle_s = edge_s - 0.5 * BIN_S
            total = count = 0.0
        total += speed
        count += 1.0
    end_s = times_s[-1]
    if out_s[-1] < end_s:
        out_s.append(end_s)
        out_v.append(speeds[-1])
    return tuple(out_s), tuple(out_v)
