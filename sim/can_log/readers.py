"""python-can's readers of logs, and what they give as entries of ours.

Import it where a log is read, not before: python-can takes a while to load. What is changed here
was found in python-can 4.6.1; each change has a test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import can

from sim.can.frame import MAX_DATA_BYTES, CanFrame
from sim.can_log.entry import ERROR_FRAME, FD_FRAME, LogEntry
from sim.can_log.lines import ADAPT, Lines, same

_NO_LENGTH = re.compile(rb"LOBJ.{4}\0{4}", re.DOTALL)  # signature, header's length and version
_TRC_ERRORS = {"Error", "ER"}


class BlfReader(can.BLFReader):
    """python-can's, but an object that says it has no length is an error: it would never end."""

    def _parse_data(self, data: bytes) -> Iterator[can.Message]:
        empty = _NO_LENGTH.search(data)
        yield from super()._parse_data(data if empty is None else data[: empty.start()])
        if empty is not None:
            raise ValueError("an object of no length")

    def is_cut(self, file_bytes: int) -> bool:
        """Whether the file, read to its end, has less than it says, or ends in an object."""
        return self.file_size > file_bytes or bool(self._tail.strip(b"\0"))


class TrcReader(can.TRCReader):
    """python-can's, but it drops neither lines that it cannot read nor error frames."""

    def _parse_line(self, line: str) -> can.Message | None:
        if not line or line.startswith(";"):
            return None
        columns = tuple(line.split(maxsplit=self._num_columns))
        message = self._parse_cols(columns)
        if message is None and _TRC_ERRORS.intersection(columns):
            time_s = float(columns[1]) / 1000 + self._start_time
            return can.Message(timestamp=time_s, is_error_frame=True, channel=1)
        return message


_TEXT = {
    ".asc": can.ASCReader,
    ".csv": can.CSVReader,
    ".log": can.CanutilsLogReader,
    ".trc": TrcReader,
}


def read_text(suffix: str, lines: Lines) -> Iterator[LogEntry]:
    """Yield the entries of a text log.

    Raises:
        Exception: whatever python-can or a frame raises.
    """
    adapted = ADAPT.get(suffix, same)(lines)
    for message in _TEXT[suffix](cast("TextIO", adapted)):
        if lines.is_error:
            message.is_error_frame = True
        if lines.channel:
            message.channel = lines.channel
        if suffix == ".csv" and (lines.is_fd or len(message.data) > MAX_DATA_BYTES):
            message.is_fd = True  # the format has no flag for it
        yield to_entry(message)


def read_mf4(path: Path) -> Iterator[LogEntry]:
    """Yield the entries of an MF4 file.

    Raises:
        NotImplementedError: asammdf, which python-can reads it with, is not installed.
        Exception: whatever these two or a frame raise.
    """
    with can.MF4Reader(path) as reader:
        yield from map(to_entry, reader)


def to_entry(message: can.Message) -> LogEntry:
    """Return what python-can read.

    Raises:
        ValueError: not what a classical bus can carry.
    """
    time_ns = _time_ns(message)
    channel = "" if message.channel is None else str(message.channel)
    if message.is_error_frame:
        return LogEntry(time_ns, channel, None, ERROR_FRAME)
    if message.is_fd:
        return LogEntry(time_ns, channel, None, FD_FRAME)
    number, is_extended = message.arbitration_id, message.is_extended_id
    length = min(message.dlc, MAX_DATA_BYTES)  # codes of 9-15 mean 8 in a classical frame
    if message.is_remote_frame:
        return LogEntry(time_ns, channel, CanFrame(number, b"", is_extended, True, length))
    if len(message.data) != length:
        raise ValueError(f"{length} bytes of data, not {len(message.data)}")
    return LogEntry(time_ns, channel, CanFrame(number, bytes(message.data), is_extended))


def _time_ns(message: can.Message) -> int:
    return round(message.timestamp * 1e9)
