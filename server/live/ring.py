"""The newest events of the stream, for clients that were away for a moment; bounded in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec

from server.live.events import Event

MARKS = 3600
MARK_NS = 1_000_000_000


class Gap(msgspec.Struct, frozen=True):
    """Numbers that the ring has no more, and when they were new; None: not known."""

    after: int
    resumes_at: int
    start_ns: int | None
    end_ns: int


class Ring:
    """Keeps events by number.

    Args:
        limit_bytes: of what is kept; 0: nothing.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._events: deque[tuple[Event, int, int]] = deque()  # event, instant, bytes
        self._bytes = 0
        self._marks: deque[tuple[int, int]] = deque(maxlen=MARKS)

    @property
    def bytes(self) -> int:
        """How many are kept."""
        return self._bytes

    @property
    def first(self) -> int | None:
        """The oldest number that is kept."""
        return self._events[0][0].first if self._events else None

    def add(self, event: Event, now_ns: int) -> None:
        """Keep an event; forget the oldest where they are too many."""
        if not self._marks or now_ns - self._marks[-1][1] >= MARK_NS:
            self._marks.append((event.first, now_ns))
        if not self._limit:
            return
        size = event.shrink()
        self._events.append((event, now_ns, size))
        self._bytes += size
        while self._bytes > self._limit:
            self._bytes -= self._events.popleft()[2]

    def clear(self) -> None:
        """Forget all events; when they were is still known."""
        self._events.clear()
        self._bytes = 0

    def since(self, after: int, limit_bytes: int) -> list[Event]:
        """Give events with numbers after this one, the oldest first, of about so many bytes."""
        found: list[Event] = []
        for event, _, size in islice(self._events, self._place(after), None):
            found.append(event)
            limit_bytes -= size
            if limit_bytes <= 0:
                break
        return found

    def gap(self, after: int | None, newest: int, now_ns: int) -> Gap | None:
        """Give what a client lacks that has everything up to a number, of another run where None;
        `newest` is the last number of all."""
        first = self.first if self._events else newest + 1
        assert first is not None
        if after is not None and after + 1 >= first:
            return None
        end_ns = self._events[0][1] if self._events else now_ns
        return Gap(after or 0, first, None if after is None else self._instant(after), end_ns)

    def _place(self, after: int) -> int:
        """Give the index of the first event with a number after this one (binary search)."""
        low, high = 0, len(self._events)
        while low < high:
            middle = (low + high) // 2
            if self._events[middle][0].last <= after:
                low = middle + 1
            else:
                high = middle
        return low

    def _instant(self, number: int) -> int | None:
        """Give an instant not after that of a number; None: not known any more."""
        found = None
        for first, instant_ns in self._marks:
            if first > number:
                break
            found = instant_ns
        return found

    def __iter__(self) -> Iterator[Event]:
        return (event for event, _, _ in self._events)
