"""The folder that holds the records of runs: makes it, and a new folder in it for each run."""

from __future__ import annotations

import errno
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rig.errors import RigError
from rig.runner.request import Request

GITIGNORE = "# Made by telerig: records of runs.\n*\n"
MOST_ATTEMPTS = 1000


class RunsFolderError(RigError):
    """The folder for records cannot be used."""

    usage = True


def prepare_runs_folder(runs: Path) -> None:
    """Make the folder if it is not there; version control is to leave a new one alone.

    Raises:
        RunsFolderError: it cannot be made or written to.
    """
    try:
        if not runs.exists():
            runs.mkdir(parents=True)
            (runs / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
        with tempfile.TemporaryFile(dir=runs):
            pass
    except OSError as error:
        raise _unusable(runs, error) from error


def new_run_folder(runs: Path, request: Request) -> Path:
    """Make and return a folder for one run: stamp, scenario, seed; never one that exists.

    Raises:
        RunsFolderError: it cannot be made.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    slug = re.sub(r"[^a-z0-9]+", "-", request.scenario.id.lower()).strip("-") or "run"
    stem = f"{stamp}-{slug}-{request.seed}"
    for attempt in range(1, MOST_ATTEMPTS):
        folder = runs / (stem if attempt == 1 else f"{stem}.{attempt}")
        try:
            # Making the folder claims the name: workers side by side never share one.
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise _unusable(runs, error) from error
        return folder
    raise RunsFolderError(f"{runs / stem}: expected a free name, found {MOST_ATTEMPTS} taken")


def _unusable(runs: Path, error: OSError) -> RunsFolderError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RunsFolderError(
        f"{runs}: expected a folder for runs that can be written to, found: {error.strerror}; "
        + ("free space there, or " if full else "")
        + "choose another folder"
    )
