"""Where runs are kept, and how a run is named on the command line."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from rig.record.errors import RecordError
from rig.record.streams import MANIFEST_FILE

RUNS_FOLDER = Path("runs")
LATEST = "last"
_MOST_ATTEMPTS = 1000


def new_run_folder(root: Path, started: datetime, scenario: str, seed: int) -> Path:
    """Make and return `root/<stamp>-<scenario>-<seed>`, with a number if that is taken.

    Making the folder claims the name, so workers side by side never share one.

    Raises:
        RecordError: the folder cannot be made.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", scenario.lower()).strip("-") or "run"
    stem = f"{started:%Y%m%d-%H%M%S}-{slug}-{seed}"
    for attempt in range(1, _MOST_ATTEMPTS):
        folder = root / (stem if attempt == 1 else f"{stem}.{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not root.is_dir():
                raise RecordError(f"{root}: expected a folder for runs, found a file") from None
            continue
        except OSError as error:
            raise RecordError(
                f"{folder}: expected to make it, found: {error.strerror}; "
                "choose another folder with --runs"
            ) from error
        return folder
    raise RecordError(f"{root}/{stem}: expected a free name, found {_MOST_ATTEMPTS} taken")


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
