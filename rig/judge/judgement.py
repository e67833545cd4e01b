"""Judges a record: computes every figure from what was kept, and writes the verdict beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from rig.judge.desk import judge_manifest
from rig.judge.limits import Verdict
from rig.measures.measures import Measures, measure
from rig.record.reader import RecordReader
from rig.record.streams import VERDICT_FILE


@dataclass(frozen=True, slots=True)
class Judgement:
    """A record with its figures and its verdicts."""

    record: RecordReader
    measures: Measures
    verdicts: list[Verdict]

    @property
    def passed(self) -> bool:
        return not any(verdict.outcome.is_failure for verdict in self.verdicts)


def judge_folder(folder: Path) -> Judgement:
    """Judge the record in `folder` by its own limits; the scenario file is not needed.

    Raises:
        RecordError: the folder holds no complete record.
    """
    record = RecordReader(folder)
    measures = measure(record)
    manifest = record.manifest
    verdicts = judge_manifest(manifest, measures)
    document = {
        "passed": not any(verdict.outcome.is_failure for verdict in verdicts),
        "trace_sha256": manifest.trace_sha256,
        "limits": [
            {
                "limit": verdict.limit.name,
                "window": verdict.limit.window,
                "line": verdict.limit.line,
                "value": verdict.value,
                "unit": verdict.unit,
                "bound": verdict.bound,
                "margin": verdict.margin,
                "margin_pct": verdict.margin_pct,
                "outcome": verdict.outcome.value,
                "reason": verdict.reason,
            }
            for verdict in verdicts
        ],
    }
    text = msgspec.json.format(msgspec.json.encode(document), indent=1)
    (folder / VERDICT_FILE).write_bytes(text + b"\n")
    return Judgement(record, measures, verdicts)
