"""Where do two records first differ? For `--twice`, and for a failing run beside a passing one."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import msgspec

from rig.record.manifest import Manifest
from rig.record.reader import RecordReader
from rig.record.streams import Stream

CONTEXT_ROWS = 5
# Rows of one instant differ together: the world comes first, then the wire, then the gateway.
_CAUSES_FIRST = ("truth", "samples", "can", "wire", "air", "heard", "published", "stored")


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first difference of two traces.

    Attributes:
        stream: the stream that differs first in the world's time.
        row: its index in that stream, counted from 0.
        time_ns: the world's UTC of that row.
        row_a: the row in the first record; None where that record has ended.
        row_b: likewise in the second.
        context: the rows before it, which are equal in both, oldest first.
    """

    stream: str
    row: int
    time_ns: int
    row_a: list[Any] | None
    row_b: list[Any] | None
    context: list[list[Any]]

    def describe(self, manifest: Manifest) -> str:
        """Return the difference as a few lines for a terminal."""
        phase = manifest.phase_at(self.time_ns)
        where = f" in phase {phase}" if phase else ""
        lines = [
            f"first divergence: stream {self.stream}, row {self.row}, "
            f"at {manifest.seconds(self.time_ns):.6f} s{where}",
            *(f"    both    {_text(row)}" for row in self.context),
            f"    first   {_text(self.row_a)}",
            f"    second  {_text(self.row_b)}",
        ]
        return "\n".join(lines)


def compare(
    first: RecordReader, second: RecordReader, only: Collection[str] = ()
) -> Divergence | None:
    """Return where the traces of two records first differ in the world's time, or None.

    Only streams of the trace count, and of these those named in `only` if it names some. A stream
    that one record lacks differs at its first row.
    """
    streams = {
        s.name: s
        for s in (*first.streams, *second.streams)
        if s.in_trace and (not only or s.name in only)
    }
    found = [
        divergence
        for stream in streams.values()
        if not _same_hash(first, second, stream)
        and (divergence := _first_difference(first, second, stream)) is not None
    ]
    return min(found, key=lambda d: (d.time_ns, _rank(d.stream), d.stream), default=None)


def _same_hash(first: RecordReader, second: RecordReader, stream: Stream) -> bool:
    hash_a = first.manifest.hashes.get(stream.name)
    return hash_a is not None and hash_a == second.manifest.hashes.get(stream.name)


def _first_difference(
    first: RecordReader, second: RecordReader, stream: Stream
) -> Divergence | None:
    before: deque[bytes] = deque(maxlen=CONTEXT_ROWS)
    for index, (line_a, line_b) in enumerate(
        zip_longest(first.lines(stream), second.lines(stream))
    ):
        if line_a != line_b:
            row_a, row_b = _row(line_a), _row(line_b)
            times = [stream.time_ns(row) for row in (row_a, row_b) if row is not None]
            context = [msgspec.json.decode(line) for line in before]
            return Divergence(stream.name, index, min(times), row_a, row_b, context)
        before.append(line_a)
    return None


def _row(line: bytes | None) -> list[Any] | None:
    return None if line is None else msgspec.json.decode(line, type=list[Any])


def _rank(stream: str) -> int:
    return _CAUSES_FIRST.index(stream.split(".", 1)[0])


def _text(row: list[Any] | None) -> str:
    return "(the record has ended)" if row is None else msgspec.json.encode(row).decode()
