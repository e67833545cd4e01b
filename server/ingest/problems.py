"""What is wrong with a reading, and how often that was so in a request."""

from __future__ import annotations

import msgspec

from server.ingest.limits import BAD_SHOWN


class Problem(msgspec.Struct, frozen=True):
    """One refused item: what was expected, what came, and where; `reason` is its kind."""

    expected: str
    found: str
    where: str
    reason: str = "other"

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


class Problems:
    """The refused readings of one request; the first are named, all are counted.

    Attributes:
        count: readings refused.
        first: of these, the first few.
        by_reason: how many of each kind, with an example.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Problem] = []
        self.by_reason: dict[str, tuple[int, str]] = {}

    def add(self, problem: Problem, by: int = 1) -> None:
        """Count a problem of `by` readings."""
        self.count += by
        if len(self.first) < BAD_SHOWN:
            self.first.append(problem)
        count, example = self.by_reason.get(problem.reason, (0, str(problem)))
        self.by_reason[problem.reason] = count + by, example
