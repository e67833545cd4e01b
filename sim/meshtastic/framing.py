"""Frames of the serial API: 0x94 0xC3, length (two bytes, big endian), a protobuf.

Source: firmware, src/mesh/StreamAPI.cpp.
"""

from __future__ import annotations

START_1 = 0x94
START_2 = 0xC3
HEADER_BYTES = 4
LONGEST_BYTES = 512  # MAX_TO_FROM_RADIO_SIZE


def frame(message: bytes) -> bytes:
    """Return `message` as it goes over the line.

    Raises:
        ValueError: it is longer than a frame can be.
    """
    if len(message) > LONGEST_BYTES:
        raise ValueError(f"message: expected at most {LONGEST_BYTES} bytes, got {len(message)}")
    return bytes((START_1, START_2, len(message) >> 8, len(message) & 0xFF)) + message


class Deframer:
    """Finds frames in a stream of bytes, byte for byte as the firmware does.

    There is no check sum: a frame that was cut swallows what follows it, up to its stated length. A
    wrong second byte or an impossible length starts the search anew *behind* that byte, so that
    0x94 0x94 0xC3 loses the frame.

    Attributes:
        frames: frames found.
        skipped_bytes: bytes outside frames, the wake-up's included.
        oversized: headers with an impossible length.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.frames = 0
        self.skipped_bytes = 0
        self.oversized = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the messages that they complete."""
        messages: list[bytes] = []
        buffer = self._buffer
        position, end = 0, len(data)
        while position < end:
            held = len(buffer)
            if held >= HEADER_BYTES:  # the payload: all that belongs to it at once
                wanted = HEADER_BYTES + (buffer[2] << 8) + buffer[3] - held
                piece = data[position : position + wanted]
                buffer += piece
                position += len(piece)
            elif held == 0:  # the search for a start: all that is none at once
                start = data.find(START_1, position)
                if start < 0:
                    self.skipped_bytes += end - position
                    return messages
                self.skipped_bytes += start - position
                buffer.append(START_1)
                position = start + 1
            else:
                buffer.append(data[position])
                position += 1
                self._check_header()
            if len(buffer) >= HEADER_BYTES and len(buffer) == HEADER_BYTES + (
                (buffer[2] << 8) + buffer[3]
            ):
                messages.append(bytes(buffer[HEADER_BYTES:]))
                self.frames += 1
                buffer.clear()
        return messages

    def reset(self) -> None:
        """Forget a frame that has begun."""
        self._buffer.clear()

    def _check_header(self) -> None:
        buffer = self._buffer
        if len(buffer) == 2 and buffer[1] != START_2:
            self.skipped_bytes += 2
            buffer.clear()
        elif len(buffer) == HEADER_BYTES and (buffer[2] << 8) + buffer[3] > LONGEST_BYTES:
            self.oversized += 1
            self.skipped_bytes += HEADER_BYTES
            buffer.clear()
