"""One client: what waits for it, and what is left out where it is too slow.

What can be written is written at once, many frames together; what cannot waits, bounded, in pieces
that all clients share. Nobody waits for a slow client, and it costs no more than its bound.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from server.live.frames import framed, framed_all
from server.live.newest import Mark, Newest
from server.live.selection import EVERYTHING, Selection
from server.live.words import ROWS, Words

WRITE_BYTES = 65_536
"""Written at a time to a client that catches up."""
CLOSE_NORMAL = 1000


class Policy(enum.StrEnum):
    """What happens to readings that a client is too slow for."""

    DROP_OLDEST = "drop_oldest"
    LATEST = "latest"


class Bounds(msgspec.Struct, frozen=True):
    """What may wait for one client."""

    messages: int = 4096
    bytes: int = 524_288


class Outlet(Protocol):
    """The connection of a client."""

    @property
    def is_writable(self) -> bool:
        """Whether it takes bytes without piling them up."""

    def write(self, data: bytes) -> None:
        """Send whole frames; nothing after the end of the connection."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection."""


class Chunk:
    """Frames that go out together; where the newest is kept, and how much there was before."""

    __slots__ = ("blob", "mark", "messages", "newest")

    def __init__(
        self, blob: bytes, messages: int, newest: Newest | None = None, mark: Mark | None = None
    ) -> None:
        self.blob = blob
        self.messages = messages
        self.newest = newest
        self.mark = mark


class LiveClient:
    """The frames that wait for one client.

    Args:
        outlet: its connection; `resumed` is to be called when it can be written to again.
        words: that it understands.
        selection: what it wants.
        policy: what is left out when it is too slow.
        bounds: of what waits.

    Attributes:
        sent: messages handed to the connection.
        dropped: messages left out.
        is_gone: whether its connection has ended.
        superseded: readings that newer ones took the place of, by policy `latest`.
    """

    __slots__ = (
        "_behind",
        "_bounds",
        "_empty",
        "_outlet",
        "_queue",
        "_queued_bytes",
        "_queued_messages",
        "_untold",
        "dropped",
        "is_gone",
        "policy",
        "selection",
        "sent",
        "superseded",
        "words",
    )

    def __init__(
        self,
        outlet: Outlet,
        words: Words = ROWS,
        selection: Selection = EVERYTHING,
        policy: Policy = Policy.DROP_OLDEST,
        bounds: Bounds | None = None,
    ) -> None:
        self.words = words
        self.selection = selection
        self.policy = policy
        self.sent = self.dropped = self.superseded = 0
        self.is_gone = False
        self._outlet = outlet
        self._bounds = bounds if bounds is not None else _BOUNDS
        self._untold = 0
        self._queued_bytes = 0
        self._queued_messages = 0
        # Made when they are needed: most clients never wait, and there are many of them.
        self._queue: deque[tuple[bytes, int]] | None = None
        self._behind: tuple[Newest, Mark] | None = None
        self._empty: asyncio.Event | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._queue and self._behind is None

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait (those that the connection has taken are not counted)."""
        return self._queued_bytes

    def offer(self, chunk: Chunk) -> None:
        """Send frames, or let them wait; never blocks."""
        if self.is_gone:
            return
        if self.is_idle and self._outlet.is_writable:
            self._outlet.write(chunk.blob)
            self.sent += chunk.messages
        elif self.policy is Policy.LATEST and chunk.newest is not None:
            if self._behind is None and chunk.mark is not None:
                self._behind = (chunk.newest, chunk.mark)
        else:
            self._keep(chunk.blob, chunk.messages)

    def tell(self, text: bytes) -> None:
        """Send one message to this client alone, after what waits."""
        self.offer(Chunk(framed(text), 1))

    def begin_with(self, texts: Sequence[bytes]) -> None:
        """Send these messages first, then what waited for them."""
        if texts:
            self._outlet.write(framed_all(texts))
            self.sent += len(texts)
        self.resumed()

    def resumed(self) -> None:
        """Send what waits, as far as the connection takes it."""
        while not self.is_idle and self._outlet.is_writable:
            blob, messages = self._next()
            self._outlet.write(blob)
            self.sent += messages
        if self.is_idle and self._empty is not None:
            self._empty.set()
            self._empty = None

    async def drained(self) -> None:
        """Wait until nothing waits, or the connection has ended."""
        while not self.is_gone and not self.is_idle:
            if self._empty is None:
                self._empty = asyncio.Event()
            await self._empty.wait()

    def end(self, reason: str) -> None:
        """Close the connection: there is nothing more to hear."""
        self._outlet.end(CLOSE_NORMAL, reason)

    def gone(self) -> None:
        """Forget what waits: the connection has ended."""
        self.is_gone = True
        self._queue = self._behind = None
        self._queued_bytes = self._queued_messages = 0
        if self._empty is not None:
            self._empty.set()

    def _keep(self, blob: bytes, messages: int) -> None:
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        queue.append((blob, messages))
        self._queued_bytes += len(blob)
        self._queued_messages += messages
        bounds = self._bounds
        while len(queue) > 1 and (
            self._queued_bytes > bounds.bytes or self._queued_messages > bounds.messages
        ):
            blob, messages = queue.popleft()
            self._queued_bytes -= len(blob)
            self._queued_messages -= messages
            self._drop(messages)

    def _drop(self, messages: int) -> None:
        self.dropped += messages
        self._untold += messages

    def settle(self) -> None:
        """Keep what is the latest now, before the client gets something else."""
        texts = self._newest()
        if texts:
            self._keep(framed_all(texts), len(texts))

    def _next(self) -> tuple[bytes, int]:
        """Take what goes out next: frames, and how many."""
        blobs: list[bytes] = []
        size = messages = 0
        texts = self._newest()
        if self._untold:
            report = self.words.dropped(self._untold)
            self._untold = 0
            if report:
                blobs.append(framed(report))
        queue = self._queue
        while queue and size < WRITE_BYTES:
            blob, count = queue.popleft()
            blobs.append(blob)
            size += len(blob)
            messages += count
            self._queued_bytes -= len(blob)
            self._queued_messages -= count
        if texts:
            blobs.append(framed_all(texts))
            messages += len(texts)
        return b"".join(blobs), messages

    def _newest(self) -> list[bytes]:
        """Take what is the latest where the client lags behind."""
        if self._behind is None:
            return []
        newest, mark = self._behind
        self._behind = None
        missed = newest.since(mark)
        self.superseded += missed.superseded
        if missed.lost:
            self._drop(missed.lost)
        return [text for event in missed.events for text in self.words.say(event)]


_BOUNDS = Bounds()
