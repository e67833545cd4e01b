"""The lines of a text log on their way to python-can's reader: counted, and put right.

An error can so name its line, and what a reader would get wrong without telling is changed before
it gets there. Checked against python-can 4.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain
from typing import TextIO

MAX_LINE = 4096  # characters; a longer one is no log
CSV_HEADER = "timestamp,arbitration_id,extended,remote,error,dlc,data"
_RELATIVE = re.compile(r"\s*base\s+\w+\s+timestamps\s+relative", re.IGNORECASE)
_TIMED = re.compile(r"\s*(\d+\.\d+)(.*)", re.ASCII | re.DOTALL)
_FRAME_LIKE = re.compile(r"\s*[\d(]")


class Lines:
    """Iterates over the lines of an open file.

    Attributes:
        number: of the line given last, from 1.
        text: that line.
    """

    def __init__(self, file: TextIO) -> None:
        self.number = 0
        self.text = ""
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


def asc(lines: Iterator[str]) -> Iterator[str]:
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


def csv(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of a CSV file that are not blank.

    CSVReader takes any first line for the header, and any number of columns but 7 for an error.

    Raises:
        ValueError: another header.
    """
    header = next(lines, "")
    if header.strip().lstrip("\ufeff").replace(" ", "") != CSV_HEADER:
        raise ValueError("another tool's columns: let it write candump's format, or ASC")
    yield header
    for line in lines:
        if not line.isspace():
            yield line


def same(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines as they are."""
    yield from lines


ADAPT: dict[str, Callable[[Iterator[str]], Iterator[str]]] = {".asc": asc, ".csv": csv}
