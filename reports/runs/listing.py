"""The runs of a folder: what each of them is, in one row; fast with hundreds of them.

A row costs a read of `run.json` and `verdict.json`, and is made again only when one of them has
changed. What is running, damaged or half-written is in the list, too, and says so.
"""

from __future__ import annotations

import csv
import io
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from reports.runs.problem import BAD_REQUEST, NOT_FOUND, RunError
from rig.judge.limits import Limit, Outcome
from rig.record.streams import MANIFEST_FILE, SUFFIX, VERDICT_FILE
from rig.record.watching import is_running, is_starting

RUN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+@=-]{0,200}")
STAMPED = re.compile(r"\d{8}T\d{6}-.")
RUNNING, DAMAGED, UNJUDGED = "running", "damaged", "unjudged"
COLUMNS = ("id", "scenario", "variant", "seed", "mode", "outcome", "started", "duration_s",
           "commit", "worst", "margin_pct", "pass", "marginal", "fail", "unset", "skipped",
           "running", "damaged")  # fmt: skip
_SEVERITY = ("skipped", "pass", "marginal", "unset", "fail")
_MOST_HEAD_BYTES = 1 << 26


class Worst(msgspec.Struct, frozen=True):
    """The limit with the least room, in % of its bound; negative beyond it."""

    name: str
    margin_pct: float


class RunRow(msgspec.Struct, frozen=True):
    """One run in the list."""

    id: str
    scenario: str = ""
    variant: str = ""
    seed: int | None = None
    mode: str = ""
    outcome: str = DAMAGED
    started: str = ""
    duration_s: float | None = None
    commit: str = ""
    worst: Worst | None = None
    limits: dict[str, int] = {}
    running: bool = False
    damaged: str | None = None
    command: str = ""
    file: str = ""


class _Head(msgspec.Struct):
    """The part of a manifest that a row needs."""

    scenario: str
    seed: int
    mode: str
    epoch_ns: int
    scenario_path: str = ""
    command: str = ""
    started: str = ""
    matrix: dict[str, Any] = {}
    phases: list[tuple[str, int, int]] = []
    versions: dict[str, str] = {}
    result: dict[str, Any] = {}
    trace_sha256: str = ""
    limits: list[Limit] = []


class _Judged(msgspec.Struct):
    limit: str
    outcome: str
    value: float | None = None
    margin: float | None = None
    margin_pct: float | None = None


class _Verdict(msgspec.Struct):
    limits: list[_Judged]


class RunList:
    """The runs below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._rows: dict[str, tuple[Any, RunRow]] = {}
        self._lock = threading.Lock()

    def folder_of(self, run: str) -> Path:
        """Return the folder of a run.

        Raises:
            RunError: that is no name of a run, or there is none of that name.
        """
        if not RUN_ID.fullmatch(run) or ".." in run:
            raise RunError(
                BAD_REQUEST, "run", "the name of a run: letters, digits, '.', '_', '-'", repr(run)
            )
        folder = self.root / run
        if not is_run(folder) or not self._is_inside(folder):
            raise RunError(NOT_FOUND, "run", f"a run in {self.root}", repr(run), "was it removed?")
        return folder

    def rows(self) -> list[RunRow]:
        """Return every run, the newest first."""
        with self._lock:
            found: dict[str, tuple[Any, RunRow]] = {}
            for folder in self._folders():
                name = folder.name
                stamp = _stamp(folder)
                known = self._rows.get(name)
                if known is not None and known[0] == stamp and not known[1].running:
                    found[name] = known
                else:
                    found[name] = (stamp, row_of(folder))
                    if found[name][1].damaged:  # it may just be about to be finished
                        found[name] = (None, found[name][1])
            self._rows = found
            rows = [row for _, row in found.values()]
        return sorted(rows, key=lambda row: (row.started or row.id, row.id), reverse=True)

    def _folders(self) -> Iterator[Path]:
        try:
            entries = list(os.scandir(self.root))
        except OSError as error:
            raise RunError(
                NOT_FOUND, str(self.root), "a folder of runs", error.strerror or str(error),
                "name another folder: telerig view DIR",
            ) from error  # fmt: skip
        for entry in entries:
            folder = Path(entry.path)
            if RUN_ID.fullmatch(entry.name) and is_run(folder) and self._is_inside(folder):
                yield folder

    def _is_inside(self, folder: Path) -> bool:
        """A link that leads elsewhere is no run of this folder."""
        if not folder.is_symlink():
            return True
        return folder.resolve().is_relative_to(self.root.resolve())


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run, or what is left of one."""
    try:
        if (folder / MANIFEST_FILE).is_file():
            return True
        if not folder.is_dir():
            return False
        return bool(STAMPED.match(folder.name)) or any(folder.glob(f"*{SUFFIX}"))
    except OSError:
        return False


