"""The lines of a text log on their way to python-can's reader: counted, and put right.

An error can so name its line, and what a reader would get wrong without telling is changed before
it gets there. Checked against python-can 4.6.1.
"""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from typing import TextIO

MAX_LINE = 4096  # characters; a longer one is no log
CSV_HEADER = "timestamp,arbitration_id,extended,remote,error,dlc,data"
_GVRET = {"time stamp", "id", "extended", "bus", "len", "d1"}  # of SavvyCAN's native columns
_CANEDGE = {"timestampepoch", "buschannel", "id", "ide", "dlc", "edl", "databytes"}
_CAN_ERR_FLAG = 0x20000000  # linux/can.h
_LOG_LINE = re.compile(r"\s*(\(\S+\)) (\S+) ([0-9A-Fa-f]+)#")
_SCREEN_LINE = re.compile(
    r"\s*\(([-\d:. ]+)\)\s+(\S+)\s+(?:[RT]X\s+\S\s+\S\s+)?"
    r"([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})\s+\[(\d+)\]\s*((?:[0-9A-Fa-f]{2}\b ?)*)(remote request)?"
)
_CODE_BEHIND = re.compile(r"_[0-9A-Fa-f](\s)")  # can-utils' mark of a length code of 9 to 15
_RELATIVE = re.compile(r"\s*base\s+\w+\s+timestamps\s+relative", re.IGNORECASE)
_TIMED = re.compile(r"\s*(\d+\.\d+)(.*)", re.ASCII | re.DOTALL)
_FRAME_LIKE = re.compile(r"\s*[\d(]")


class Lines:
    """Iterates over the lines of an open file.

    Attributes:
        number: of the line given last, from 1.
        text: that line.
        channel: the bus that it names, where python-can's reader does not tell it.
        is_fd: it is a frame of CAN FD, where python-can's format has no flag for it.
        is_error: it is an error frame that python-can's reader takes for a data frame.
    """

    def __init__(self, file: TextIO) -> None:
        self.number = 0
        self.text = ""
        self.channel = ""
        self.is_fd = False
        self.is_error = False
        self._file = file

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.text = line
        return line

    @property
    def is_cut(self) -> bool:
        """Whether the line given last is the file's last one, has no end and looks like a frame."""
        return (
            self.number > 1
            and not self.text.endswith("\n")
            and _FRAME_LIKE.match(self.text) is not None
            and not self._file.read(1)
        )


def asc(lines: Lines) -> Iterator[str]:
    """Yield the lines of an ASC file with absolute times, and a header that ends.

    ASCReader takes "timestamps relative" (each since the line before, whatever that is) for
    absolute, and drops the line that ends the header, be it a frame.
    """
    is_relative = False
    for line in lines:
        if _TIMED.match(line):
            break
        is_relative = is_relative or _RELATIVE.match(line) is not None
        yield line
    else:
        return
    yield "internal events logged\n"  # ends the header
    events = chain([line], lines)
    if not is_relative:
        yield from events
        return
    time_s = Decimal(0)
    for event in events:
        match = _TIMED.match(event)
        if match is None:
            yield event
        else:
            time_s += Decimal(match[1])
            yield f"{time_s:f}{match[2]}"


def candump(lines: Lines) -> Iterator[str]:
    """Yield the lines of candump's log format, made of those of its screen where need be.

    CanutilsLogReader stops at remarks, takes most error frames for data frames, and reads a first
    line without its beginning with a wrong time. Of the screen's format (candump -ta, -tA, -tz,
    also with -x, -a and -e) blanks part everything.

    Raises:
        ValueError: a line of the screen's format without a time.
    """
    for line in lines:
        logged = _LOG_LINE.match(line)
        if logged is None:
            if line.isspace() or line.startswith(("#", "\t")):  # \t: what an error frame means
                continue
            shown = _SCREEN_LINE.match(line)
            if shown is None:
                if re.match(r"\s*\S+\s+[0-9A-Fa-f]{3,8}\s+\[\d+\]", line):
                    raise ValueError("no time: record with candump -l, -L or -ta")
                if lines.number > 1 or "#" not in line or line.lstrip().startswith("("):
                    yield line  # else the first line has no beginning: the log was cut there
                continue
            line = _of_screen(shown)
            logged = _LOG_LINE.match(line)
            assert logged is not None
        lines.channel, number = logged[2], logged[3]
        lines.is_error = len(number) > 3 and bool(int(number, 16) & _CAN_ERR_FLAG)
        frame = line[logged.end() :]
        if "_" in frame:
            line = line[: logged.end()] + _CODE_BEHIND.sub(r"\1", frame)
        yield line


