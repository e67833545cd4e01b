"""CAN traffic as a log file that other tools read: of a run, or live from a device.

    write_can_log(path, rows)     the rows of a record's stream `can` as BLF or another format
    CanLogWriter(path)            frames as they come, safe when the process is killed

The format is that of the suffix: .blf and .asc (Vector), .log (candump -L), .csv; python-can's
writers write it, with floats for times: steps of 240 ns. Import this module where it is used:
python-can takes a while to load. Nothing in a file comes from the wall clock or from the machine,
so equal rows give equal bytes (in BLF: with the same zlib).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import can
from can.io.generic import MessageWriter

from rig.record.errors import RecordError
from rig.record.streams import CAN_ERROR, CAN_EXTENDED, CAN_REMOTE, CanRow

SUFFIXES = (".blf", ".asc", ".log", ".csv")
CHANNEL_NUMBER = 1
BLF_CONTAINER_BYTES = 8 * 1024  # unpacked: what a killed process may lose, 170 frames
BLF_COMPRESSION = 1  # of zlib; the default, 6, takes three times as long


class AscWriter(can.ASCWriter):
    """python-can's, but both dates of the header are the first frame's, in UTC.

    python-can writes the day of writing and local time there, with ".5" for 5 ms.
    """

    def __init__(self, file: TextIO, start_s: float, channel: int) -> None:
        start = datetime.fromtimestamp(start_s, tz=UTC)
        milliseconds = f"{start.microsecond // 1000:03d}"
        self.FORMAT_DATE = start.strftime(can.ASCWriter.FORMAT_DATE.format(milliseconds))
        super().__init__(file, channel)


class CanLogWriter:
    """Writes frames as they come. Use it as a context manager, or call `close`.

    A killed process leaves a readable file: text to the last line, BLF to the last container of
    `BLF_CONTAINER_BYTES`, with a header that has no date and no count.

    Args:
        path: its suffix tells the format; an existing file is overwritten.
        channel: name of the bus, for candump.

    Attributes:
        count: frames written.

    Raises:
        RecordError: an unknown suffix, or the file cannot be written.
    """

    def __init__(self, path: Path, channel: str = "can0") -> None:
        self.count = 0
        self._channel = channel
        self._suffix = path.suffix.lower()
        self._writer: MessageWriter | None = None
        if self._suffix not in SUFFIXES:
            raise RecordError(
                f"CAN log {path}: expected a name that ends in {', '.join(SUFFIXES)}, "
                f"got {self._suffix or path.name!r}"
            )
        try:
            self._file: Any = (  # each writer wants its own kind
                path.open("wb")
                if self._suffix == ".blf"
                else path.open("w", encoding="ascii", newline="\n")
            )
        except OSError as error:
            raise RecordError(
                f"CAN log {path}: expected to write it, got: {error.strerror}; name another path"
            ) from error

    def write(
        self,
        time_ns: int,
        arbitration_id: int,
        data: bytes = b"",
        *,
        is_extended: bool = False,
        is_remote: bool = False,
        is_error: bool = False,
        is_sent: bool = False,
        dlc: int | None = None,
    ) -> None:
        """Add one frame.

        Args:
            time_ns: when it ended, UTC nanoseconds.
            arbitration_id: 11 or 29 bit; of no meaning in an error frame.
            data: 0-8 bytes.
            is_extended, is_remote, is_error: what it is.
            is_sent: the recorder's own node sent it.
            dlc: what a remote frame asks for; None takes the length of the data.
        """
        self.count += 1
        if is_error:
            arbitration_id, data, is_extended, is_remote, dlc = 0, b"", False, False, 0
        message = can.Message(
            timestamp=time_ns / 1e9,
            arbitration_id=arbitration_id,
            is_extended_id=is_extended,
            is_remote_frame=is_remote,
            is_error_frame=is_error,
            is_rx=not is_sent,
            dlc=dlc,
            data=data,
        )
        writer = self._writer or self._begin(message.timestamp)
        writer.on_message_received(message)
        self._file.flush()  # a killed process loses what waits in the file object

    def close(self) -> None:
        """Complete the file; may be called again."""
        if not self._file.closed:
            (self._writer or self._begin(0.0)).stop()

    def _begin(self, start_s: float) -> MessageWriter:
        """Write the header; that of ASC has the time of the first frame."""
        if self._suffix == ".blf":
            self._writer = can.BLFWriter(
                self._file,
                channel=CHANNEL_NUMBER,
                compression_level=BLF_COMPRESSION,
                max_container_size=BLF_CONTAINER_BYTES,
            )
        elif self._suffix == ".asc":
            self._writer = AscWriter(self._file, start_s, CHANNEL_NUMBER)
        elif self._suffix == ".log":
            self._writer = can.CanutilsLogWriter(self._file, channel=self._channel)
        else:
            self._writer = can.CSVWriter(self._file)
        return self._writer

    def __enter__(self) -> CanLogWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def write_can_log(path: Path, rows: Iterable[CanRow]) -> int:
    """Write `rows` to `path`; return how many there were.

    Raises:
        RecordError: an unknown suffix, or the file cannot be written.
    """
    with CanLogWriter(path) as log:
        for row in rows:
            log.write(
                row.time_ns,
                row.id,
                row.data,
                is_extended=bool(row.flags & CAN_EXTENDED),
                is_remote=bool(row.flags & CAN_REMOTE),
                is_error=bool(row.flags & CAN_ERROR),
            )
        return log.count
