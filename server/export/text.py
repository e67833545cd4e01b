"""CSV and JSON tables, piece by piece."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from server.catalogue import Signal, by_id
from server.errors import CatalogueError
from server.export.frames import Frame
from server.export.instants import IsoText
from server.export.job import Subject
from server.history.wanted import Column, rows_of
from server.readings import State

STATES = tuple(state.name.lower() for state in State)
SIGNAL_HEAD = ("time", "time_ns", "source", "signal", "value", "unit", "state")

_json = msgspec.json.Encoder()


def known_signal(signal_id: int) -> Signal:
    """Give a signal; one that nothing describes any more keeps its number as its name."""
    try:
        return by_id(signal_id)
    except CatalogueError:
        infinite = math.inf
        return Signal(signal_id, str(signal_id), str(signal_id), "", 0, -infinite, infinite, "")


def source_of(signal: Signal) -> str:
    """Give the source of a signal without its place in it: `obd`, not `obd:010C`."""
    return signal.source.partition(":")[0]


class SignalWriter(Protocol):
    """Writes readings, one row each."""

    def begin(self) -> bytes:
        """Give what stands before the rows."""

    def rows(self, columns: Sequence[Column]) -> bytes:
        """Give the rows of a piece, in time order."""

    def end(self) -> bytes:
        """Give what stands behind the rows."""


class SignalCsv:
    """A row for each reading; lines end with a line feed."""

    def __init__(self) -> None:
        self._iso = IsoText()
        self._words: dict[int, tuple[str, str]] = {}

    def begin(self) -> bytes:
        """Give the heading."""
        return (",".join(SIGNAL_HEAD) + "\n").encode()

    def rows(self, columns: Sequence[Column]) -> bytes:
        """Give the rows of a piece."""
        iso, words = self._iso, self._words
        for column in columns:
            if column.signal not in words:
                words[column.signal] = _csv_words(known_signal(column.signal))
        lines = []
        for time_ns, signal, _, value, state in rows_of(columns):
            before, after = words[signal]
            shown = repr(value) if math.isfinite(value) else ""
            lines.append(f"{iso(time_ns)},{time_ns}{before}{shown}{after}{STATES[state]}\n")
        return "".join(lines).encode()

    def end(self) -> bytes:
        """Give nothing."""
        return b""


class SignalJson:
    """{"session", "signals", "readings": [{"time", "time_ns", "signal", "value", "state"}, …]}"""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._iso = IsoText()
        self._words: dict[int, tuple[str, str]] = {}
        self._is_first = True

    def begin(self) -> bytes:
        """Give the session."""
        head = _json.encode(self._subject.described())
        return b'{"session":' + head + b',"readings":[\n'

    def rows(self, columns: Sequence[Column]) -> bytes:
        """Give the rows of a piece."""
        iso, words = self._iso, self._words
        for column in columns:
            if column.signal not in words:
                words[column.signal] = _json_words(known_signal(column.signal))
        lines = []
        for time_ns, signal, _, value, state in rows_of(columns):
            before, after = words[signal]
            shown = repr(value) if math.isfinite(value) else "null"
            lines.append(
                f'{{"time":"{iso(time_ns)}","time_ns":{time_ns}{before}{shown}{after}'
                f'"{STATES[state]}"}}'
            )
        if not lines:
            return b""
        begin = "" if self._is_first else ",\n"
        self._is_first = False
        return (begin + ",\n".join(lines)).encode()

    def end(self) -> bytes:
        """Close the list, and say what the signals are."""
        signals = [described(known_signal(signal)) for signal in sorted(self._words)]
        return b'\n],"signals":' + _json.encode(signals) + b"}\n"


def described(signal: Signal) -> dict[str, object]:
    """Give what a reader needs to know of a signal."""
    return {
        "signal": signal.name,
        "id": signal.id,
        "path": signal.path,
        "unit": signal.unit,
        "source": signal.source,
    }


class FrameCsv:
    """A row for each snapshot: the instant, then a column for each signal; empty: no value."""

    def __init__(self, signals: Sequence[int]) -> None:
        self._signals = signals
        self._iso = IsoText()

    def begin(self) -> bytes:
        """Give the heading: signals by their short names."""
        names = [csv_field(known_signal(signal).name) for signal in self._signals]
        return (",".join(["time", "time_ns", *names]) + "\n").encode()

    def rows(self, frames: Iterable[Frame]) -> bytes:
        """Give rows."""
        lines = [
            f"{self._iso(time_ns)},{time_ns},"
            + ",".join("" if value is None else repr(value) for value in values)
            + "\n"
            for time_ns, values in frames
        ]
        return "".join(lines).encode()

    def end(self) -> bytes:
        """Give nothing."""
        return b""


class FrameJson:
    """{"session", "signals", "frames": [{"time", "time_ns", "values": {"RPM": …}}, …]}"""

    def __init__(self, subject: Subject, signals: Sequence[int]) -> None:
        self._subject = subject
        self._signals = [known_signal(signal) for signal in signals]
        self._names = [json.dumps(signal.name) for signal in self._signals]
        self._iso = IsoText()
        self._is_first = True

    def begin(self) -> bytes:
        """Give the session and the signals."""
        head = _json.encode(self._subject.described())
        signals = _json.encode([described(signal) for signal in self._signals])
        return b'{"session":' + head + b',"signals":' + signals + b',"frames":[\n'

    def rows(self, frames: Iterable[Frame]) -> bytes:
        """Give rows."""
        lines = [self._line(time_ns, values) for time_ns, values in frames]
        if not lines:
            return b""
        begin = "" if self._is_first else ",\n"
        self._is_first = False
        return (begin + ",\n".join(lines)).encode()

    def _line(self, time_ns: int, values: Sequence[float | None]) -> str:
        shown = ",".join(
            f"{name}:{value!r}"
            for name, value in zip(self._names, values, strict=True)
            if value is not None
        )
        return f'{{"time":"{self._iso(time_ns)}","time_ns":{time_ns},"values":{{{shown}}}}}'

    def end(self) -> bytes:
        """Close the list."""
        return b"\n]}\n"


def csv_field(text: str) -> str:
    """Give a field of CSV (RFC 4180); one that a spreadsheet would take for a formula is quoted
    with an apostrophe before it."""
    if text[:1] in ("=", "+", "-", "@", "\t", "\r"):
        text = "'" + text
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _csv_words(signal: Signal) -> tuple[str, str]:
    before = f",{csv_field(source_of(signal))},{csv_field(signal.name)},"
    return before, f",{csv_field(signal.unit)},"


def _json_words(signal: Signal) -> tuple[str, str]:
    name, unit = json.dumps(signal.name), json.dumps(signal.unit, ensure_ascii=False)
    return f',"signal":{name},"value":', f',"unit":{unit},"state":'


def chunked(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Give frames in lists of `size`, the last one shorter."""
    chunk: list[Frame] = []
    for frame in frames:
        chunk.append(frame)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
