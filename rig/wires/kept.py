"""What a gateway stored, without what differs from run to run: for comparing, and as a file.

Instants count from the start of the drive. In a run in wall time that played wires, what the
gateway took from its own clock and what a receiver told of its own day are both brought back to it.

A golden file is text, a block for each signal, so that `git diff` shows what changed:

    # telerig golden 1
    # drive, played
    > car-1 RPM obd rpm 0.25
    0.031 777.25
    0.231 775.25 2          state, where it is not "measured"
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rig.measures.signals import signals_of
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.wires.errors import WiresError

HEAD = "# telerig golden 1"
NOTHING = "-"
PACKED = ".gz"
_HEAD_WORDS = 5


class GoldenError(WiresError):
    """A golden file that cannot be read or written."""

    usage = True


class Kept(NamedTuple):
    """A stored reading: instant since the start of the drive, value, state."""

    time_ns: int
    value: float | None
    state: int


@dataclass(frozen=True, slots=True)
class Series:
    """The stored readings of one signal of one device, in order of time.

    Attributes:
        device, signal: whose.
        link: that measures it; "" for a derived one.
        unit: of its values; "" for a count.
        resolution: one step of the sensor.
        wraps: the value at which it begins again, or None.
    """

    device: str
    signal: str
    link: str
    unit: str
    resolution: float
    wraps: float | None
    rows: tuple[Kept, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What it is compared by."""
        return self.device, self.signal


def series_of(record: RecordReader) -> list[Series]:
    """Return what the gateway of a run stored, by device and signal.

    Raises:
        RecordError: the record cannot be read.
    """
    manifest = record.manifest
    zeros = _zeros_ns(manifest)
    signals = signals_of(manifest)
    rows: dict[tuple[str, int], list[Kept]] = {}
    for row in record.stored:
        time_ns = min((row.time_ns - zero for zero in zeros), key=abs)
        rows.setdefault((row.device, row.signal), []).append(Kept(time_ns, row.value, row.state))
    found = []
    for (device, number), group in rows.items():
        info = signals.get(number)
        name = info.name if info else f"signal-{number}"
        found.append(
            Series(
                device=device,
                signal=name,
                link=info.link if info else "",
                unit=info.unit if info else "",
                resolution=info.resolution if info else 0.0,
                wraps=info.wraps if info else None,
                rows=tuple(sorted(group, key=lambda kept: (kept.time_ns, kept.state))),
            )
        )
    return sorted(found, key=lambda series: series.key)


def _zeros_ns(manifest: Manifest) -> tuple[int, ...]:
    zero_ns = manifest.start_ns
    played_ns = manifest.played.get("epoch_ns")
    if played_ns is None or played_ns == manifest.epoch_ns:
        return (zero_ns,)
    return zero_ns, int(played_ns) + zero_ns - manifest.epoch_ns


# -- files -----------------------------------------------------------------------------------------
def write_golden(path: Path, series: Iterable[Series], about: str) -> None:
    """Write a golden file; one whose name ends with .gz is packed.

    Raises:
        GoldenError: it cannot be written.
    """
    text = "\n".join([HEAD, f"# {about}", *_lines(series)]) + "\n"
    data = text.encode()
    try:
        path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == PACKED else data)
    except OSError as error:
        raise GoldenError(
            f"{path}: expected to write the golden file, found: {error.strerror}; "
            "choose another place"
        ) from error


def read_golden(path: Path) -> list[Series]:
    """Read a golden file.

    Raises:
        GoldenError: it is not there, or is none.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == PACKED else data).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise GoldenError(
            f"{path}: expected a golden file, found: {reason}; --update writes one"
        ) from error
    lines = text.splitlines()
    if lines[:1] != [HEAD]:
        raise GoldenError(
            f"{path}:1: expected {HEAD!r}, found {lines[0][:60] if lines else 'nothing'!r}; "
            "--update writes one"
        )
    return list(_blocks(path, lines))


def _lines(series: Iterable[Series]) -> Iterator[str]:
    for one in series:
        wraps = "" if one.wraps is None else f" {_number(one.wraps)}"
        unit = one.unit.replace(" ", "_") or NOTHING
        step = _number(one.resolution)
        yield f"> {one.device} {one.signal} {one.link or NOTHING} {unit} {step}{wraps}"
        for row in one.rows:
            state = f" {row.state}" if row.state else ""
            yield f"{_seconds(row.time_ns)} {_number(row.value)}{state}"


def _blocks(path: Path, lines: list[str]) -> Iterator[Series]:
    head: list[str] = []
    rows: list[Kept] = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("> "):
                if head:
                    yield _series(head, rows)
                head, rows = line.split(" ")[1:], []
                if len(head) < _HEAD_WORDS:
                    raise ValueError(line)
            elif head:
                rows.append(_kept(line))
            else:
                raise ValueError(line)
        except ValueError as error:
            raise GoldenError(
                f"{path}:{number}: expected '> DEVICE SIGNAL LINK UNIT STEP' or 'TIME VALUE', "
                f"found {line[:60]!r}; correct it, or write the file anew with --update"
            ) from error
    if head:
        yield _series(head, rows)


def _series(head: list[str], rows: list[Kept]) -> Series:
    device, signal, link, unit, resolution, *wraps = head
    return Series(
        device,
        signal,
        "" if link == NOTHING else link,
        "" if unit == NOTHING else unit,
        float(resolution),
        float(wraps[0]) if wraps else None,
        tuple(rows),
    )


def _kept(line: str) -> Kept:
    time_s, value, *state = line.split(" ")
    whole, _, part = time_s.partition(".")
    nanoseconds = int(part.ljust(9, "0")[:9] or 0)
    sign = -1 if whole.startswith("-") else 1
    return Kept(
        int(whole or 0) * 1_000_000_000 + sign * nanoseconds,
        None if value == NOTHING else float(value),
        int(state[0]) if state else 0,
    )


def _seconds(time_ns: int) -> str:
    sign = "-" if time_ns < 0 else ""
    whole, part = divmod(abs(time_ns), 1_000_000_000)
    digits = f"{part:09d}".rstrip("0")
    return f"{sign}{whole}" + (f".{digits}" if digits else "")


def _number(value: float | None) -> str:
    return NOTHING if value is None else repr(value).removesuffix(".0")
