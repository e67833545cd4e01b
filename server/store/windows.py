"""Readings of one start of a device, gathered by windows of time on their way into segments."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from operator import le

from server.store.segment import Column

MOST_SAMPLES = 1 << 18
"""Readings that are held at a time."""
MOST_OF_SIGNAL = 1 << 14
"""Readings of one signal in a segment: bounds how long one of them keeps the others waiting."""


class _Signal:
    __slots__ = ("states", "times_ns", "values")

    def __init__(self) -> None:
        self.times_ns = array("q")
        self.values = array("d")
        self.states = bytearray()


class Windows:
    """Takes columns whose rows come by their earliest instants; gives windows that are whole.

    Args:
        length_ns: of a window; windows begin at whole multiples of it, of which a day has a whole
            number.
    """

    def __init__(self, length_ns: int) -> None:
        self._length_ns = length_ns
        self._windows: dict[int, dict[int, _Signal]] = {}
        self._samples = 0
        self._longest = 0

    @property
    def is_full(self) -> bool:
        """Tell whether so much is held that something has to go."""
        return self._samples >= MOST_SAMPLES or self._longest >= MOST_OF_SIGNAL

    def add(self, signal: int, times_ns: array[int], values: array[float], states: bytes) -> None:
        """Take readings of a signal."""
        length_ns = self._length_ns
        window = times_ns[0] // length_ns
        is_ascending = all(map(le, times_ns, memoryview(times_ns)[1:]))
        if is_ascending and window == times_ns[-1] // length_ns:
            self._add(window, signal, times_ns, values, states)
        elif is_ascending:
            begin = 0
            while begin < len(times_ns):
                window = times_ns[begin] // length_ns
                end = bisect_left(times_ns, (window + 1) * length_ns, begin)
                part = slice(begin, end)
                self._add(window, signal, times_ns[part], values[part], states[part])
                begin = end
        else:
            for place, time_ns in enumerate(times_ns):
                part = slice(place, place + 1)
                self._add(time_ns // length_ns, signal, times_ns[part], values[part], states[part])

    def _add(
        self, window: int, signal: int, times: array[int], values: array[float], states: bytes
    ) -> None:
        signals = self._windows.setdefault(window, {})
        held = signals.get(signal)
        if held is None:
            held = signals[signal] = _Signal()
        held.times_ns.extend(times)
        held.values.extend(values)
        held.states += states
        self._samples += len(values)
        self._longest = max(self._longest, len(held.values))

    def before(self, time_ns: int | None) -> list[tuple[int, list[Column]]]:
        """Give the windows that end before an instant, all for None: begin, and its columns."""
        found = []
        for window in sorted(self._windows):
            begin_ns = window * self._length_ns
            if time_ns is not None and begin_ns + self._length_ns > time_ns:
                continue
            found.append((begin_ns, _columns(self._windows.pop(window))))
        if found:
            self._recount()
        return found

    def largest(self) -> list[tuple[int, list[Column]]]:
        """Give the window that has most."""
        window = max(self._windows, key=lambda number: _size(self._windows[number]))
        columns = _columns(self._windows.pop(window))
        self._recount()
        return [(window * self._length_ns, columns)]

    def _recount(self) -> None:
        self._samples = sum(map(_size, self._windows.values()))
        self._longest = max(
            (len(held.values) for signals in self._windows.values() for held in signals.values()),
            default=0,
        )


def _size(signals: dict[int, _Signal]) -> int:
    return sum(len(held.values) for held in signals.values())


def _columns(signals: dict[int, _Signal]) -> list[Column]:
    return [
        Column(signal, held.times_ns, held.values, bytes(held.states))
        for signal, held in sorted(signals.items())
    ]


def merged(columns: Sequence[Column], others: Sequence[Column]) -> list[Column]:
    """Put the columns of two parts together; of equal instants those of the first come first."""
    found = {column.signal: column for column in columns}
    for column in others:
        before = found.get(column.signal)
        if before is None:
            found[column.signal] = column
        else:
            found[column.signal] = Column(
                column.signal,
                before.times_ns + column.times_ns,
                before.values + column.values,
                before.states + column.states,
            )
    return [found[signal] for signal in sorted(found)]
