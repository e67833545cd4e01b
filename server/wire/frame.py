"""Frames on the serial line between a device and its host.

    FA F5 | kind u8 | length u16 | check u8 | payload | crc u32      (numbers little endian)

The two sync bytes never occur in UTF-8 text, so log lines (an ESP32 writes some before any of our
code runs) may stand between frames. `check` guards kind and length, so that a frame damaged there
is given up at once and not waited for. The CRC is CRC-32, not CRC-16: both Pythons have it in C
(`binascii.crc32`), and in payloads of kilobytes two more bytes cost nothing.

How it is used: the host says HELLO when it opens the line and every few seconds; from then on the
device sends UPLINK frames there, and each is answered by a DOWNLINK frame. A HELLO is answered by
a HELLO with the device's name. A device that has heard neither for SERIAL_MODE_S goes back to its
other link. HELLO's payload: the version of this protocol, one byte, then text (name of the sender).
"""

import binascii

HELLO = 1
UPLINK = 2
DOWNLINK = 3
TEXT = 4  # a line of the device's log, in UTF-8

VERSION = 1
SERIAL_MODE_S = 10

SYNC = b"\xfa\xf5"
OVERHEAD_BYTES = 10
MOST_PAYLOAD_BYTES = 65535  # a Hello with a trained profile is tens of kilobytes
_HEAD_BYTES = 6
_TEXT_KEPT_BYTES = 4096


class FrameError(ValueError):
    """A frame cannot be made of this."""


def frame(kind: int, payload: bytes) -> bytes:
    """Give the bytes of one frame; raises FrameError for a payload that is too long."""
    if len(payload) > MOST_PAYLOAD_BYTES:
        raise FrameError(f"a frame holds at most {MOST_PAYLOAD_BYTES} bytes, not {len(payload)}")
    head = bytes((kind, len(payload) & 0xFF, len(payload) >> 8))
    crc = binascii.crc32(payload, binascii.crc32(head))
    return SYNC + head + bytes((_check(head),)) + payload + crc.to_bytes(4, "little")


def hello(name: str) -> bytes:
    """Give a HELLO frame."""
    return frame(HELLO, bytes((VERSION,)) + name.encode())


def _check(head: bytes) -> int:
    return binascii.crc32(head) & 0xFF


class Decoder:
    """Finds frames in what the line delivers, in pieces of any size.

    Every intact frame is found, whatever stands before it. A damaged frame is searched again from
    behind its sync bytes. Holds at most one frame, and the last 4 KiB of what was no frame.

    Args:
        most_bytes: longest payload that is taken; a longer frame counts as damaged.

    Attributes:
        frames: found so far.
        damaged: headers that a frame should have followed, and none did.
        skipped_bytes: bytes that belonged to no frame.
    """

    def __init__(self, most_bytes: int = MOST_PAYLOAD_BYTES) -> None:
        self._most_bytes = most_bytes
        self.frames = 0
        self.damaged = 0
        self.skipped_bytes = 0
        self._buffer = b""
        self._text = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes from the line and give the frames that they complete, as (kind, payload)."""
        self._buffer += data
        return self._search(False)

    def give_up(self) -> list[tuple[int, bytes]]:
        """Stop waiting for a frame's rest, because the line is silent; give what was behind it."""
        return self._search(True)

    def text(self) -> bytes:
        """Give what stood between frames since the last call, the last 4 KiB of it."""
        text = self._text
        self._text = b""
        return text

    def waits(self) -> bool:
        """Tell whether the beginning of a frame is there and its end is not."""
        return len(self._buffer) > 0

    def _search(self, last: bool) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        buffer = self._buffer
        at = 0
        while True:
            start = buffer.find(SYNC, at)
            if start < 0:
                # The last byte may be the first of a sync.
                keep = 1 if not last and buffer[at:].endswith(SYNC[:1]) else 0
                self._skip(buffer[at : len(buffer) - keep])
                at = len(buffer) - keep
                break
            self._skip(buffer[at:start])
            at = start
            size = self._size(buffer, start)
            if size and start + size > len(buffer):
                if not last:
                    break
                size = 0
                self.damaged += 1
            elif size and not self._intact(buffer, start, size):
                size = 0
                self.damaged += 1
            if size:
                found.append((buffer[start + 2], buffer[start + _HEAD_BYTES : start + size - 4]))
                at = start + size
            else:
                self._skip(buffer[start : start + 2])
                at = start + 2
        self._buffer = buffer[at:]
        self.frames += len(found)
        return found

    def _size(self, buffer: bytes, start: int) -> int:
        """Give the bytes of the frame that begins here, as far as known; 0 when none does."""
        if len(buffer) - start < _HEAD_BYTES:
            return _HEAD_BYTES
        head = buffer[start + 2 : start + 5]
        length = head[1] | head[2] << 8
        if buffer[start + 5] != _check(head) or length > self._most_bytes:
            self.damaged += 1
            return 0
        return length + OVERHEAD_BYTES

    def _intact(self, buffer: bytes, start: int, size: int) -> bool:
        end = start + size - 4
        crc = binascii.crc32(buffer[start + 2 : start + 5])
        crc = binascii.crc32(buffer[start + _HEAD_BYTES : end], crc)
        return crc == int.from_bytes(buffer[end : end + 4], "little")

    def _skip(self, data: bytes) -> None:
        self.skipped_bytes += len(data)
        self._text = (self._text + data)[-_TEXT_KEPT_BYTES:]
