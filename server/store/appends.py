"""What a remote device's request becomes in the store: pieces, each a row of the hot log."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from server.store.body import trim_body


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One row: readings with successive numbers, and their part in the statistics.

    Attributes:
        seq_first: number of the first reading.
        seq_last: number of the last; numbers of readings that were refused count.
        time_min_ns: earliest instant measured.
        time_max_ns: latest instant measured.
        body: the readings, version 2 of `server.store.body`.
        readings: how many are in the body.
        transmitted: of these, those that cost more than "as predicted".
        suppressed: of these, those that the device did not send.
        bytes_plain: the same readings as plain records.
        bytes_sent: what the device sent for them.
        newest: signal, instant, value (float64, little endian) and state of the newest of each
            column; empty where nobody has looked.
    """

    seq_first: int
    seq_last: int
    time_min_ns: int
    time_max_ns: int
    body: bytes
    readings: int
    transmitted: int
    suppressed: int
    bytes_plain: int
    bytes_sent: int
    newest: Sequence[tuple[int, int, bytes, int]] = ()


class Append(msgspec.Struct, frozen=True):
    """What is committed together for one boot of a device.

    Attributes:
        pieces: rows, none of which overlaps with another.
        state: of the uplink after them; None leaves it as it is.
        vin: vehicle, where it is known.
        turn: of the commit that the state was made from: where that is not the boot's last one, it
            is refused; None: it may follow on any.
    """

    device: str
    boot: int
    pieces: Sequence[Piece] = ()
    state: bytes | None = None
    vin: str = ""
    turn: int | None = None

    @property
    def size_bytes(self) -> int:
        """How much memory it holds while it waits, about."""
        size = sum(len(piece.body) for piece in self.pieces)
        return size + (len(self.state) if self.state is not None else 0)


class Ranges:
    """What one commit has of a boot: rows that do not overlap, and at most one state."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._taken = False
        self._has_state = False

    def take(self, append: Append) -> bool:
        """Take an append, or leave it and tell that it has to wait for the next commit."""
        if self._taken and (self._has_state or append.state is not None):
            return False
        if any(map(self._meets, append.pieces)):
            return False
        for piece in append.pieces:
            place = bisect_left(self._firsts, piece.seq_first)
            self._firsts.insert(place, piece.seq_first)
            self._lasts.insert(place, piece.seq_last)
        self._taken = True
        self._has_state = append.state is not None
        return True

    def _meets(self, piece: Piece) -> bool:
        """Tell whether a row overlaps with one that is there."""
        place = bisect_left(self._firsts, piece.seq_first)
        if place < len(self._firsts) and self._firsts[place] <= piece.seq_last:
            return True
        return place > 0 and self._lasts[place - 1] >= piece.seq_first


class Appended(msgspec.Struct, frozen=True):
    """What a commit has changed: the rows that were new, and how many readings were known.

    Attributes:
        pieces: rows that were new.
        duplicates: readings that were stored before.
        turn: number of this commit among those of the boot, from 1 on without gaps; 0 where nothing
            was new and no state was kept, or where there is no database.
    """

    pieces: Sequence[Piece]
    duplicates: int
    turn: int = 0

    @property
    def accepted(self) -> int:
        """How many readings were new."""
        return sum(piece.readings for piece in self.pieces)


def missing_of(piece: Piece, stored: Sequence[tuple[int, int]]) -> list[Piece]:
    """Give the parts of a piece whose numbers are in none of the stored ranges, ascending."""
    missing = []
    first = piece.seq_first
    for stored_first, stored_last in stored:
        if first < stored_first:
            missing.append(_part(piece, first, min(stored_first - 1, piece.seq_last)))
        first = max(first, stored_last + 1)
    if first <= piece.seq_last:
        missing.append(_part(piece, first, piece.seq_last))
    return [part for part in missing if part.readings]


def _part(piece: Piece, first: int, last: int) -> Piece:
    body, readings = trim_body(piece.body, first - piece.seq_first, last - first + 1)
    times = [reading.time_ns for reading in readings] or [piece.time_min_ns]
    size, whole = len(readings), max(1, piece.readings)
    return Piece(
        first,
        last,
        min(times),
        max(times),
        body,
        size,
        piece.transmitted * size // whole,
        size - piece.transmitted * size // whole,
        piece.bytes_plain * size // whole,
        piece.bytes_sent * size // whole,
    )
