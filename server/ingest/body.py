"""The body of a request: within its bound, in time, and inflated no further than the bound."""

from __future__ import annotations

import asyncio
import zlib

import zstandard
from starlette.types import Message, Receive, Scope

from server.answers import Refusal
from server.ingest.limits import BODY_TIMEOUT_S

_GZIP = 16 + zlib.MAX_WBITS
_zstd = zstandard.ZstdDecompressor()
ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""What every decoder has to be able to hold (RFC 8878, 3.1.1.1.2)."""
ZSTD_STEP_BYTES = 64
"""Decompressed at a time where the frame does not say its size: a block of four bytes may stand for
128 KiB, so that 2 MB come out of it at most."""


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
    if coding not in ("", "identity", "gzip", "zstd"):
        raise Refusal(415, "content-encoding", "gzip, zstd or none", repr(coding[:40]))
    body = await _received(receive, most_bytes)
    if coding == "gzip":
        return _inflated(body, most_bytes)
    return _decompressed(body, most_bytes) if coding == "zstd" else body


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


def _decompressed(body: bytes, most_bytes: int) -> bytes:
    """Give what a zstd frame holds; makes little more than the bound, whatever the frame claims."""
    try:
        frame = zstandard.get_frame_parameters(body)
        # The window is allocated before the first byte comes out.
        if frame.window_size > ZSTD_WINDOW_BYTES:
            raise _too_large(most_bytes, f"a window of {frame.window_size} bytes")
        if frame.content_size == zstandard.CONTENTSIZE_UNKNOWN:
            return _streamed(body, most_bytes)
        if frame.content_size > most_bytes:
            raise _too_large(most_bytes, "more after decompression")
        # A frame with another size than it claims is an error.
        return _zstd.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Refusal(400, "body", "one whole zstd frame", str(error)) from None


def _streamed(body: bytes, most_bytes: int) -> bytes:
    inflater = _zstd.decompressobj()
    parts: list[bytes] = []
    size = begin = 0
    while begin < len(body) and not inflater.eof:
        part = inflater.decompress(body[begin : begin + ZSTD_STEP_BYTES])
        begin += ZSTD_STEP_BYTES
        size += len(part)
        if size > most_bytes:
            raise _too_large(most_bytes, "more after decompression")
        parts.append(part)
    if not inflater.eof or inflater.unused_data or begin < len(body):
        raise Refusal(400, "body", "one whole zstd frame", "a part of one, or more than one")
    return b"".join(parts)


def _too_large(most_bytes: int, found: str) -> Refusal:
    return Refusal(413, "body", f"at most {most_bytes} bytes", found, headers=_CLOSE)


_CLOSE = {"connection": "close"}
