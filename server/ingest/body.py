"""The body of a request: within its bound, in time, and inflated no further than the bound."""

from __future__ import annotations

import asyncio
import zlib

from starlette.types import Message, Receive, Scope

from server.answers import Refusal
from server.ingest.limits import BODY_TIMEOUT_S

_GZIP = 16 + zlib.MAX_WBITS


def header(scope: Scope, name: bytes) -> str:
    """Give a header, empty where there is none; `name` in small letters."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""


async def read_body(scope: Scope, receive: Receive, most_bytes: int) -> bytes:
    """Give the body, inflated where it is compressed.

    Raises:
        Refusal: 413 too large, 408 too slow, 415 another coding, 400 cut or not gzip.
    """
    claimed = header(scope, b"content-length")
    if claimed.isdigit() and int(claimed[:20]) > most_bytes:
        raise _too_large(most_bytes, f"{claimed[:20]} bytes")
    coding = header(scope, b"content-encoding").lower()
    if coding not in ("", "identity", "gzip"):
        raise Refusal(415, "content-encoding", "gzip or none", repr(coding[:40]))
    body = await _received(receive, most_bytes)
    return _inflated(body, most_bytes) if coding == "gzip" else body


async def _received(receive: Receive, most_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    deadline = _Deadline(BODY_TIMEOUT_S)
    try:
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(400, "body", "a whole body", f"{size} bytes, then the end")
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if size > most_bytes:
                raise _too_large(most_bytes, "more")
            chunks.append(chunk)
    except asyncio.CancelledError:
        if not deadline.is_cause():
            raise
        expected = f"a whole body within {BODY_TIMEOUT_S:g} s"
        raise Refusal(408, "body", expected, f"{size} bytes", headers=_CLOSE) from None
    finally:
        deadline.end()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _Deadline:
    """Cancels the current task after some seconds.

    What `asyncio.timeout` does, at a fifth of its cost: that was a twentieth of a small request.
    """

    __slots__ = ("_has_passed", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._task = asyncio.current_task()
        self._has_passed = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._pass)

    def _pass(self) -> None:
        if self._task is not None:
            self._has_passed = True
            self._task.cancel()

    def is_cause(self) -> bool:
        """Tell whether the task was cancelled by this deadline, and by nobody else."""
        return self._has_passed and self._task is not None and self._task.uncancel() == 0

    def end(self) -> None:
        """Cancel nothing from here on."""
        self._timer.cancel()


def _inflated(body: bytes, most_bytes: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP)
    try:
        plain = inflater.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise Refusal(400, "body", "gzip", str(error)) from None
    if len(plain) > most_bytes:
        raise _too_large(most_bytes, "more after inflating")
    if not inflater.eof or inflater.unused_data:
        raise Refusal(400, "body", "one whole gzip stream", "a part of one, or more than one")
    return plain


def _too_large(most_bytes: int, found: str) -> Refusal:
    return Refusal(413, "body", f"at most {most_bytes} bytes", found, headers=_CLOSE)


_CLOSE = {"connection": "close"}
