"""`telerig run --twice`: the same run two times, and where the two first differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rig.runner.request import Request, Run


def again(request: Request) -> Request:
    """Return a request for the same run once more, in an interpreter of its own.

    So the two differ in what must not matter: the seed of `hash()`, addresses, order of imports.
    """
    return replace(request, anew=True)


@dataclass(frozen=True, slots=True)
class Pair:
    """A run, and the same run once more where that was asked for."""

    first: Run
    second: Run | None = None

    @property
    def runs(self) -> list[Run]:
        """Both, or the one."""
        return [self.first] if self.second is None else [self.first, self.second]

    @property
    def same(self) -> bool:
        """True if both have one trace."""
        return self.second is None or self.first.trace_sha256 == self.second.trace_sha256 != ""

    @property
    def passed(self) -> bool:
        """True if the limits were kept, and both runs have one trace."""
        return self.first.passed and self.same

    def lines(self) -> list[str]:
        """What the repetition showed, for people; nothing where there was none."""
        if self.second is None:
            return []
        if self.same:
            return [f"again: the same trace {self.first.trace_sha256}\n"]
        if not self.first.failure and self.second.failure:
            return [f"again: did not run to its end: {self.second.failure}\n"]
        lines = ["again: another trace", *self._divergence().splitlines()]
        return [*lines, f"record of the second run: {self.second.folder}\n"]

    def document(self) -> dict[str, Any]:
        """Return the run as plain values, and what the repetition showed."""
        document = self.first.document()
        if self.second is not None:
            document["again"] = {
                "same": self.same,
                "trace_sha256": self.second.trace_sha256,
                "record": str(self.second.folder),
                "failure": self.second.failure or None,
                "divergence": self._divergence() or None,
            }
        return document

    def _divergence(self) -> str:
        from rig.record.compare import compare
        from rig.record.reader import RecordReader

        if self.second is None or self.same or self.first.failure or self.second.failure:
            return ""
        first = RecordReader(self.first.folder)
        found = compare(first, RecordReader(self.second.folder))
        return "" if found is None else found.describe(first.manifest)
