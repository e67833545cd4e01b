"""The one error of scenario files: where, what was expected, what stands there, what to do."""

from __future__ import annotations

from pathlib import Path

from rig.errors import RigError


class ScenarioError(RigError, ValueError):
    """A scenario file that cannot be used; the message is `path:line: expected …, found …. hint`.

    Attributes:
        path: the file, as the caller named it.
        line: counted from 1; 0 where no line is to blame (an unreadable file).
        column: counted from 1; 0 where unknown.
        expected: what would have been right.
        found: what stands there.
        hint: what to do; may be empty.
    """

    usage = True

    def __init__(
        self,
        path: Path,
        line: int,
        expected: str,
        found: str,
        hint: str = "",
        *,
        column: int = 0,
    ) -> None:
        self.path = path
        self.line = line
        self.column = column
        self.expected = expected
        self.found = found
        self.hint = hint
        where = f"{path}:{line}" if line else str(path)
        tail = f"; {hint}" if hint else ""
        super().__init__(f"{where}: expected {expected}, found {found}{tail}")


class MissingExtraError(ScenarioError):
    """A scenario that needs a package which is not installed."""
