"""The verdict of a run (verdict.json), as it was when the run was last judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from rig.limits import Outcome, Verdict, overall
from rig.record.errors import RecordError
from rig.record.streams import VERDICT_FILE


class _VerdictFile(msgspec.Struct):
    outcome: Outcome
    verdicts: list[Verdict]


def save_verdicts(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """Write the run's verdict into its folder, in place of an older one.

    Infinite values become null: JSON has none.
    """
    text = msgspec.json.encode(_VerdictFile(overall(verdicts), list(verdicts)))
    path = folder / VERDICT_FILE
    try:
        path.write_bytes(msgspec.json.format(text, indent=1) + b"\n")
    except OSError as error:
        raise RecordError(f"{path}: expected to write it, found: {error.strerror}") from error


def load_verdicts(folder: Path) -> list[Verdict]:
    """Return the run's verdict; empty if it was never judged.

    Raises:
        RecordError: the file is there and is no verdict.
    """
    path = folder / VERDICT_FILE
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=_VerdictFile).verdicts
    except msgspec.DecodeError as error:
        raise RecordError(f"{path}: expected a verdict, found: {error}") from error
