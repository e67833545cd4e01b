"""Alarms: conditions on readings whose rows go out at once."""

from __future__ import annotations

from collections.abc import Sequence

from server.mesh.uplink.plan import Alarm
from server.mesh.uplink.rows import Grid
from server.readings import Reading, State


class Alarms:
    """Looks for readings that raise an alarm: a condition that begins to hold, or a change.

    Attributes:
        raised: how many there were.
    """

    def __init__(self, alarms: Sequence[Alarm]) -> None:
        self.raised = 0
        self._by_signal: dict[int, list[Alarm]] = {}
        for alarm in alarms:
            self._by_signal.setdefault(alarm.signal, []).append(alarm)
        self._holds: set[str] = set()
        self._last: dict[int, float] = {}
        self._rows: set[int] = set()

    def look(self, readings: Sequence[Reading], grid: Grid) -> None:
        """Look at readings that were put into the grid."""
        for reading in readings:
            alarms = self._by_signal.get(reading.signal)
            if alarms is None or reading.state not in (State.MEASURED, State.BOUNDED):
                continue
            begun = [alarm for alarm in alarms if self._begins(alarm, reading.value)]
            if begun:
                self.raised += 1
                self._rows.add(grid.row_of_signal(reading.time_ns, reading.signal))
            self._last[reading.signal] = reading.value

    def is_in(self, row: int) -> bool:
        """Tell whether a row that is closed now has an alarm, or an earlier one that it missed."""
        found = {number for number in self._rows if number <= row}
        self._rows -= found
        return bool(found)

    def _begins(self, alarm: Alarm, value: float) -> bool:
        if not alarm.compare:
            last = self._last.get(alarm.signal)
            return last is not None and last != value
        held = alarm.text in self._holds
        if not alarm.holds(value):
            self._holds.discard(alarm.text)
            return False
        self._holds.add(alarm.text)
        return not held
