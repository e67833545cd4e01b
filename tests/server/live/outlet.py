"""A connection that keeps what is written, as fast or slow as a test wants it."""

from __future__ import annotations

import json
from typing import Any


class FakeOutlet:
    """Takes frames; `is_writable` as it is set."""

    def __init__(self, is_writable: bool = True) -> None:
        self.is_writable = is_writable
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep frames."""
        self.writes.append(data)

    def end(self, code: int, reason: str) -> None:
        """Note the end."""
        self.is_writable = False

    def take(self) -> list[dict[str, Any]]:
        """Give the messages that were written, and forget them."""
        found = [json.loads(text) for data in self.writes for text in texts_of(data)]
        self.writes.clear()
        return found


def texts_of(data: bytes) -> list[bytes]:
    """Take frames of texts apart, as RFC 6455 has them."""
    found = []
    while data:
        assert data[0] == 0x81
        size, begin = data[1], 2
        if size == 126:
            size, begin = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= begin + size
        found.append(data[begin : begin + size])
        data = data[begin + size :]
    return found