def _of_screen(shown: re.Match[str]) -> str:
    when, channel, number, length, data, remote = shown.groups()
    if ":" in when:  # -tA: this machine's time of then, of which only the spacing counts
        moment = datetime.datetime.fromisoformat(when).replace(tzinfo=datetime.UTC)
        when = f"{moment.timestamp():.6f}"
    if remote:
        what = f"R{int(length)}"
    else:
        what = ("#0" if len(length) == 2 else "") + data.replace(" ", "")  # FD: [08], else [8]
    return f"({when}) {channel} {number}#{what}\n"


def csv(lines: Lines) -> Iterator[str]:
    """Yield python-can's columns, made of SavvyCAN's or CANedge's where need be.

    CSVReader takes any first line for the header, and any number of columns but 7 for an error.

    Raises:
        ValueError: another header, or a row that its header does not fit.
    """
    header = next(lines, "").strip().lstrip("\ufeff").lower()
    names = [name.strip() for name in header.split(";" if ";" in header else ",")]
    of_row: Callable[[Lines], str] | None = None
    if names != CSV_HEADER.split(","):
        if set(names) >= _CANEDGE:
            of_row = _of_canedge(names)
        elif set(names) >= _GVRET:
            of_row = _of_gvret(names)
        else:
            raise ValueError("another tool's columns: let it write candump's format, or ASC")
    yield CSV_HEADER + "\n"
    for line in lines:
        if not line.isspace():
            yield line if of_row is None else of_row(lines)


def _of_gvret(names: list[str]) -> Callable[[Lines], str]:
    """SavvyCAN (GVRET): microseconds, flags in words, data bytes in columns of their own."""
    time, number, extended, bus, length, first = (
        names.index(name) for name in ("time stamp", "id", "extended", "bus", "len", "d1")
    )

    def of_row(lines: Lines) -> str:
        cells = [cell.strip() for cell in lines.text.split(",")]
        count = int(cells[length])
        data = bytes(int(cell, 16) for cell in cells[first : first + count])
        if len(data) != count:
            raise ValueError(f"{count} bytes of data, not {len(data)}")
        lines.channel = cells[bus]
        is_extended = cells[extended].lower() in ("true", "1")
        return _row(float(cells[time]) / 1e6, cells[number], is_extended, data)

    return of_row


def _of_canedge(names: list[str]) -> Callable[[Lines], str]:
    """CANedge (CSS Electronics): seconds since 1970, data as one word; newer ones have RTR."""

    def of_row(lines: Lines) -> str:
        cells = dict(zip(names, lines.text.strip().split(";"), strict=True))
        lines.channel, lines.is_fd = cells["buschannel"], cells["edl"] == "1"
        data, is_remote = bytes.fromhex(cells["databytes"]), cells.get("rtr") == "1"
        length = int(cells["dlc"]) if is_remote else None
        is_extended = cells["ide"] == "1"
        return _row(float(cells["timestampepoch"]), cells["id"], is_extended, data, length)

    return of_row


def _row(
    time_s: float, number: str, is_extended: bool, data: bytes, asked_bytes: int | None = None
) -> str:
    """A row of python-can's; `asked_bytes`: of a remote frame."""
    is_remote, length = asked_bytes is not None, len(data) if asked_bytes is None else asked_bytes
    text = "" if is_remote else base64.b64encode(data).decode()
    flags = f"{int(is_extended)},{int(is_remote)},0"
    return f"{time_s},0x{int(number, 16):x},{flags},{length},{text}\n"


def trc(lines: Lines) -> Iterator[str]:
    """Yield the lines of a PEAK trace; one of version 1.2 as if it were one of 1.3.

    TRCReader knows no 1.2, which lacks 1.3's reserved column alone, and stops at the semicolon with
    which PEAK's programs end a start time.
    """
    is_1_2 = False
    for line in lines:
        if line.startswith(";$STARTTIME"):
            yield line.rstrip().rstrip(";") + "\n"
        elif line.startswith(";$FILEVERSION=1.2"):
            is_1_2 = True
            yield ";$FILEVERSION=1.3\n"
        elif is_1_2 and not line.startswith(";") and len(cells := line.split(maxsplit=5)) > 5:
            yield " ".join([*cells[:5], "-", cells[5]])
        else:
            yield line


def same(lines: Lines) -> Iterator[str]:
    """Yield the lines as they are."""
    yield from lines


ADAPT: dict[str, Callable[[Lines], Iterator[str]]] = {
    ".asc": asc,
    ".csv": csv,
    ".log": candump,
    ".trc": trc,
}
