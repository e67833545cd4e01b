"""Finds recorded runs by the names that people give them on the command line."""

from __future__ import annotations

from pathlib import Path

from rig.record.errors import RecordError
from rig.record.streams import MANIFEST_FILE

RUNS_FOLDER = Path("runs")
LATEST = "last"


def find_runs(root: Path) -> list[Path]:
    """Return the folders of the runs under `root`, oldest first."""
    return sorted(path.parent for path in root.glob(f"*/{MANIFEST_FILE}"))


def find_run(name: str, root: Path = RUNS_FOLDER) -> Path:
    """Return the folder of the run that `name` means.

    Args:
        name: a folder, the name of one under `root`, or "last".
        root: where runs are kept.

    Raises:
        RecordError: there is no such run.
    """
    runs = find_runs(root)
    if name == LATEST:
        if not runs:
            raise RecordError(f"{root}: expected a run, found none; `telerig run FILE` makes one")
        return runs[-1]
    for folder in (Path(name), root / name):
        if (folder / MANIFEST_FILE).is_file():
            return folder
    known = ", ".join(path.name for path in runs[-3:]) or "none"
    raise RecordError(
        f"run {name!r}: expected a folder with {MANIFEST_FILE}, found none there; "
        f"the latest in {root}: {known}"
    )
