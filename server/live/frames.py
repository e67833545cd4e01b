"""WebSocket frames made in advance: a text message is a frame, and many frames are one write."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import msgspec

_SHORT = [bytes((0x81, size)) for size in range(126)]
"""Heads of texts that are whole and not masked (RFC 6455, 5.2), by size."""
_MIDDLE = struct.Struct(">BBH").pack
_LONG = struct.Struct(">BBQ").pack

encode = msgspec.json.Encoder().encode


def framed(text: bytes) -> bytes:
    """Give the frame of one text message, as a server sends it."""
    return head(len(text)) + text


def head(size: int) -> bytes:
    """Give what stands before a text of so many bytes."""
    if size < 126:
        return _SHORT[size]
    return _MIDDLE(0x81, 126, size) if size < 65_536 else _LONG(0x81, 127, size)


def framed_all(texts: Iterable[bytes]) -> bytes:
    """Give the frames of many messages as one piece."""
    parts: list[bytes] = []
    add = parts.append
    for text in texts:
        add(head(len(text)))
        add(text)
    return b"".join(parts)
