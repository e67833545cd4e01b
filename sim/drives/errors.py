"""Errors of this package.

DriveError
+-- CycleError (ValueError)       no cycle of that name
+-- RecordingError (ValueError)   a recorded drive cannot be used
"""

from __future__ import annotations

from pathlib import Path


class DriveError(Exception):
    """Root of everything that this package raises."""


class CycleError(DriveError, ValueError):
    """A cycle of that name does not exist."""


class RecordingError(DriveError, ValueError):
    """A recorded drive cannot be used: which file, which line, what was expected and what came.

    `line` counts from 1; None means the file as a whole.
    """

    def __init__(self, path: Path, line: int | None, expected: str, got: str) -> None:
        self.path = path
        self.line = line
        self.expected = expected
        self.got = got
        place = str(path) if line is None else f"{path}:{line}"
        super().__init__(f"{place}: expected {expected}, got {got}")