def row_of(folder: Path) -> RunRow:
    """Return the row of the run in `folder`, whatever is left of it."""
    running = is_running(folder)
    path = folder / MANIFEST_FILE
    try:
        data = path.read_bytes()
        if not data.strip():
            return RunRow(
                folder.name, damaged=f"{path.name} is empty: the run's record was cut off"
            )
        head = msgspec.json.decode(data, type=_Head)
    except FileNotFoundError:
        if is_starting(folder):
            return RunRow(folder.name, outcome=RUNNING, running=True)
        text = f"no {path.name}: the run ended before it began"
        return RunRow(folder.name, damaged=text)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return RunRow(folder.name, damaged=f"{path.name} cannot be read: {reason}")
    finished = bool(head.trace_sha256)
    counts, outcome, worst = _verdicts(folder, head) if finished else ({}, RUNNING, None)
    damaged = None
    if not finished and not running:
        outcome = DAMAGED
        damaged = "cut off: the run was killed or failed; what was written by then can be looked at"
    return RunRow(
        folder.name,
        scenario=head.scenario,
        variant=", ".join(f"{key} {value}" for key, value in head.matrix.items()),
        seed=head.seed,
        mode=head.mode,
        outcome=outcome,
        started=head.started,
        duration_s=_duration_s(head),
        commit=head.versions.get("commit", ""),
        worst=worst,
        limits=counts,
        running=running and not finished,
        damaged=damaged,
        command=head.command,
        file=head.scenario_path,
    )


def _duration_s(head: _Head) -> float | None:
    if head.phases:
        begin, end = min(p[1] for p in head.phases), max(p[2] for p in head.phases)
        return (end - begin) / 1e9
    sim_s = head.result.get("sim_s")
    return float(sim_s) if isinstance(sim_s, int | float) else None


def _verdicts(folder: Path, head: _Head) -> tuple[dict[str, int], str, Worst | None]:
    """Return (outcome -> limits, the worst outcome, the limit with the least room)."""
    try:
        verdict = msgspec.json.decode((folder / VERDICT_FILE).read_bytes(), type=_Verdict)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}, UNJUDGED, None
    counts = dict.fromkeys((o.value.lower() for o in Outcome), 0)
    worst: Worst | None = None
    same = [limit.name for limit in head.limits] == [row.limit for row in verdict.limits]
    for place, row in enumerate(verdict.limits):
        outcome = row.outcome.lower()
        counts[outcome] = counts.get(outcome, 0) + 1
        margin_pct = row.margin_pct
        if margin_pct is None and same:
            margin_pct = margin_pct_of(head.limits[place], row.value)
        if margin_pct is not None and (worst is None or margin_pct < worst.margin_pct):
            worst = Worst(row.limit, margin_pct)
    known = [outcome for outcome in counts if counts[outcome] and outcome in _SEVERITY]
    return counts, max(known, key=_SEVERITY.index, default="unset"), worst


def margin_pct_of(limit: Limit, value: float | None) -> float | None:
    """Return the distance from the nearest bound in % of it."""
    from rig.judge.limits import verdict_of

    return None if value is None else verdict_of(limit, value).margin_pct


def chosen(
    rows: Sequence[RunRow], scenario: str = "", outcome: str = "", text: str = ""
) -> list[RunRow]:
    """Return the rows of a scenario, with an outcome, in which all words of `text` stand."""
    words = text.casefold().split()
    return [
        row
        for row in rows
        if (not scenario or row.scenario == scenario)
        and (not outcome or row.outcome == outcome)
        and all(word in _searched(row) for word in words)
    ]


def _searched(row: RunRow) -> str:
    parts = (
        row.id,
        row.scenario,
        row.variant,
        row.mode,
        row.outcome,
        row.commit,
        f"seed {row.seed}",
    )
    return " ".join((*parts, row.file, row.worst.name if row.worst else "")).casefold()


def as_csv(rows: Sequence[RunRow]) -> str:
    """Return the rows as CSV with a heading; no cell begins as a formula would."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = cells(row)
        writer.writerow([_inert(values.get(name)) for name in COLUMNS])
    return out.getvalue()


def cells(row: RunRow) -> Mapping[str, Any]:
    """Return the row flat: column -> value."""
    flat: dict[str, Any] = msgspec.to_builtins(row)
    flat |= flat.pop("limits") | {"margin_pct": None}
    if row.worst is not None:
        flat |= {"worst": row.worst.name, "margin_pct": round(row.worst.margin_pct, 3)}
    return flat


def _inert(value: Any) -> Any:
    text = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{value}" if text else value


def _stamp(folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Return what changes when a file of a row does."""
    found = []
    for name in (MANIFEST_FILE, VERDICT_FILE):
        try:
            status = os.stat(folder / name)
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)
