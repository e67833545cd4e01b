"""A run as the reports see it: its record, its figures, and the verdict on its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reports.runs.names import TRUTH_ALIASES
from reports.svg.decimate import Floats
from rig.judge.desk import judge_manifest
from rig.judge.limits import Limit, Outcome, Verdict, overall
from rig.measures.arrays import Ints
from rig.measures.measures import Measures, measure
from rig.record.manifest import Manifest
from rig.record.reader import RecordReader


@dataclass(frozen=True)
class JudgedRun:
    """One run, judged. Made by `judge_run`."""

    record: RecordReader
    measures: Measures
    verdicts: list[Verdict]

    @property
    def manifest(self) -> Manifest:
        """What was run, and how."""
        return self.record.manifest

    @property
    def outcome(self) -> Outcome:
        """The worst of all outcomes."""
        return overall(self.verdicts)

    def count(self, *outcomes: Outcome) -> int:
        """Return how many limits came out so."""
        return sum(verdict.outcome in outcomes for verdict in self.verdicts)

    @property
    def failures(self) -> list[Verdict]:
        """The limits that failed or were not measured."""
        return [verdict for verdict in self.verdicts if verdict.outcome.is_failure]

    @property
    def closest(self) -> Verdict | None:
        """The limit that was kept with the least room, in % of its bound."""
        kept = [v for v in self.verdicts if v.margin_pct is not None and not v.outcome.is_failure]
        return min(kept, key=lambda v: v.margin_pct or 0.0, default=None)

    def seconds(self, times_ns: Ints) -> Floats:
        """Return virtual seconds since the run's start."""
        return (times_ns - self.manifest.epoch_ns) / 1e9

    def truth(self, signal: str) -> tuple[Floats, Floats] | None:
        """Return (virtual seconds, values) of a signal's truth; None if it was not recorded."""
        columns = self.manifest.truth_columns
        name, factor = signal, 1.0
        if name not in columns:
            name, factor = TRUTH_ALIASES.get(signal, (signal, 1.0))
        if name not in columns or not self.record.truth:
            return None
        at = columns.index(name) + 1
        times = np.array([row[0] for row in self.record.truth], dtype=np.int64)
        values = np.array([row[at] for row in self.record.truth], dtype=np.float64)
        return self.seconds(times), values * factor


def judge_run(folder: Path, limits: Sequence[Limit] | None = None) -> JudgedRun:
    """Read the record in `folder` and judge it.

    Args:
        folder: of the run.
        limits: other limits than those declared when it was run.

    Raises:
        RecordError: there is no record, or it is damaged.
    """
    record = RecordReader(folder)
    measures = measure(record)
    manifest = record.manifest
    verdicts = judge_manifest(manifest, measures, limits)
    return JudgedRun(record, measures, verdicts)
