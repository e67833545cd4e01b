"""What cannot be shown of a run, and what to do about it."""

from __future__ import annotations

from rig.errors import RigError

NOT_FOUND, BAD_REQUEST, CONFLICT, UNREADABLE = 404, 400, 409, 422
TOO_LARGE = 413


class RunError(RigError):
    """Something that was asked of a run and cannot be given.

    Attributes:
        status: of the HTTP answer.
        expected: what would have been right.
        found: what was there instead.
        where: the place: a parameter, a file.
    """

    def __init__(self, status: int, where: str, expected: str, found: str, todo: str = "") -> None:
        text = f"{where}: expected {expected}, found {found}"
        super().__init__(f"{text}; {todo}" if todo else text)
        self.status = status
        self.expected = expected
        self.found = found
        self.where = where
