"""Errors of reading CAN logs.

CanLogError (ValueError)      a log that cannot be read
"""

from __future__ import annotations

from pathlib import Path

MOST_SHOWN = 60


class CanLogError(ValueError):
    """A log cannot be read: names the file, the place, what was expected and what was found."""

    @classmethod
    def at(cls, path: Path, place: str, expected: str, found: str, reason: str = "") -> CanLogError:
        """Return the error; `place` and `reason` may be empty."""
        shown = found if len(found) <= MOST_SHOWN else found[: MOST_SHOWN - 3] + "..."
        where = f"{path}, {place}" if place else str(path)
        why = f" ({reason})" if reason else ""
        return cls(f"{where}: expected {expected}, found {shown!r}{why}")
