"""A stream's file as the frames that it is made of: found by time, and read while it grows.

A stream is a row of complete zstandard frames, each of whole rows (`rig.record.writer`). So any
part can be unpacked alone: the rows around an instant cost one or two frames, and a file that grows
is read from where one stopped. What is cut off at the end waits for its rest; a frame that is
damaged is left out, and `damage` says so.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import zstandard

from rig.record.streams import Stream

MAGIC = b"\x28\xb5\x2f\xfd"
KEPT_FRAMES = 8  # unpacked and decoded, for the next look at nearly the same instant
MOST_FRAME_BYTES = 1 << 28  # unpacked; more than that is damage, not a frame of ours
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_DICTIONARY_BYTES = (0, 1, 2, 4)
_BLOCK_HEADER_BYTES = 3
_RLE, _RESERVED = 1, 3
_READ_BYTES = 1 << 20


class Frame(NamedTuple):
    """Where a frame stands in its file."""

    offset: int
    size: int


class FrameFile:
    """The frames of one stream's file.

    Attributes:
        frames: those that are complete, as of the last `scan`.
        damage: what is wrong with the file, in words; empty if nothing is known to be.
    """

    def __init__(self, folder: Path, stream: Stream) -> None:
        self.stream = stream
        self.path = folder / stream.file_name
        self.frames: list[Frame] = []
        self.damage = ""
        self._end = 0
        self._first_ns: dict[int, int | None] = {}  # of frames that were looked at
        self._rows: OrderedDict[int, list[Any]] = OrderedDict()
        self._decoder = msgspec.json.Decoder(stream.row)

    def scan(self) -> list[int]:
        """Find the frames that have come since the last time; return their numbers."""
        before = len(self.frames)
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self._end:
                    self._begin_again()
                    before = 0
                self._walk(_Window(file.fileno()), size)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._damaged(f"expected to read it, found: {error.strerror or error}")
        return list(range(before, len(self.frames)))

    @property
    def rest_bytes(self) -> int:
        """Bytes at the end that are no complete frame (yet)."""
        try:
            return max(0, self.path.stat().st_size - self._end)
        except OSError:
            return 0

    def unpacked(self, number: int) -> bytes:
        """Return the lines of a frame; nothing of a damaged one, which is noted."""
        frame = self.frames[number]
        try:
            with self.path.open("rb") as file:
                packed = os.pread(file.fileno(), frame.size, frame.offset)
            return zstandard.ZstdDecompressor().decompress(packed, MOST_FRAME_BYTES)
        except (OSError, zstandard.ZstdError, MemoryError) as error:
            self._damaged(f"frame {number} at byte {frame.offset} cannot be unpacked: {error}")
            return b""

    def rows(self, number: int) -> list[Any]:
        """Return the rows of a frame, each of type `stream.row`; nothing of a damaged one."""
        if number in self._rows:
            self._rows.move_to_end(number)
            return self._rows[number]
        try:
            rows = self._decoder.decode_lines(self.unpacked(number))
        except msgspec.DecodeError as error:
            self._damaged(f"frame {number}: expected rows of {self.stream.name}, found: {error}")
            rows = []
        self._rows[number] = rows
        while len(self._rows) > KEPT_FRAMES:
            self._rows.popitem(last=False)
        return rows

    def between(self, start_ns: int, end_ns: int) -> Iterator[Any]:
        """Yield the rows from `start_ns` to before `end_ns`; the stream is in order of time."""
        time_ns = self.stream.time_ns
        for number in range(self._frame_at(start_ns), len(self.frames)):
            for row in self.rows(number):
                at_ns = time_ns(row)
                if at_ns >= end_ns:
                    return
                if at_ns >= start_ns:
                    yield row

    def _frame_at(self, time_ns: int) -> int:
        """Return the number of the last frame that begins before `time_ns`."""
        low, high = 0, len(self.frames)
        while low < high:
            middle = (low + high) // 2
            first_ns = self._first(middle)
            if first_ns is None or first_ns < time_ns:
                low = middle + 1
            else:
                high = middle
        return max(0, low - 1)

    def _first(self, number: int) -> int | None:
        """Return the instant of a frame's first row; a damaged one takes that of the one before."""
        if number not in self._first_ns:
            line = self.unpacked(number).partition(b"\n")[0]
            try:
                found: int | None = int(self.stream.time_ns(self._decoder.decode(line)))
            except msgspec.DecodeError:  # told when its rows are wanted
                found = self._first(number - 1) if number else None
            self._first_ns[number] = found
        return self._first_ns[number]

    def _begin_again(self) -> None:
        """The file is shorter than it was: it is another one."""
        self.frames.clear()
        self._first_ns.clear()
        self._rows.clear()
        self._end = 0

    def _damaged(self, what: str) -> None:
        self.damage = self.damage or f"{self.path.name}: {what}"

    def _walk(self, window: _Window, size: int) -> None:
        while self._end < size:
            try:
                length = _frame_length(window, self._end, size)
            except _NoFrameError as error:
                self._damaged(f"expected a zstandard frame at byte {self._end}, found {error}")
                following = window.find(MAGIC, self._end + 1, size)
                if following < 0:
                    return
                self._end = following
                continue
            if length is None:
                return
            if length[1]:
                self.frames.append(Frame(self._end, length[0]))
            self._end += length[0]


class _NoFrameError(ValueError):
    """What stands there is no frame."""


class _Window:
    """Reads a few bytes anywhere in a file, mostly forwards."""

    def __init__(self, number: int) -> None:
        self._file = number
        self._begin = 0
        self._data = b""

    def read(self, offset: int, count: int) -> bytes:
        begin = offset - self._begin
        if begin < 0 or begin + count > len(self._data):
            self._data = os.pread(self._file, _READ_BYTES, offset)
            self._begin, begin = offset, 0
        return self._data[begin : begin + count]

    def find(self, wanted: bytes, start: int, end: int) -> int:
        while start < end:
            data = os.pread(self._file, _READ_BYTES, start)
            found = data.find(wanted)
            if found >= 0:
                return start + found
            if len(data) <= len(wanted):
                return -1
            start += len(data) - len(wanted) + 1
        return -1


def _frame_length(window: _Window, offset: int, size: int) -> tuple[int, bool] | None:
    """Return (bytes, True where it holds data) of the frame at `offset`; None: it has no end yet.

    RFC 8878, section 3.1.1. A skippable frame (magic 0x184D2A5?) holds no data.
    """
    head = window.read(offset, 18)
    if len(head) < 8 and head[:4] == MAGIC[: len(head)]:
        return None
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:
        length = 8 + int.from_bytes(head[4:8], "little")
        return (length, False) if offset + length <= size else None
    if head[:4] != MAGIC:
        raise _NoFrameError(head[:4].hex(" ") or "nothing")
    descriptor = head[4]
    is_single = bool(descriptor & 0x20)
    content = _CONTENT_SIZE_BYTES[descriptor >> 6] or int(is_single)
    at = offset + 5 + (not is_single) + _DICTIONARY_BYTES[descriptor & 3] + content
    is_last = False
    while not is_last:
        header = window.read(at, _BLOCK_HEADER_BYTES)
        if len(header) < _BLOCK_HEADER_BYTES:
            return None
        value = int.from_bytes(header, "little")
        is_last, kind, length = bool(value & 1), value >> 1 & 3, value >> 3
        if kind == _RESERVED:
            raise _NoFrameError("a block of no known kind")
        at += _BLOCK_HEADER_BYTES + (1 if kind == _RLE else length)
        if at > size:
            return None
    at += 4 if descriptor & 4 else 0
    return (at - offset, True) if at <= size else None
