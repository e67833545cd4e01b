"""What the live stream is made of: readings, and notices of everything else.

Each reading and each notice has a number of the stream, 1, 2, 3, … without gaps: by it a client
resumes. What an event becomes in the words of a kind of client is made once, for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from server.live.frames import encode, framed_all

if TYPE_CHECKING:
    from server.live.words import Words

Row = tuple[int, int, int, float | None, int, int]
"""seq, signal, time_ns, value (None: not finite), received_ns, state."""
NOTICE_BYTES = 600
"""What an event takes beside its readings, about."""
_rows = msgspec.json.Decoder(list[Row])


class Said:
    """An event in the words of one kind of clients: frames, and how many messages they are."""

    __slots__ = ("blob", "messages")

    def __init__(self, texts: Sequence[bytes]) -> None:
        self.blob = framed_all(texts)
        self.messages = len(texts)


class Event:
    """Something that happened.

    Args:
        device: whom it concerns; empty: everybody.
    """

    __slots__ = ("_said", "device", "first")

    def __init__(self, device: str) -> None:
        self.device = device
        self.first = 0
        self._said: dict[Words, Said] = {}

    @property
    def last(self) -> int:
        """Its last number."""
        return self.first

    @property
    def size(self) -> int:
        """How many numbers it takes."""
        return 1

    def shrink(self) -> int:
        """Keep only what it can be said from again; give the bytes that this takes, about."""
        self._said.clear()
        return NOTICE_BYTES

    def said(self, words: Words) -> Said:
        """Give it in some words."""
        found = self._said.get(words)
        if found is None:
            found = self._said[words] = Said(words.say(self))
        return found


class Readings(Event):
    """Readings of one boot of one device.

    Args:
        device: whose.
        boot: of the device.
        rows: the readings; None where `packed` has them.
        numbers: of the rows in the stream, where rows were left out; else they count up.
    """

    __slots__ = ("_count", "_rows", "boot", "numbers", "packed")

    def __init__(
        self, device: str, boot: int, rows: Sequence[Row], numbers: Sequence[int] | None = None
    ) -> None:
        super().__init__(device)
        self.boot = boot
        self.packed = b""
        self.numbers = numbers
        self._rows: Sequence[Row] | None = rows
        self._count = len(rows)
        if numbers is not None:
            self.first = numbers[0]

    @property
    def last(self) -> int:
        return self.numbers[-1] if self.numbers is not None else self.first + self._count - 1

    @property
    def size(self) -> int:
        return self._count

    @property
    def rows(self) -> Sequence[Row]:
        """The readings."""
        if self._rows is None:
            return _rows.decode(self.packed)
        return self._rows

    def pack(self) -> bytes:
        """Give the rows as JSON, made once."""
        if not self.packed:
            self.packed = encode(self._rows or ())
        return self.packed

    def shrink(self) -> int:
        """Keep the JSON only: a fifth of the memory of the rows."""
        self.pack()
        self._rows = None
        return super().shrink() + len(self.packed)

    def numbered(self) -> Sequence[int]:
        """Give the numbers of the rows."""
        return self.numbers or range(self.first, self.first + self._count)


class Notice(Event):
    """Anything else; `content` has "type"."""

    __slots__ = ("content",)

    def __init__(self, content: dict[str, Any], device: str = "") -> None:
        super().__init__(device)
        self.content = content
