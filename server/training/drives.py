"""Reads drives from files: lattice matrices (.npz) and tables of values (.csv, .csv.gz)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from server.errors import ServerError
from server.training.lattice import decimals, find, on
from server.training.tables import read_table
from server.wire.codec.profile import MOST_SIGNALS, SignalPlan

_PARTS = {"first": (0.0, 0.5), "second": (0.5, 1.0)}
_TEXTS_MOST = 64
_WIDEST = 1 << 40


class DriveError(ServerError):
    """A file holds no drive that can be used."""

    exit_code = 2


@dataclass(slots=True)
class Drive:
    """One drive in sensor steps.

    Attributes:
        name: of the file.
        columns: names of the signals.
        steps: size of a step of each signal.
        offsets: value at step 0.
        rows: whole numbers, None where missing.
        period_ms: time from row to row.
        notes: what a reader should know.
        texts: numbers that stand for texts, for each column of texts.
    """

    name: str
    columns: list[str]
    steps: list[Fraction]
    offsets: list[Fraction]
    rows: list[list[int | None]]
    period_ms: int
    notes: list[str]
    texts: dict[str, dict[str, int]] = field(default_factory=dict)

    def signals(self) -> list[SignalPlan]:
        """Give a plan: every signal in every row, exact."""
        return [
            SignalPlan(
                index + 1,
                step.numerator,
                step.denominator,
                offset.numerator,
                offset.denominator,
                minimum=-_WIDEST,
                maximum=_WIDEST,
            )
            for index, (step, offset) in enumerate(zip(self.steps, self.offsets, strict=True))
        ]


def load(name: str, like: Drive | None = None) -> Drive:
    """Read a drive; `FILE@first` and `FILE@second` are its halves.

    Args:
        name: path, with or without the half.
        like: a drive whose steps are taken, so that both speak of the same numbers.

    Raises:
        DriveError: the file is not there, or is no drive.
    """
    path, _, part = name.partition("@")
    if part and part not in _PARTS:
        raise DriveError(f"{name}: @first or @second expected, found @{part}")
    file = Path(path)
    if not file.is_file():
        raise DriveError(f"{path}: a file expected, found none")
    try:
        drive = _load_npz(file) if file.suffix == ".npz" else _load_csv(file, like)
    except (ValueError, KeyError, OSError, EOFError, csv.Error) as error:
        raise DriveError(f"{path}: a drive expected (.npz, .csv, .csv.gz): {error}") from None
    if like is not None and _plain(drive.columns) != _plain(like.columns):
        raise DriveError(
            f"{path}: the signals of {like.name} expected ({', '.join(like.columns)}); "
            f"found {', '.join(drive.columns)}"
        )
    if part:
        low, high = (int(share * len(drive.rows)) for share in _PARTS[part])
        drive.rows = drive.rows[low:high]
        drive.name += f"@{part}"
    if len(drive.rows) < 2:
        raise DriveError(f"{name}: at least 2 rows expected, found {len(drive.rows)}")
    if not 1 <= len(drive.columns) <= MOST_SIGNALS:
        raise DriveError(
            f"{name}: 1 to {MOST_SIGNALS} signals expected, found {len(drive.columns)}"
        )
    return drive


def _plain(names: Sequence[str]) -> list[str]:
    """Names without what encodings of text files spoil."""
    return ["".join(c for c in name.lower() if c.isascii() and c.isalnum()) for name in names]


def _load_npz(file: Path) -> Drive:
    with np.load(file) as data:
        matrix = data["x"]
        if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer):
            raise ValueError(f"x: rows of whole numbers expected, found {matrix.dtype}")
        return Drive(
            file.stem,
            [str(name) for name in data["names"]],
            [_fraction(float(scale)) for scale in data["scale"]],
            [_fraction(float(offset)) for offset in data["offset"]],
            matrix.tolist(),
            max(1, round(1000 * float(data["dt"]))),
            [],
        )


def _fraction(value: float) -> Fraction:
    for most in (1000, 10**6, 10**9):
        found = Fraction(value).limit_denominator(most)
        if abs(float(found) - value) <= 1e-12 * max(1.0, abs(value)):
            return found
    return Fraction(value).limit_denominator(10**9)


def _load_csv(file: Path, like: Drive | None) -> Drive:
    table = read_table(file)
    notes = table.notes
    columns: list[str] = []
    steps: list[Fraction] = []
    offsets: list[Fraction] = []
    ready: list[list[int | None]] = []
    texts: dict[str, dict[str, int]] = {}
    for name, cells in zip(table.names, table.columns, strict=True):
        if not any(cells):
            notes.append(f"{name[:40]}: empty, left out")
            continue
        at = len(columns)
        known = (like.steps[at], like.offsets[at]) if like and at < len(like.steps) else None
        codes = dict(like.texts.get(name, {})) if like else {}
        column = _column(name, cells, known, codes, notes)
        if codes:
            texts[name] = codes
        if column is not None:
            columns.append(name)
            ready.append(column[0])
            steps.append(column[1])
            offsets.append(column[2])
    if not columns:
        raise ValueError("columns of numbers expected, found none")
    period_ms = table.period_ms
    if not period_ms:
        notes.append("no column of times: 1 row a second is assumed")
        period_ms = 1000
    rows = [list(row) for row in zip(*ready, strict=True)]
    name = file.name.split(".")[0]
    return Drive(name, columns, steps, offsets, rows, period_ms, notes, texts)


def _column(
    name: str,
    cells: Sequence[str],
    known: tuple[Fraction, Fraction] | None,
    codes: dict[str, int],
    notes: list[str],
) -> tuple[list[int | None], Fraction, Fraction] | None:
    there = [cell for cell in cells if cell]
    try:
        values = np.array([float(cell) for cell in there])
    except ValueError:
        texts = sorted(set(there))
        if len(texts) > _TEXTS_MOST:
            notes.append(f"{name[:40]}: {len(texts)} different texts, left out")
            return None
        for text in texts:
            codes.setdefault(text, len(codes))
        notes.append(f"{name[:40]}: {len(texts)} texts, counted from 0")
        return [codes.get(cell) for cell in cells], Fraction(1), Fraction(0)
    if not np.isfinite(values).all():
        notes.append(f"{name[:40]}: values that are no numbers, taken as missing")
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    places = decimals(there)
    lattice = find(finite, places) if known is None else on(finite, places, *known)
    if lattice.off_share:
        notes.append(f"{name[:40]}: {lattice.off_share:.2%} of the values lie beside the lattice")
    whole = iter(lattice.steps(np.where(np.isfinite(values), values, 0.0)).tolist())
    good = iter(np.isfinite(values).tolist())
    out: list[int | None] = []
    for cell in cells:
        if not cell:
            out.append(None)
            continue
        number = next(whole)
        out.append(number if next(good) else None)
    return out, lattice.step, lattice.offset
