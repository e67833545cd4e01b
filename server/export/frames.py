"""Snapshots: one row with the newest value of each signal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from server.history.wanted import Column, rows_of
from server.readings import State

Frame = tuple[int, list[float | None]]
"""Instant, and the value of each signal, None where there is none."""


class Snapshots:
    """Makes snapshots of readings that come in time order.

    With a period, a snapshot stands at each whole multiple of it since 1970 at which at least one
    value is young enough; it has what was read up to that instant. Without one, there is a snapshot
    for each instant at which something was read. A value older than `hold_s` is not shown, nor is
    one that a device has lost.

    Args:
        signals: ids, in the order of the columns.
        period_ms: 0: none.
        hold_s: how long a value is shown.
    """

    def __init__(self, signals: Sequence[int], period_ms: int, hold_s: float) -> None:
        self._places = {signal: place for place, signal in enumerate(signals)}
        self._period_ns = period_ms * 1_000_000
        self._hold_ns = round(hold_s * 1e9)
        self._values: list[float | None] = [None] * len(signals)
        self._read_ns = [0] * len(signals)
        self._newest_ns: int | None = None
        self._next_ns = 0

    def take(self, columns: Sequence[Column]) -> Iterator[Frame]:
        """Take readings; give the snapshots that are complete."""
        for time_ns, signal, _, value, state in rows_of(columns):
            place = self._places.get(signal)
            if place is None:
                continue
            if self._newest_ns is None or time_ns > self._newest_ns:
                yield from self._before(time_ns)
                self._newest_ns = time_ns
            is_value = state != State.LOST and math.isfinite(value)
            self._values[place] = value if is_value else None
            self._read_ns[place] = time_ns

    def rest(self) -> Iterator[Frame]:
        """Give the last snapshot."""
        if self._newest_ns is not None:
            yield from self._before(self._newest_ns + max(1, self._period_ns))

    def _before(self, time_ns: int) -> Iterator[Frame]:
        """Give the snapshots of instants before `time_ns`, which nothing can change any more."""
        newest_ns = self._newest_ns
        if newest_ns is None:
            self._next_ns = self._at_or_after(time_ns)
            return
        if not self._period_ns:
            frame = self._frame(newest_ns)
            if frame is not None:
                yield frame
            return
        # Nothing is shown longer than it is held: what follows a gap begins anew.
        end_ns = min(time_ns, newest_ns + max(self._hold_ns, self._period_ns) + 1)
        while self._next_ns < end_ns:
            frame = self._frame(self._next_ns)
            if frame is not None:
                yield frame
            self._next_ns += self._period_ns
        if self._next_ns < time_ns:
            self._next_ns = self._at_or_after(time_ns)

    def _at_or_after(self, time_ns: int) -> int:
        return -(-time_ns // self._period_ns) * self._period_ns if self._period_ns else time_ns

    def _frame(self, at_ns: int) -> Frame | None:
        oldest_ns = at_ns - self._hold_ns
        values = [
            value if read_ns >= oldest_ns else None
            for value, read_ns in zip(self._values, self._read_ns, strict=True)
        ]
        if all(value is None for value in values):
            return None
        return at_ns, values
