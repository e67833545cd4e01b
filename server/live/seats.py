"""How many may listen: in total, and of one user."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

SHOWN = 60


class NoSeat(Exception):  # noqa: N818 (a request's, not a program's error)
    """One more would be too many."""


class Seats:
    """Counts listeners.

    Args:
        total: at most.
        per_user: of one user at most.

    Attributes:
        refused: those that were one too many, since the start.
    """

    def __init__(self, total: int, per_user: int) -> None:
        self._total = total
        self._per_user = per_user
        self._taken: Counter[str] = Counter()
        self.refused = 0

    @property
    def taken(self) -> int:
        """How many listen."""
        return self._taken.total()

    @contextlib.contextmanager
    def seat(self, user: str) -> Iterator[None]:
        """Count one listener of a user.

        Raises:
            NoSeat: there are as many as there may be; says which bound it is.
        """
        if self.taken >= self._total:
            self.refused += 1
            raise NoSeat(f"more than {self._total} clients ([live] clients)")
        if self._taken[user] >= self._per_user:
            self.refused += 1
            raise NoSeat(f"more than {self._per_user} clients of one user")
        self._taken[user] += 1
        try:
            yield
        finally:
            self._taken[user] -= 1
            if not self._taken[user]:
                del self._taken[user]
