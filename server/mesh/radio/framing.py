"""Frames of a radio's serial protocol: 94 C3, length (two bytes, big endian), a protobuf message.

What is outside of frames is text of the radio's log. Frames have no check sum. So a frame counts
only when its message can be read; when it cannot, its bytes are searched again: a cut frame takes
none of those after it along.
"""

from __future__ import annotations

from collections.abc import Callable

START = b"\x94\xc3"
HEADER_BYTES = 4
MESSAGE_BYTES = 512
"""Longest message, as the firmware has it."""
WAKE = bytes([START[1]]) * 32
"""Wakes a sleeping radio, and ends whatever frame it was in the middle of."""


class FrameReader:
    """Finds frames in bytes that come in any pieces.

    Args:
        accept: takes a message and tells whether it is one.

    Attributes:
        frames: accepted.
        damaged: not accepted, too long, or never complete.
        text_bytes: bytes outside of frames.
    """

    def __init__(self, accept: Callable[[bytes], bool]) -> None:
        self.frames = 0
        self.damaged = 0
        self.text_bytes = 0
        self._accept = accept
        self._held = b""

    @property
    def waits(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._held)

    def feed(self, data: bytes) -> None:
        """Take bytes; hand on each message that they complete."""
        held = self._held + data
        self._held = b""  # `accept` may raise: then nothing is taken twice
        at = 0
        while True:
            begin = held.find(START, at)
            if begin < 0:
                # A first byte of a start at the very end waits for its second.
                begin = len(held) - held.endswith(START[:1])
                self.text_bytes += begin - at
                self._held = held[begin:]
                return
            self.text_bytes += begin - at
            if len(held) - begin < HEADER_BYTES:
                self._held = held[begin:]
                return
            size = held[begin + 2] << 8 | held[begin + 3]
            end = begin + HEADER_BYTES + size
            if size > MESSAGE_BYTES:
                self.damaged += 1
                at = begin + 1
            elif end > len(held):
                self._held = held[begin:]
                return
            elif self._accept(held[begin + HEADER_BYTES : end]):
                self.frames += 1
                at = end
            else:
                self.damaged += 1
                at = begin + 1

    def give_up(self) -> None:
        """The line is silent: a frame that is not complete never will be; look into it again."""
        if not self._held:
            return
        self.damaged += 1
        held = self._held
        self._held = b""
        self.text_bytes += 1
        self.feed(held[1:])


def frame(message: bytes) -> bytes:
    """Make a frame."""
    return START + len(message).to_bytes(2, "big") + message
