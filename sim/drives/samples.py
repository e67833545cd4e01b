"""Samples on their way from a file to a `Recording`: the checks that all formats share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from sim.drives.errors import RecordingError
from sim.drives.geodesy import Position, is_position, speeds_kph

TOP_SPEED_KPH = 400.0  # above it a value is a glitch or has the wrong unit
DAY_S = 86_400.0
FEWEST = 20  # speeds are used unless there are this many times more positions
LEAP_S = 600.0  # a lone jump ahead by more than this is a glitch of the logger's clock


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded drive.

    `times_s` begins at 0 and rises strictly; `speeds_kph` in km/h; `positions` are (latitude,
    longitude, altitude in m), one per time, or None where the file has none; `skipped` counts the
    lines that could not be used.
    """

    path: Path
    times_s: tuple[float, ...]
    speeds_kph: tuple[float, ...]
    positions: list[Position] | None
    skipped: int

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the last sample."""
        return self.times_s[-1]


@dataclass(slots=True)
class Samples:
    """Collects usable samples and counts the others; `finish` makes the recording."""

    path: Path
    what: str  # what a usable line holds, for the message
    skipped: int = 0
    seen: int = 0
    _first_bad: tuple[int | None, str] | None = None
    _times_s: list[float] = field(default_factory=list)
    _speeds_kph: list[float | None] = field(default_factory=list)
    _positions: list[Position | None] = field(default_factory=list)
    _lines: list[int | None] = field(default_factory=list)

    def skip(self, line: int | None, why: str) -> None:
        """Count a line (None: not known) that is no use; the first is named if nothing is left."""
        self.skipped += 1
        if self._first_bad is None:
            self._first_bad = (line, why)

    def add(
        self,
        line: int | None,
        time_s: float,
        speed_kph: float | None,
        position: Position | None,
    ) -> None:
        """Take a sample; values that no car has are skipped and counted."""
        self.seen += 1
        if not math.isfinite(time_s):
            self.skip(line, f"time {time_s}")
            return
        if speed_kph is not None and not 0.0 <= speed_kph <= TOP_SPEED_KPH:
            self.skip(line, f"a speed of {speed_kph:g} km/h")
            return
        if position is not None and not (
            is_position(position[0], position[1]) and math.isfinite(position[2])
        ):
            position = None
        if speed_kph is None and position is None:
            self.skip(line, "neither a speed nor a position")
            return
        self._times_s.append(time_s)
        self._speeds_kph.append(speed_kph)
        self._positions.append(position)
        self._lines.append(line)

    def finish(self) -> Recording:
        """Put the samples together; raises RecordingError if fewer than two are usable."""
        kept = self._rising()
        with_speed = [index for index in kept if self._speeds_kph[index] is not None]
        with_position = [index for index in kept if self._positions[index] is not None]
        # Speeds come first, even if there are fewer: loggers poll their signals in turns.
        if len(with_speed) >= 2 and len(with_speed) * FEWEST >= len(with_position):
            kept, speeds = with_speed, [self._speeds_kph[index] or 0.0 for index in with_speed]
        elif len(with_position) >= 2:
            kept = with_position
            times_s = [self._times_s[index] for index in kept]
            speeds = speeds_kph(times_s, self._positions_of(kept))
        else:
            raise self._nothing_usable(max(len(with_speed), len(with_position)))
        start_s = self._times_s[kept[0]]
        return Recording(
            path=self.path,
            times_s=tuple(round(self._times_s[index] - start_s, 6) for index in kept),
            speeds_kph=tuple(round(min(speed, TOP_SPEED_KPH), 6) for speed in speeds),
            positions=self._positions_of(kept) if len(with_position) >= 2 else None,
            skipped=self.skipped,
        )

    def _rising(self) -> list[int]:
        """Indices of the samples whose times rise strictly; the others are counted as skipped."""
        kept: list[int] = []
        times_s = self._times_s
        for index, time_s in enumerate(times_s):
            if kept and time_s < times_s[kept[-1]] + 1e-6:
                self.skip(self._lines[index], "a time that does not rise")
                continue
            following = times_s[index + 1] if index + 1 < len(times_s) else None
            glitch = following is not None and following < time_s
            if glitch and kept and time_s - times_s[kept[-1]] > LEAP_S:
                self.skip(self._lines[index], "a time that leaps ahead and back")
                continue
            kept.append(index)
        return kept

    def _positions_of(self, kept: list[int]) -> list[Position]:
        """One position per sample: a missing one is the last known, at first the first known."""
        known = next((place for place in self._positions if place is not None), (0.0, 0.0, 0.0))
        filled = []
        for place in self._positions:
            known = place or known
            filled.append(known)
        return [filled[index] for index in kept]

    def _nothing_usable(self, usable: int) -> RecordingError:
        line, got = None, f"{usable} usable of {self.seen + self.skipped}"
        if self._first_bad is not None:
            line, why = self._first_bad
            got += f"; this line has {why}"
        return RecordingError(self.path, line, f"at least two samples ({self.what})", got)
