"""Columns cut into pieces of bounded size, in time order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from server.history.wanted import Column

SLICE_ROWS = 20_000
"""Rows that are put into order at a time."""


_Part = tuple[Column, int, int]
"""A column, and where a part of it begins and ends."""


def slices(columns: Sequence[Column], most_rows: int = SLICE_ROWS) -> Iterator[list[Column]]:
    """Give the same readings in pieces of at most `most_rows`, each later than the one before.

    A piece is greater only where so many readings have one and the same instant. Readings are
    copied for the piece that is given, and for no other.
    """
    yield from _slices([(column, 0, len(column)) for column in columns if len(column)], most_rows)


def _slices(parts: Sequence[_Part], most_rows: int) -> Iterator[list[Column]]:
    if not parts:
        return
    first_ns = min(column.times_ns[begin] for column, begin, _ in parts)
    last_ns = max(column.times_ns[end - 1] for column, _, end in parts)
    if sum(end - begin for _, begin, end in parts) <= most_rows or first_ns == last_ns:
        yield [_copied(*part) for part in parts]
        return
    middle_ns = (first_ns + last_ns + 1) // 2
    before: list[_Part] = []
    after: list[_Part] = []
    for column, begin, end in parts:
        place = bisect_left(column.times_ns, middle_ns, begin, end)
        if begin < place:
            before.append((column, begin, place))
        if place < end:
            after.append((column, place, end))
    yield from _slices(before, most_rows)
    yield from _slices(after, most_rows)


def _copied(column: Column, begin: int, end: int) -> Column:
    if end - begin == len(column):
        return column
    return Column(
        column.device,
        column.boot,
        column.signal,
        column.times_ns[begin:end],
        column.values[begin:end],
        column.states[begin:end],
    )
