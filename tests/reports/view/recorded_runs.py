"""Runs for pages that want several: the same one twice, one of another seed, what is damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.reports.runs.recorded import PLAIN, record

CUT_OFF_BYTES = 40
NAMES = "names.json"


class RecordedRuns:
    """A folder of its own, in which `record` has recorded them.

    Attributes:
        runs: the folder.
        first: the id of a run.
        again: of one with the same seed and the same trace.
        other: of one with another seed.
        damaged: of one whose manifest is cut off.
    """

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        names = json.loads((folder / NAMES).read_text("utf-8"))
        self.first, self.other = names["first"], names["other"]
        self.again, self.damaged = "again", "damaged"

    @staticmethod
    def record(folder: Path) -> None:
        """Record them."""
        runs = folder / "runs"
        first, other = record(runs, PLAIN), record(runs, PLAIN, 6)
        for name in ("again", "damaged"):
            shutil.copytree(first, runs / name)
        manifest = runs / "damaged" / "run.json"
        manifest.write_bytes(manifest.read_bytes()[:CUT_OFF_BYTES])
        names = {"first": first.name, "other": other.name}
        (folder / NAMES).write_text(json.dumps(names), encoding="utf-8")
