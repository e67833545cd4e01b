"""Columns kept beside the record, so that the next look at a run costs a read.

A part is one file, `<run>/view.cache/<part>`: a line that says what it is, a line of JSON, and the
arrays, each packed by itself (instants as differences, which pack to a tenth) and read when it is
first looked at. It is written under another name and then renamed, so that whoever reads finds it
whole, however many write it. It counts only as long as the streams that it was made of are the same
(size and time of each); an array that is damaged makes the whole part count no more. Where nothing
can be written the columns are made anew by each process; nothing else changes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zstandard

from reports.runs.columns import NO_STATES, Column

FOLDER = "view.cache"
FORMAT = b"telerig columns 2\n"
LEVEL = 1
EMPTY_INTS = np.zeros(0, dtype=np.int64)
EMPTY_FLOATS = np.zeros(0, dtype=np.float64)

Layer = Mapping[str, Column]
Stamp = list[tuple[str, int, int]]


class DamagedError(OSError):
    """A kept part that cannot be read after all."""


class _Place(msgspec.Struct, array_like=True):
    """Where an array stands, packed, behind the head."""

    offset: int
    size: int


class _Entry(msgspec.Struct, array_like=True):
    """A column; `states` is None where there are none."""

    layer: str
    name: str
    times: _Place
    values: _Place
    kind: str
    states: _Place | None


class _Head(msgspec.Struct):
    stamp: Stamp
    damage: str
    layers: list[str]
    columns: list[_Entry]
    size: int


class KeptColumns(Mapping[str, Column]):
    """The columns of a layer, each read from its file when it is first asked for."""

    def __init__(self, path: Path, begin: int, entries: Mapping[str, _Entry]) -> None:
        self._path = path
        self._begin = begin
        self._entries = entries
        self._read: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        column = self._read.get(name)
        if column is None:
            column = self._read[name] = self._load(self._entries[name])
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def _load(self, entry: _Entry) -> Column:
        try:
            with self._path.open("rb") as file:
                number = file.fileno()
                times_ns = np.cumsum(np.frombuffer(self._unpack(number, entry.times), "<i8"))
                values = np.frombuffer(self._unpack(number, entry.values), entry.kind)
                state = NO_STATES
                if entry.states is not None:
                    state = np.frombuffer(self._unpack(number, entry.states), "|u1")
        except (OSError, ValueError, zstandard.ZstdError) as error:
            self._path.unlink(missing_ok=True)
            raise DamagedError(f"{self._path}: expected columns, found: {error}") from error
        if len(times_ns) != len(values) or len(state) not in (0, len(values)):
            self._path.unlink(missing_ok=True)
            raise DamagedError(f"{self._path}: expected columns of one length, found others")
        return Column(times_ns, values.astype(np.float64, copy=False), state)

    def _unpack(self, file: int, place: _Place) -> bytes:
        packed = os.pread(file, place.size, self._begin + place.offset)
        return zstandard.ZstdDecompressor().decompress(packed)


def stamp_of(folder: Path, names: Sequence[str]) -> Stamp:
    """Return size and time of those of the files that are there."""
    found: Stamp = []
    for name in sorted(names):
        with contextlib.suppress(OSError):
            status = (folder / name).stat()
            found.append((name, status.st_size, status.st_mtime_ns))
    return found


def load(folder: Path, part: str, stamp: Stamp) -> tuple[dict[str, Layer], str] | None:
    """Return (layer -> columns, damage) of a part; None where there is none that still counts."""
    path = folder / FOLDER / part
    try:
        with path.open("rb") as file:
            if file.readline(len(FORMAT)) != FORMAT:
                return None
            head = msgspec.json.decode(file.readline(), type=_Head)
            begin = file.tell()
            size = os.fstat(file.fileno()).st_size
    except (OSError, ValueError, msgspec.DecodeError):
        return None
    if head.stamp != stamp or size != begin + head.size:
        return None
    found: dict[str, Layer] = {}
    for layer in head.layers:
        entries = {entry.name: entry for entry in head.columns if entry.layer == layer}
        found[layer] = KeptColumns(path, begin, entries)
    return found, head.damage


def save(folder: Path, part: str, stamp: Stamp, layers: Mapping[str, Layer], damage: str) -> str:
    """Keep a part; return why that is not possible, or "" where it was."""
    pieces = _Pieces()
    entries = [
        _Entry(
            layer,
            name,
            pieces.add(np.diff(column.time_ns, prepend=0).astype("<i8")),
            pieces.add(column.value),
            column.value.dtype.str,
            pieces.add(column.state) if len(column.state) else None,
        )
        for layer, named in layers.items()
        for name, column in named.items()
    ]
    head = _Head(stamp, damage, list(layers), entries, pieces.size)
    target = folder / FOLDER
    half = ""
    try:
        target.mkdir(exist_ok=True)
        number, half = tempfile.mkstemp(prefix=f".{part}.", dir=target)
        with os.fdopen(number, "wb") as file:
            file.writelines((FORMAT, msgspec.json.encode(head), b"\n", *pieces.packed))
        os.chmod(half, 0o644)
        os.replace(half, target / part)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(half)
        return f"{target}: expected to keep columns there, found: {error.strerror or error}"
    return ""


class _Pieces:
    """Packed arrays, each content once: several columns have the same instants."""

    def __init__(self) -> None:
        self.packed: list[bytes] = []
        self.size = 0
        self._places: dict[bytes, _Place] = {}
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)

    def add(self, array: np.ndarray[Any, Any]) -> _Place:
        data = self._compressor.compress(np.ascontiguousarray(array).tobytes())
        place = self._places.get(data)
        if place is None:
            place = self._places[data] = _Place(self.size, len(data))
            self.packed.append(data)
            self.size += len(data)
        return place


def kept(
    folder: Path,
    part: str,
    sources: Sequence[str],
    make: Callable[[], tuple[Mapping[str, Layer], str]],
) -> tuple[Mapping[str, Layer], str]:
    """Return a part as it is kept, or make and keep it."""
    stamp = stamp_of(folder, sources)
    found: tuple[Mapping[str, Layer], str] | None = load(folder, part, stamp)
    if found is None:
        found = make()
        save(folder, part, stamp, *found)
    return found
