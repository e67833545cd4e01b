"""What is asked of the store, and the columns in which it answers."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import chain, islice
from operator import itemgetter, le

import msgspec

INT64_MAX = 2**63 - 1


class Wanted(msgspec.Struct, frozen=True):
    """Which readings of one device.

    Attributes:
        device: whose; there is no question over several devices at once.
        start_ns: earliest instant measured.
        end_ns: first instant that is not wanted any more.
        signals: ids of signals; None for all.
        boot: run of the gateway, or of the remote device, that took them; None for all.
    """

    device: str
    start_ns: int = 0
    end_ns: int = INT64_MAX
    signals: frozenset[int] | None = None
    boot: int | None = None

    def takes(self, signal: int) -> bool:
        """Tell whether a signal is wanted."""
        return self.signals is None or signal in self.signals


class Column(msgspec.Struct, gc=False):
    """Readings of one signal of one boot of one device, ascending by time.

    Readings with equal instants stay in the order in which they were written.
    """

    device: str
    boot: int
    signal: int
    times_ns: array[int]
    values: array[float]
    states: bytes

    def __len__(self) -> int:
        """How many readings."""
        return len(self.times_ns)

    def part(self, begin: int, end: int) -> Column:
        """Give the readings from index `begin` to before `end`."""
        return Column(
            self.device,
            self.boot,
            self.signal,
            self.times_ns[begin:end],
            self.values[begin:end],
            self.states[begin:end],
        )

    def within(self, start_ns: int, end_ns: int) -> Column | None:
        """Give the readings of [start_ns, end_ns); None where there are none."""
        times_ns = self.times_ns
        begin, end = 0, len(times_ns)
        if end and times_ns[0] < start_ns:
            begin = bisect_left(times_ns, start_ns)
        if end and times_ns[-1] >= end_ns:
            end = bisect_left(times_ns, end_ns)
        if begin >= end:
            return None
        return self if end - begin == len(times_ns) else self.part(begin, end)


def is_ascending(times_ns: array[int]) -> bool:
    """Tell whether instants never go back."""
    return all(map(le, times_ns, islice(times_ns, 1, None)))


def join_columns(parts: Iterable[Column]) -> Column:
    """Make one column of several of the same signal, each ascending by time; at least one.

    The boot is that of the first part.
    """
    parts = list(parts)
    first = parts[0]
    if len(parts) == 1:
        return first
    times_ns: array[int] = array("q")
    values: array[float] = array("d")
    for part in parts:
        times_ns.extend(part.times_ns)
        values.extend(part.values)
    states = b"".join(part.states for part in parts)
    return in_order(Column(first.device, first.boot, first.signal, times_ns, values, states))


def in_order(column: Column) -> Column:
    """Give a column ascending by time; equal instants stay in their order."""
    if is_ascending(column.times_ns):
        return column
    rows = sorted(
        zip(column.times_ns, column.values, column.states, strict=True), key=itemgetter(0)
    )
    times_ns, values, states = zip(*rows, strict=True)
    return Column(
        column.device,
        column.boot,
        column.signal,
        array("q", times_ns),
        array("d", values),
        bytes(states),
    )


def to_steps(times_ns: array[int], step_ns: int) -> array[int]:
    """Give instants in whole steps, downwards, as segments keep them."""
    return array("q", [time_ns - time_ns % step_ns for time_ns in times_ns])


def merge_boots(columns: Iterable[Column]) -> list[Column]:
    """Make one column of each signal, whatever boot took it; by signal id."""
    by_signal: dict[int, list[Column]] = {}
    for column in columns:
        by_signal.setdefault(column.signal, []).append(column)
    return [join_columns(by_signal[signal]) for signal in sorted(by_signal)]


def rows_of(columns: Iterable[Column]) -> list[tuple[int, int, int, float, int]]:
    """Give (time_ns, signal, boot, value, state) of columns, by time, signal, boot."""
    rows = chain.from_iterable(
        zip(
            column.times_ns,
            (column.signal for _ in column.times_ns),
            (column.boot for _ in column.times_ns),
            column.values,
            column.states,
            strict=True,
        )
        for column in columns
    )
    return sorted(rows, key=itemgetter(0, 1, 2))
