"""One HTTP/1.1 connection of a light vehicle: one request at a time, kept alive.

No more than a vehicle needs: an answer has a length, and comes before the next request goes.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

LONGEST_ANSWER_BYTES = 1 << 20
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"
_CLOSE = b"connection: close"


class OnAnswer(Protocol):
    """Told what came of a request, once."""

    def answer(self, status: int, body: bytes) -> None:
        """Take an answer; status 0: the connection ended, or what came was no answer."""

    def closed(self) -> None:
        """The connection ended with no request under way."""


class HttpConnection(asyncio.Protocol):
    """The client's end.

    Args:
        on_answer: told of answers.
    """

    __slots__ = ("_body_at", "_data", "_length", "_on_answer", "_status", "_transport", "_waits")

    def __init__(self, on_answer: OnAnswer) -> None:
        self._on_answer = on_answer
        self._transport: asyncio.Transport | None = None
        self._data = b""
        self._body_at = 0
        self._length = -1
        self._status = 0
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by descent

    @property
    def is_open(self) -> bool:
        """Whether a request can go."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, pieces: list[bytes]) -> None:
        """Send a request; the one before has its answer."""
        assert self._transport is not None
        self._waits = True
        # In one write: one segment, so that the other side finds all of it at once.
        self._transport.write(b"".join(pieces))

    def abort(self) -> None:
        """Let go of the connection without a word to `on_answer`."""
        self._waits = False
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._waits:
            return
        self._data = self._data + data if self._data else data
        if self._length < 0 and not self._read_head():
            return
        end = self._body_at + self._length
        if len(self._data) < end:
            return
        body = self._data[self._body_at : end]
        status, last = self._status, _CLOSE in self._data[: self._body_at].lower()
        self._data, self._length, self._waits = b"", -1, False
        if last:
            self.abort()
        self._on_answer.answer(status, body)

    def _read_head(self) -> bool:
        """Read status and length; tell whether the head is whole."""
        end = self._data.find(_END_OF_HEAD)
        if end < 0:
            if len(self._data) > LONGEST_ANSWER_BYTES:
                self._broken()
            return False
        head = self._data[:end].lower()
        at = head.find(_LENGTH)
        try:
            self._status = int(head[9:12])
            self._length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        except ValueError:
            self._length = -1
        if self._length < 0 or self._length > LONGEST_ANSWER_BYTES or b"chunked" in head:
            self._broken()
            return False
        self._body_at = end + len(_END_OF_HEAD)
        return True

    def _broken(self) -> None:
        self.abort()
        self._on_answer.answer(0, b"no HTTP answer with a length")

    def connection_lost(self, _error: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        if self._waits:
            self._waits = False
            self._on_answer.answer(0, b"connection closed")
        else:
            self._on_answer.closed()
