"""Reads tables of values as loggers write them: any delimiter, a preamble, decimal commas.

The heading is found by its shape: the first line as wide as most lines, of which no cell is a
number. What stands for "nothing came" is emptied, and rows that name no time are left out.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

HEADING_LINES = 60  # how far down the heading may stand: loggers write a preamble
_PROBED_ROWS = 2000  # of which the period is taken
_LONGEST_NAME = 80  # a longer one is a remark: an Accessport writes its firmware into the heading
_DELIMITERS = ("\t", ";", ",")
_GZIP_MAGIC = b"\x1f\x8b"
_MISSING = frozenset(
    ("-", "--", "---", "?", "nan", "null", "none", "n/a", "na", "no data", "nodata", "error", "∞")
)
_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_TIMES = "time date timestamp timestamps datetime epoch seconds elapsed clock utc zeit datum"
# What may stand beside such a word. "Run time since engine start" is a signal of the car.
_BESIDE = (
    "gps device local relative since start of day unix posix log system recording sample and stamp"
    " offset the trip session sec s ms msec millis milliseconds us ns min h hh mm ss"
)
_TIME_WORDS = frozenset(_TIMES.split())
_WORDS = _TIME_WORDS.union(_BESIDE.split())
_UNITS_MS = {"s": 1e3, "sec": 1e3, "seconds": 1e3, "us": 1e-3, "ns": 1e-6, "min": 6e4, "h": 3.6e6}
_UNITS_MS |= dict.fromkeys(("ms", "msec", "millis", "milliseconds"), 1.0)
# A number this large is no count of seconds since the start, but an epoch in ms, us or ns.
_EPOCHS = ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1.0))
_CLOCKS = ("%H:%M:%S.%f", "%H:%M:%S", "%I:%M:%S.%f %p", "%I:%M:%S %p")
_DATES = ("%d-%b-%Y", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
_FORMATS = (*_CLOCKS, *(f"{date} {clock}" for date in _DATES for clock in _CLOCKS))
_NAMES = frozenset(("pid", "signal", "channel", "name", "parameter"))


@dataclass(slots=True)
class Table:
    """The columns of a file.

    Attributes:
        names: of the columns that are no times.
        columns: their cells; "" where nothing came.
        period_ms: from row to row, the median; 0 where no column tells a time.
        notes: what a reader should know.
    """

    names: list[str]
    columns: list[list[str]]
    period_ms: int
    notes: list[str] = field(default_factory=list)


def read_table(file: Path) -> Table:
    """Read a table of values, plain or packed by gzip.

    Raises:
        ValueError: no heading, no rows, or rows of names and values.
        OSError, EOFError, csv.Error: it cannot be read.
    """
    text = _text(file).replace("\0", "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    heading, body, delimiter = _split(lines)
    names = [cell.strip() for cell in heading]
    words = {name.lower() for name in names}
    if "value" in words and words & _NAMES:
        raise ValueError(
            "a column for each signal expected, found rows of names and values "
            "(telerig export writes columns with --frames)"
        )
    times = [place for place, name in enumerate(names) if _is_time(name)]
    rows = [row for row in body if _tells_time(row, times) and row != heading]
    table = Table([], [], 0)
    if len(rows) < len(body):
        table.notes.append(f"{len(body) - len(rows)} rows without a time, left out")
    if len(rows) < 2:
        raise ValueError(f"a heading and two rows expected, found {len(rows)} rows of values")
    periods = []
    for place, name in enumerate(names):
        cells = [_cell(row[place]) if place < len(row) else "" for row in rows]
        if place in times:
            periods.append(_period_ms(name, cells))
        elif len(name) > _LONGEST_NAME:
            table.notes.append(f"{name[:40]}: a remark, left out")
        elif name or any(cells):
            table.names.append(name)
            table.columns.append(cells if delimiter == "," else _points(cells))
    table.period_ms = min((period for period in periods if period), default=0)
    return table


def _text(file: Path) -> str:
    data = file.read_bytes()
    if data.startswith(_GZIP_MAGIC):
        data = gzip.decompress(data)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _split(lines: Sequence[str]) -> tuple[list[str], list[list[str]], str]:
    """Find the delimiter and the heading; give the heading's cells, the rows and the delimiter."""
    if sum(1 for line in lines if line.strip()) < 3:
        raise ValueError(f"a heading and two rows expected, found {len(lines)} lines")
    for delimiter in _DELIMITERS:
        probe = [line for line in lines[: HEADING_LINES + 200] if line.strip()]
        widths = Counter(len(row) for row in csv.reader(probe, delimiter=delimiter))
        width = max(widths, key=lambda wide: (widths[wide] if wide > 1 else 0, wide))
        if width < 2:
            continue
        for number, line in enumerate(lines[:HEADING_LINES], start=1):
            cells = next(csv.reader([line], delimiter=delimiter), [])
            if len(cells) >= width and not any(_is_number(cell) for cell in cells):
                rows = csv.reader(lines[number:], delimiter=delimiter)
                return cells, [row for row in rows if len(row) >= 2], delimiter
    raise ValueError("a heading that names the columns expected, found none")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_time(name: str) -> bool:
    words = set(re.sub(r"[^a-z]+", " ", name.lower()).split())
    return bool(words & _TIME_WORDS) and words <= _WORDS


def _tells_time(row: Sequence[str], times: Sequence[int]) -> bool:
    """False for a row of units, a heading that comes again, a remark: no digit in any time."""
    return not times or any(
        place < len(row) and any(sign.isdigit() for sign in row[place]) for place in times
    )


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text.lower() in _MISSING else text


def _points(cells: list[str]) -> list[str]:
    """Decimal commas become points, where the whole column has no other meaning for them."""
    if all(_is_number(cell) or _COMMA.fullmatch(cell) for cell in cells if cell):
        return [cell.replace(",", ".") for cell in cells]
    return cells


def _period_ms(name: str, cells: Sequence[str]) -> int:
    words = re.sub(r"[^a-z]+", " ", name.lower()).split()
    unit_ms = _UNITS_MS.get(words[-1]) if words else None
    told = (_time_ms(cell, unit_ms) for cell in cells[:_PROBED_ROWS] if cell)
    times = [time for time in told if time is not None]
    if len(times) < 2:
        return 0
    return max(0, round(float(np.median(np.diff(times)))))


def _time_ms(cell: str, unit_ms: float | None) -> float | None:
    """Milliseconds on some scale that rises with time; None if it is no time."""
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        return _moment_ms(cell)
    if not np.isfinite(value):
        return None
    if unit_ms is not None and not (unit_ms == 1e3 and value > _EPOCHS[-1][0]):
        return value * unit_ms
    return value * next((epoch for least, epoch in _EPOCHS if value > least), 1e3)


def _moment_ms(cell: str) -> float | None:
    moment = None
    if len(cell) > len("2021-06-30") and cell[:4].isdigit():
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            return None
    for form in _FORMATS if moment is None else ():
        try:
            moment = datetime.strptime(cell, form)  # noqa: DTZ007 - UTC below
        except ValueError:
            continue
        break
    if moment is None:
        return None
    return 1e3 * (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
