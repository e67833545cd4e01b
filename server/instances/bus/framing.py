"""Several messages in one notification: texts of bounded length, each with what it holds."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Iterator

PAYLOAD_BYTES = 7900
"""Of one notification; PostgreSQL allows fewer than 8000."""
_HEAD_CHARACTERS = 12
FRAME_BYTES = (PAYLOAD_BYTES - _HEAD_CHARACTERS) // 4 * 3
"""Of messages before they are made text (base64)."""
LIMIT_BYTES = 5700
"""Of one message's data, so that it fits with its subject."""
_LENGTHS = struct.Struct("!BH")

ECHO = "?"
"""Begins what a gateway says to itself, to know whether notifications come through."""
COMPLETE = "."
GAP = "!"
"""The sender has dropped something before this."""


def packed(messages: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Put messages together, as many as fit; each with a subject of 255 bytes at most."""
    frame = bytearray()
    for subject, data in messages:
        name = subject.encode()
        part = _LENGTHS.pack(len(name), len(data)) + name + data
        if frame and len(frame) + len(part) > FRAME_BYTES:
            yield bytes(frame)
            frame.clear()
        frame += part
    if frame:
        yield bytes(frame)


def unpacked(frame: bytes) -> list[tuple[str, bytes]]:
    """Take messages apart.

    Raises:
        ValueError: it is none of ours.
    """
    found, at = [], 0
    while at < len(frame):
        try:
            name_bytes, data_bytes = _LENGTHS.unpack_from(frame, at)
        except struct.error:
            raise ValueError("a message ends in its lengths") from None
        middle = at + _LENGTHS.size + name_bytes
        end = middle + data_bytes
        if end > len(frame):
            raise ValueError("a message is longer than what it came in")
        subject = frame[at + _LENGTHS.size : middle].decode()
        found.append((subject, frame[middle:end]))
        at = end
    return found


def as_text(frame: bytes, number: int, *, is_complete: bool) -> str:
    """Make a frame the text of a notification; `number` keeps equal ones apart."""
    head = f"{COMPLETE if is_complete else GAP}{number & 0xFFFF:04x}"
    return head + base64.b64encode(frame).decode("ascii")


def from_text(text: str) -> tuple[bytes, bool]:
    """Give a frame, and whether nothing is missing before it.

    Raises:
        ValueError: it is none of ours.
    """
    if text[:1] not in (COMPLETE, GAP):
        raise ValueError("another first character")
    try:
        frame = base64.b64decode(text[5:], validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return frame, text[0] == COMPLETE
