"""Readings of any instants become rows on a grid of UTC: one value a signal and row.

Row r is taken at start + r * period. A signal with divider d is due in each d-th row; its value is
the newest reading of the d periods that end with the row's instant, included, else missing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from server.readings import Reading, State
from server.wire.codec.profile import Profile, SignalPlan

FURTHEST_ROWS = 120
"""Readings further ahead of the last closed row are of no grid: a clock was wrong."""


class Grid:
    """The rows that are still open.

    Args:
        profile: signals, dividers, period.
        start_ms: UTC of row 0; a whole number of turns, in which every signal is due once.

    Attributes:
        closed: the number of the last closed row.
        late: readings whose row was closed.
        unfit: readings far ahead of time.
    """

    def __init__(self, profile: Profile, start_ms: int) -> None:
        self.closed = -1
        self.late = 0
        self.unfit = 0
        self.start_ms = start_ms
        self._profile = profile
        self._start_ns = start_ms * 1_000_000
        self._period_ns = profile.period_ms * 1_000_000
        self._places = {signal.id: index for index, signal in enumerate(profile.signals)}
        self._rows: dict[int, dict[int, tuple[int, float]]] = {}  # row -> index -> (time, value)

    def row_at(self, time_ns: int) -> int:
        """Give the last row whose instant has come."""
        return (time_ns - self._start_ns) // self._period_ns

    def row_of(self, time_ns: int, index: int) -> int:
        """Give the row in which a reading of this instant stands."""
        divider = self._profile.signals[index].divider
        row = -((self._start_ns - time_ns) // self._period_ns)
        return -(-row // divider) * divider

    def row_of_signal(self, time_ns: int, signal: int) -> int:
        """Give the same for the id of a signal of the plan."""
        return self.row_of(time_ns, self._places[signal])

    def put(self, readings: Sequence[Reading]) -> None:
        """Take readings; those of other signals, and values that nobody measured, are passed."""
        for reading in readings:
            index = self._places.get(reading.signal)
            if index is None or reading.state not in (State.MEASURED, State.BOUNDED):
                continue
            if not math.isfinite(reading.value):
                continue
            row = self.row_of(reading.time_ns, index)
            if row <= self.closed:
                self.late += 1
            elif self.closed >= 0 and row > self.closed + FURTHEST_ROWS:
                self.unfit += 1
            else:
                values = self._rows.setdefault(row, {})
                known = values.get(index)
                if known is None or known[0] <= reading.time_ns:
                    values[index] = (reading.time_ns, reading.value)

    def close(self, row: int) -> list[int | None]:
        """Close a row: give the steps of the signals that are due in it, None where missing."""
        self.closed = row
        values = self._rows.pop(row, {})
        signals = self._profile.signals
        return [
            None if index not in values else steps_of(signals[index], values[index][1])
            for index in self._profile.due(row)
        ]

    def skip_to(self, row: int) -> None:
        """Leave out the rows before this one."""
        self.closed = max(self.closed, row - 1)
        for number in [number for number in self._rows if number <= self.closed]:
            del self._rows[number]


def steps_of(signal: SignalPlan, value: float) -> int:
    """Give the nearest step of the sensor."""
    offset = signal.offset_num / signal.offset_den
    return round((value - offset) * signal.scale_den / signal.scale_num)


def turn_ms(profile: Profile) -> int:
    """Give the time after which the pattern of due signals begins again."""
    return profile.period_ms * math.lcm(*(signal.divider for signal in profile.signals))


def start_before(profile: Profile, utc_ms: int) -> int:
    """Give a row 0: the last whole turn of UTC before an instant."""
    turn = turn_ms(profile)
    return utc_ms // turn * turn
