"""A receiver's log file as a record: what it said, at the instants at which it must have said it.

A log of sentences has no instants of arrival. Each epoch begins a fixed time after the UTC that its
sentences give, as receivers do, and its bytes follow at the pace of the line. Before a receiver
knows the time its epochs are a second apart. What a logger wrote around a sentence (its own
time stamp, a tag block) was not on the wire and is left out.
"""

from __future__ import annotations

import bz2
import calendar
import gzip
import itertools
import lzma
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rig.record.manifest import LOGGED, PhaseWindow, WireInfo
from rig.record.writer import RecordWriter
from rig.versions import versions
from rig.wires.errors import WiresError
from rig.wires.source import GPS

LATE_NS = 100_000_000  # from the epoch to its first byte
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
NOON_NS = DAY_NS // 2
BITS_PER_BYTE = 10
BAUDS = (4800, 9600, 38400, 115200, 921600)
DEFAULT_DAY_NS = calendar.timegm((2026, 1, 1, 0, 0, 0)) * SECOND_NS  # of a log without a date
MOST_BYTES = 256 * 1024 * 1024
_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
}
_SENTENCE = re.compile(
    rb"[\t\x20-\x7e]*?(\$[A-Z][^$*\r\n]*(?:\*[0-9A-Fa-f]{2})?)[\t\x20-\x23\x25-\x7e]*"
)
_TIMED = re.compile(rb"\$..(?:RMC|GGA|ZDA|GNS|GBS|GST),(\d\d)(\d\d)(\d\d)(\.\d+)?,")
_UNTIMED = re.compile(rb"\$..(RMC|GGA|GNS),,")
_DATED = re.compile(rb"\$..RMC,(?:[^,]*,){8}(\d\d)(\d\d)(\d\d),")


class LogError(WiresError):
    """A log that cannot be used."""

    usage = True


def record_of_log(path: Path, folder: Path, *, command: str = "") -> Path:
    """Write the record of a log of NMEA sentences into `folder`, which is new, and return it.

    Args:
        path: the log; .xz, .gz and .bz2 are unpacked.
        folder: of the record.
        command: that was typed.

    Raises:
        LogError: it cannot be read, or has neither RMC nor GGA.
        RecordError: the folder cannot be used.
    """
    epochs = _epochs(path, _read(path))
    baud = _baud(epochs)
    byte_ns = BITS_PER_BYTE * SECOND_NS // baud
    start_ns = epochs[0][0]
    end_ns = epochs[-1][0] + SECOND_NS
    manifest = {
        "scenario": path.name.split(".")[0],
        "seed": 0,
        "mode": LOGGED,
        "epoch_ns": start_ns,
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "phases": [PhaseWindow(LOGGED, start_ns, end_ns)],
        "real_links": [GPS],
        "wires": {GPS: WireInfo(baud=baud, place=path.name, about="a log of sentences")},
        "versions": versions(),
    }
    with RecordWriter(folder, manifest) as writer:
        for utc_ns, lines in epochs:
            time_ns = utc_ns + LATE_NS
            for line in lines:
                time_ns += len(line) * byte_ns
                writer.wire(GPS, time_ns, True, line)
        writer.close({"sim_s": (end_ns - start_ns) / 1e9, "wall_s": 0.0})
    return folder


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        data = _UNPACK.get(path.suffix, bytes)(data)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        found = getattr(error, "strerror", None) or error
        raise LogError(f"{path}: expected a log of NMEA sentences, found: {found}") from error
    if len(data) > MOST_BYTES:
        raise LogError(
            f"{path}: expected at most {MOST_BYTES >> 20} MiB, found {len(data) >> 20}; cut it"
        )
    return data


def _epochs(path: Path, data: bytes) -> list[tuple[int, list[bytes]]]:
    """Return (UTC, what was said of that instant), in order; times go up."""
    day_ns = _first_day_ns(data)
    epochs: list[tuple[int, list[bytes]]] = []
    lines: list[bytes] = []
    current: bytes | None = None
    time_ns = last_ns = -1
    untimed: list[list[bytes]] = []  # what was said before a time was known
    kinds: set[bytes] = set()
    for whole in data.splitlines(keepends=True):
        line = _of_wire(whole)
        dated = _DATED.match(line)
        if dated is not None:
            day_ns = _day_ns(dated, day_ns)
        timed = _TIMED.match(line)
        if timed is not None and timed[0][7:] != current:
            if current is not None:
                epochs.append((time_ns, lines))
                lines, last_ns = [], time_ns
            elif kinds:
                untimed.append(lines)
                lines = []
            current = timed[0][7:]
            time_ns = _time_ns(timed, day_ns)
            if time_ns < last_ns - NOON_NS:  # midnight, before the date is told
                time_ns += DAY_NS
            if time_ns <= last_ns:  # the clock was set, or another log was joined to the first
                time_ns = last_ns + SECOND_NS
        elif current is None and (cold := _UNTIMED.match(line)) is not None:
            if cold[1] in kinds:
                untimed.append(lines)
                lines, kinds = [], set()
            kinds.add(cold[1])
        lines.append(line)
    if current is None:
        if not kinds:
            raise LogError(
                f"{path}: expected NMEA sentences with a time ($..RMC, $..GGA), found none; is it "
                "a receiver's log?"
            )
        time_ns = day_ns + len(untimed) * SECOND_NS  # it never knew it
    epochs.append((time_ns, lines))
    first_ns = epochs[0][0] - len(untimed) * SECOND_NS
    return [(first_ns + n * SECOND_NS, said) for n, said in enumerate(untimed)] + epochs


def _of_wire(line: bytes) -> bytes:
    """Return a line without what a logger put around its sentence; binary data stay."""
    found = _SENTENCE.match(line)
    if found is None or line[found.end() :].strip(b"\r\n"):
        return line
    return found[1].rstrip(b" \t") + line[found.end() :]


def _first_day_ns(data: bytes) -> int:
    dated = _DATED.search(data)
    return DEFAULT_DAY_NS if dated is None else _day_ns(dated, DEFAULT_DAY_NS)


def _day_ns(dated: re.Match[bytes], otherwise_ns: int) -> int:
    day, month, year = (int(dated[n]) for n in (1, 2, 3))
    try:
        instant = datetime(2000 + year if year < 80 else 1900 + year, month, day, tzinfo=UTC)
    except ValueError:
        return otherwise_ns
    return round(instant.timestamp()) * SECOND_NS


def _time_ns(timed: re.Match[bytes], day_ns: int) -> int:
    hours, minutes, seconds = (int(timed[n]) for n in (1, 2, 3))
    part_ns = round(float(timed[4] or b"0") * 1e9)
    return day_ns + (hours * 3600 + minutes * 60 + seconds) * SECOND_NS + part_ns


def _baud(epochs: list[tuple[int, list[bytes]]]) -> int:
    """Return the slowest usual rate at which nearly every epoch is over before the next begins."""
    loads = sorted(
        sum(map(len, lines)) * BITS_PER_BYTE * SECOND_NS / (after - utc)
        for (utc, lines), (after, _) in itertools.pairwise(epochs)
    )
    need = loads[int(len(loads) * 0.99) - 1 if len(loads) > 1 else 0] if loads else 0.0
    return next((baud for baud in BAUDS if baud * 0.9 >= need), BAUDS[-1])
