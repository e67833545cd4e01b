"""Where a failing run first differs from one that passes: on the wire, and in what was stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from rig.record.compare import Divergence, compare
from rig.record.reader import RecordReader

GATEWAY_STREAMS = ("published", "stored")
LOG_LINES = 12
LOG_AROUND_S = 10.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A failing run beside a passing one."""

    failing: RecordReader
    passing: RecordReader
    what: str
    first: Divergence | None
    gateway: Divergence | None

    @property
    def common_s(self) -> float:
        """How long the two are the same, in seconds of the run."""
        if self.first is None:
            return float("inf")
        return self.failing.manifest.seconds(self.first.time_ns)

    def text(self) -> str:
        """Return what a person reads: the first difference, that of the gateway, its log then."""
        lines = [f"compared with {self.what}, which keeps the limit", ""]
        if self.first is None:
            return "\n".join([*lines, "no difference: only the limits differ", ""])
        manifest = self.failing.manifest
        lines += [
            "(first: the failing run; second: the passing one)",
            self.first.describe(manifest),
        ]
        if self.gateway is not None and self.gateway != self.first:
            lines += ["", "of what the gateway published and stored:"]
            lines.append(self.gateway.describe(manifest))
        for name, reader in (("failing", self.failing), ("passing", self.passing)):
            lines += ["", f"log of the {name} run from there on:"]
            lines += [f"    {line}" for line in _log_after(reader, self.first.time_ns)]
        return "\n".join(lines) + "\n"


def compared(failing: Path, passing: Path, what: str) -> Comparison:
    """Return the two records side by side.

    Args:
        failing: folder of the record of the run that failed.
        passing: of the other one.
        what: what the other one is, in words.
    """
    first, second = RecordReader(failing), RecordReader(passing)
    return Comparison(
        first,
        second,
        what,
        compare(first, second),
        compare(first, second, only=GATEWAY_STREAMS),
    )


def _log_after(record: RecordReader, time_ns: int) -> list[str]:
    """Return the lines of a log from an instant on; those that say nothing of time are left out."""
    found = []
    for line in record.log_lines:
        try:
            entry = msgspec.json.decode(line)
            at = datetime.fromisoformat(entry["time"])
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            continue
        since_s = (at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1e9 - time_ns) / 1e9
        if -0.001 <= since_s <= LOG_AROUND_S:
            found.append(line)
    return found[:LOG_LINES] or ["(nothing)"]
