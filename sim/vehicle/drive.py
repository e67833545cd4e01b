"""A drive: the phases that the driver goes through, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SPEED_KPH = 400.0  # a bound against wrong units, no property of the car


@dataclass(frozen=True, slots=True)
class Idle:
    """Brake to a stop if the car still rolls, then stand with the engine idling."""

    name: str
    duration_s: float

    def __post_init__(self) -> None:
        _check_duration(self.name, self.duration_s)


@dataclass(frozen=True, slots=True)
class Cruise:
    """Go to `speed_kph` at an everyday pace and hold it."""

    name: str
    duration_s: float
    speed_kph: float

    def __post_init__(self) -> None:
        _check_duration(self.name, self.duration_s)
        _check_speed(self.name, self.speed_kph)


@dataclass(frozen=True, slots=True)
class Accelerate:
    """Hold the pedal at `pedal_pct` until `to_kph`, then hold that speed for what is left."""

    name: str
    duration_s: float
    to_kph: float
    pedal_pct: float = 100.0

    def __post_init__(self) -> None:
        _check_duration(self.name, self.duration_s)
        _check_speed(self.name, self.to_kph)
        if not 0.0 < self.pedal_pct <= 100.0:
            raise ValueError(
                f"phase {self.name!r}: expected a pedal above 0 and up to 100 %, "
                f"got {self.pedal_pct}"
            )


@dataclass(frozen=True, slots=True)
class Trace:
    """Follow speeds over time; `times_s` rises strictly, its first value is the phase's start.

    `duration_s` is derived. Speeds in km/h, linear in between.
    """

    name: str
    times_s: tuple[float, ...]
    speeds_kph: tuple[float, ...]

    def __post_init__(self) -> None:
        times_s, speeds_kph = self.times_s, self.speeds_kph
        if len(times_s) != len(speeds_kph):
            raise ValueError(
                f"phase {self.name!r}: expected as many times as speeds, "
                f"got {len(times_s)} and {len(speeds_kph)}"
            )
        if len(times_s) < 2:
            raise ValueError(f"phase {self.name!r}: expected at least 2 points, got {len(times_s)}")
        for index in range(1, len(times_s)):
            if not times_s[index] > times_s[index - 1]:
                raise ValueError(
                    f"phase {self.name!r}: expected rising times, got {times_s[index]} s after "
                    f"{times_s[index - 1]} s (point {index})"
                )
        for speed_kph in speeds_kph:
            _check_speed(self.name, speed_kph)
        _check_duration(self.name, self.duration_s)

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last point."""
        return self.times_s[-1] - self.times_s[0]


@dataclass(frozen=True, slots=True)
class KeyOff:
    """Brake to a stop if the car still rolls, then switch the engine off."""

    name: str
    duration_s: float

    def __post_init__(self) -> None:
        _check_duration(self.name, self.duration_s)


Phase = Idle | Cruise | Accelerate | Trace | KeyOff


class Drive:
    """A sequence of phases. After the last one the driver goes on as in its last second."""

    def __init__(self, phases: Sequence[Phase]) -> None:
        if not phases:
            raise ValueError("drive: expected at least one phase, got none")
        self.phases: tuple[Phase, ...] = tuple(phases)
        starts_s = [0.0]
        for phase in self.phases:
            starts_s.append(starts_s[-1] + phase.duration_s)
        self.starts_s: tuple[float, ...] = tuple(starts_s[:-1])
        self.duration_s: float = starts_s[-1]

    @property
    def windows(self) -> list[tuple[str, float, float]]:
        """(name, start, end) of every phase in seconds since the drive began."""
        return [
            (phase.name, start_s, start_s + phase.duration_s)
            for phase, start_s in zip(self.phases, self.starts_s, strict=True)
        ]


def _check_duration(name: str, duration_s: float) -> None:
    if not (math.isfinite(duration_s) and duration_s > 0.0):
        raise ValueError(f"phase {name!r}: expected a duration above 0 s, got {duration_s}")


def _check_speed(name: str, speed_kph: float) -> None:
    if not 0.0 <= speed_kph <= MAX_SPEED_KPH:
        raise ValueError(
            f"phase {name!r}: expected a speed of 0 to {MAX_SPEED_KPH:g} km/h, got {speed_kph}"
        )
