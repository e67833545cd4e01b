"""Notes that people put at instants of a run: beside its record, for all who look at it."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import msgspec

from reports.runs.events import ShownEvent
from reports.runs.problem import BAD_REQUEST, CONFLICT, RunError

MARKS_FILE = "marks.jsonl"
"""One line a mark; nothing else reads it, and a run without it has none."""
MOST, LONGEST = 1000, 500
_writing = threading.Lock()


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note: an instant of the run, and words."""

    time_ns: int
    text: str


def parsed(body: bytes) -> Mark:
    """Return the mark that a request asks for.

    Raises:
        RunError: it is none, or without words.
    """
    expected = '{"time_ns": a whole number, "text": words}'
    try:
        mark = msgspec.json.decode(body, type=Mark)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RunError(BAD_REQUEST, "body", expected, str(error)) from error
    text = " ".join(mark.text.split())
    if not 0 < len(text) <= LONGEST:
        found = f"{len(text)} letters"
        raise RunError(BAD_REQUEST, "text", f"1 to {LONGEST} letters", found)
    return Mark(mark.time_ns, text)


def put(folder: Path, mark: Mark) -> None:
    """Keep a mark.

    Raises:
        RunError: there are too many.
    """
    with _writing:
        if len(marks_of(folder)) >= MOST:
            raise RunError(CONFLICT, "marks", f"at most {MOST} of a run", "one more")
        # One write of one line: who reads meanwhile, or writes too, finds whole lines.
        line = msgspec.json.encode(mark) + b"\n"
        file = os.open(folder / MARKS_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(file, line)
        finally:
            os.close(file)


def marks_of(folder: Path) -> list[Mark]:
    """Return the marks of a run; lines that are none are left out."""
    found: list[Mark] = []
    try:
        lines = (folder / MARKS_FILE).read_bytes().splitlines()
    except OSError:
        return []
    for line in lines:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            found.append(msgspec.json.decode(line, type=Mark))
    return found


def shown_marks(folder: Path, start_ns: int, end_ns: int) -> list[ShownEvent]:
    """Return the marks from `start_ns` to `end_ns` as events."""
    return [
        ShownEvent(mark.time_ns / 1e9, "note", "info", mark.text)
        for mark in marks_of(folder)
        if start_ns <= mark.time_ns <= end_ns
    ]
