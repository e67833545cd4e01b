"""The newest reading of each signal, kept once for all clients that want no other when slow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

import msgspec

from server.live.events import Event, Readings, Row

NOTICES = 256
"""Notices that such a client finds at most when it can hear again."""
SIGNALS = 20_000
"""Signals of devices that are kept, at most; then the oldest are forgotten."""


class Mark(msgspec.Struct, frozen=True):
    """How much there was at some time: a client that lags behind has everything up to there."""

    number: int
    rows: int
    notices: int


class Missed(msgspec.Struct, frozen=True):
    """What a client has missed: events to say, in order; readings superseded; notices lost."""

    events: list[Event]
    superseded: int
    lost: int


class Newest:
    """Takes the events of a group."""

    __slots__ = ("_notices", "_number", "_rows", "_seen_notices", "_seen_rows")

    def __init__(self) -> None:
        # In order of numbers: what is new is put at the end.
        self._rows: dict[tuple[str, int], tuple[int, int, Row]] = {}
        self._notices: deque[Event] = deque(maxlen=NOTICES)
        self._number = self._seen_rows = self._seen_notices = 0

    @property
    def mark(self) -> Mark:
        """How much there is now."""
        return Mark(self._number, self._seen_rows, self._seen_notices)

    def take(self, events: Iterable[Event]) -> None:
        """Take what has happened."""
        rows = self._rows
        for event in events:
            self._number = event.last
            if not isinstance(event, Readings):
                self._notices.append(event)
                self._seen_notices += 1
                continue
            self._seen_rows += event.size
            device, boot = event.device, event.boot
            for number, row in zip(event.numbered(), event.rows, strict=True):
                key = (device, row[1])
                rows.pop(key, None)
                rows[key] = (number, boot, row)
        while len(rows) > SIGNALS:
            del rows[next(iter(rows))]

    def since(self, mark: Mark) -> Missed:
        """Give what is new since then: notices first, then the newest readings."""
        missed = self._seen_notices - mark.notices
        known = min(missed, len(self._notices))
        events: list[Event] = list(islice(self._notices, len(self._notices) - known, None))
        found: list[tuple[str, int, int, Row]] = []
        for (device, _), (number, boot, row) in reversed(self._rows.items()):
            if number <= mark.number:
                break
            found.append((device, number, boot, row))
        by_boot: dict[tuple[str, int], tuple[list[Row], list[int]]] = {}
        for device, number, boot, row in reversed(found):
            rows, numbers = by_boot.setdefault((device, boot), ([], []))
            rows.append(row)
            numbers.append(number)
        events += [Readings(device, boot, *both) for (device, boot), both in by_boot.items()]
        return Missed(events, self._seen_rows - mark.rows - len(found), missed - known)
