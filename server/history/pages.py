"""Readings one by one, in the order of time, in pages."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import aclosing
from typing import Self

import asyncpg
import msgspec

from server.catalogue import SHORT_NAMES
from server.history.reader import windows
from server.history.wanted import Column, Wanted, rows_of

_PLACE = re.compile(r"(\d{1,19})-(\d{1,19})-(\d{1,19})-(\d{1,10})", re.ASCII)
_INT64_MAX = 2**63 - 1


class Row(msgspec.Struct, frozen=True, gc=False):
    """One reading.

    Attributes:
        time_ns: instant measured, UTC nanoseconds since 1970.
        signal: id from the signal catalogue.
        name: its short name; the id as text where it has none.
        boot: run of the gateway, or of the remote device, that took it.
        value: in the signal's unit; null where it is no number.
        state: 0 measured, 1 bounded, 2 held (predicted), 3 lost.
    """

    time_ns: int
    signal: int
    name: str
    boot: int
    value: float
    state: int


class Place(msgspec.Struct, frozen=True, order=True):
    """A place among the readings of a device: after the `number`-th one of this instant, signal
    and boot. Opaque to users of the API."""

    time_ns: int
    signal: int
    boot: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Give the place of a text that `str()` made; None for any other text."""
        match = _PLACE.fullmatch(text)
        if match is None or any(int(number) > _INT64_MAX for number in match.groups()):
            return None
        return cls(*(int(number) for number in match.groups()))

    def __str__(self) -> str:
        return f"{self.time_ns}-{self.signal}-{self.boot}-{self.number}"


class Page(msgspec.Struct, frozen=True):
    """Readings by time, signal and boot; `next` is the `after` of the next page, or None."""

    readings: list[Row]
    next: str | None


_Raw = tuple[int, int, int, float, int]


async def read_page(
    connection: asyncpg.Connection,
    wanted: Wanted,
    *,
    limit: int,
    after: Place | None = None,
    offset: int = 0,
) -> Page:
    """Give a page of a device's readings.

    What is stored later with an earlier instant is on an earlier page.
    """
    if after is not None and after.time_ns > wanted.start_ns:
        wanted = msgspec.structs.replace(wanted, start_ns=after.time_ns)
    begin = after
    found: list[_Raw] = []
    async with aclosing(windows(connection, wanted)) as read:  # type: ignore[type-var]
        async for window in read:
            if after is not None:
                window, after = _after(window, after), None
            size = sum(map(len, window))
            if offset >= size:
                offset -= size
                continue
            rows = _first_rows(window, offset + limit + 1 - len(found))
            found += rows[offset : offset + limit + 1 - len(found)]
            offset = 0
            if len(found) > limit:
                break
    rest, found = found[limit:], found[:limit]
    return Page(list(map(_row, found)), str(_place(found, begin)) if rest else None)


def _row(raw: _Raw) -> Row:
    time_ns, signal, boot, value, state = raw
    return Row(time_ns, signal, SHORT_NAMES.get(signal) or str(signal), boot, value, state)


def _first_rows(window: Sequence[Column], count: int) -> list[_Raw]:
    """Give at least `count` of the first readings, or all; sorting no more than is needed."""
    low = min(column.times_ns[0] for column in window)
    high = max(column.times_ns[-1] for column in window) + 1
    if sum(map(len, window)) > 2 * count:
        # The earliest end with enough readings before it.
        first, last = low + 1, high
        while first < last:
            middle = (first + last) // 2
            if sum(bisect_left(column.times_ns, middle) for column in window) >= count:
                last = middle
            else:
                first = middle + 1
        high = first
    return rows_of(column.part(0, bisect_left(column.times_ns, high)) for column in window)


def _after(window: Sequence[Column], place: Place) -> list[Column]:
    """Leave out what stands at a place or before it."""
    kept = []
    for column in window:
        begin = bisect_left(column.times_ns, place.time_ns)
        if (column.signal, column.boot) == (place.signal, place.boot):
            begin += place.number
        elif (column.signal, column.boot) < (place.signal, place.boot):
            begin = bisect_left(column.times_ns, place.time_ns + 1)
        if begin < len(column):
            kept.append(column.part(begin, len(column)))
    return kept


def _place(found: Sequence[_Raw], after: Place | None) -> Place:
    """Give the place after the last reading; readings that are alike in all of it are counted."""
    time_ns, signal, boot = found[-1][:3]
    number = 0
    for row in reversed(found):
        if row[:3] != (time_ns, signal, boot):
            break
        number += 1
    key = (time_ns, signal, boot)
    is_whole_page = number == len(found)
    if is_whole_page and after is not None and key == (after.time_ns, after.signal, after.boot):
        number += after.number
    return Place(time_ns, signal, boot, number)
