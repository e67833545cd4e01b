"""The state of a campaign on disk: what was driven, and what broke.

    campaigns/NAME/
      campaign.json    what is drawn: its seed, its bases
      done.jsonl       a line a run; of a number that was driven again the last one counts
      failures/000017/ scenario, record, and once it is shrunk the smallest scenario that fails
      lock             held while a campaign goes on here
      work/            of the runs that go on; nothing in it is needed later

A line is appended with one write and synced: after a kill at most the last one is torn, and a torn
one is left out. A failing run's folder gets its name when it is complete, and then its line is
written; a folder without a line gets one when the campaign goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from rig.campaign.draw import DRAWING
from rig.campaign.errors import CampaignError, CampaignUsageError
from rig.campaign.task import Breach, Outcome
from rig.runner.runs_folder import GITIGNORE
from rig.scenario.load import SUFFIX
from rig.versions import versions

FORMAT = 1
CAMPAIGN_FILE = "campaign.json"
DONE_FILE = "done.jsonl"
LOCK_FILE = "lock"
SCENARIO_FILE = f"run{SUFFIX}"
SMALLEST_FILE = f"smallest{SUFFIX}"
DIVERGENCE_FILE = "divergence.txt"
FAILURE_FILE = "failure.json"
SHRUNK_FILE = "shrunk.json"
EXPLAINED_FILE = "explained.txt"
RECORD_FOLDER = "record"


class Plan(msgspec.Struct, kw_only=True, frozen=True):
    """What a campaign draws: `campaign.json`."""

    seed: int
    bases: tuple[str, ...] = ()
    preload: str = ""
    format: int = FORMAT
    drawing: int = DRAWING
    begun: str = ""


class Done(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A line of `done.jsonl`."""

    number: int
    passed: bool
    broken: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    sim_s: float = 0.0
    wall_s: float = 0.0
    trace: str = ""
    server: str = ""


class Failure(msgspec.Struct, kw_only=True, frozen=True):
    """`failure.json` of a failing run."""

    done: Done
    breaches: tuple[Breach, ...]
    command: str
    versions: dict[str, str] = {}


class Shrunk(msgspec.Struct, kw_only=True, frozen=True):
    """`shrunk.json`: how a failure was shrunk, and what came out."""

    limit: str
    note: str
    steps: int
    faults: int = 0
    drive_s: float = 0.0
    command: str = ""
    sentence: str = ""


class Ledger:
    """A campaign's folder, open: nobody else drives here meanwhile. Use it as a context manager.

    Args:
        folder: of the campaign; made where it is not there.
        plan: what it is to draw, for a new one. An older one keeps its own.
        given: the parts of the plan that the user named, which an older one must have too.

    Raises:
        CampaignUsageError: the folder is of another version, or its campaign another one.
        CampaignError: somebody else drives here, or the folder cannot be used.
    """

    def __init__(self, folder: Path, plan: Plan, given: Mapping[str, Any]) -> None:
        self.folder = folder
        try:
            new = not folder.exists()
            (folder / "failures").mkdir(parents=True, exist_ok=True)
            if new and not (folder.parent / ".gitignore").exists():
                (folder.parent / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
            self._lock = self._take()
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            self.plan = self._open(plan, given)
            self.done: dict[int, Done] = {done.number: done for done in self._lines()}
            self._clear()
            self._adopt()
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, OSError):
                raise _unusable(folder, error) from error
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others drive here."""
        shutil.rmtree(self.work, ignore_errors=True)
        os.close(self._lock)

    @property
    def work(self) -> Path:
        """For runs while they go on."""
        return self.folder / "work"

    def failure_folder(self, number: int) -> Path:
        """Where a failing run is kept."""
        return self.folder / "failures" / f"{number:06d}"

    @property
    def failed(self) -> list[int]:
        """The numbers of the runs that failed, in order."""
        return sorted(number for number, done in self.done.items() if not done.passed)

    def missing(self) -> Iterator[int]:
        """Yield the numbers that were not driven yet, without an end."""
        number = 0
        while True:
            number += 1
            if number not in self.done:
                yield number

    # -- writing -----------------------------------------------------------------------------------
    def keep(
        self, number: int, outcome: Outcome, text: str, faults: Sequence[str], server: str
    ) -> Done:
        """Write down what became of a run; of one that failed keep all.

        Raises:
            CampaignError: there is no room for it.
        """
        done = Done(
            number=number,
            passed=outcome.passed,
            broken=outcome.keys,
            faults=tuple(faults),
            sim_s=round(outcome.sim_s, 3),
            wall_s=round(outcome.wall_s, 3),
            trace=outcome.trace_sha256[:16],
            server=server[:12],
        )
        try:
            if outcome.passed:
                shutil.rmtree(self.failure_folder(number), ignore_errors=True)
            else:
                self._keep_failure(done, outcome, text)
            self._append(done)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        self.done[number] = done
        return done

    def _keep_failure(self, done: Done, outcome: Outcome, text: str) -> None:
        target = self.failure_folder(done.number)
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            (part / RECORD_FOLDER).mkdir(parents=True)
            for name, content in outcome.record.items():
                (part / RECORD_FOLDER / name).write_bytes(content)
            (part / SCENARIO_FILE).write_text(text, encoding="utf-8")
            failure = Failure(
                done=done,
                breaches=outcome.breaches,
                command=f"telerig run {target / SCENARIO_FILE}",
                versions=versions(),
            )
            (part / FAILURE_FILE).write_bytes(_json(failure))
            shutil.rmtree(target, ignore_errors=True)
            part.rename(target)
        except OSError:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _append(self, done: Done) -> None:
        line = msgspec.json.encode(done) + b"\n"
        with (self.folder / DONE_FILE).open("ab", buffering=0) as file:
            start = file.tell()
            try:
                if file.write(line) != len(line):  # a full disk takes a part of it
                    raise OSError(28, os.strerror(28))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(start)
                raise

    def write(self, number: int, name: str, content: str | msgspec.Struct) -> None:
        """Put a file into the folder of a failing run, whole or not at all.

        Raises:
            CampaignError: there is no room for it.
        """
        path = self.failure_folder(number) / name
        data = content.encode() if isinstance(content, str) else _json(content)
        part = path.with_name(f".{name}.part")
        try:
            part.write_bytes(data)
            part.rename(path)
        except OSError as error:
            raise _unusable(self.folder, error) from error

    # -- reading -----------------------------------------------------------------------------------
    def failure(self, number: int) -> Failure | None:
        """Return what is known of a failing run; None where its folder was taken away."""
        found: Failure | None = _read(self.failure_folder(number) / FAILURE_FILE, Failure)
        return found

    def shrunk(self, number: int) -> Shrunk | None:
        """Return how a failure was shrunk; None where it was not yet."""
        found: Shrunk | None = _read(self.failure_folder(number) / SHRUNK_FILE, Shrunk)
        return found

    def explanation(self, number: int) -> str:
        """Return why a failure is none of the gateway's, or where it is filed; empty if unknown."""
        with contextlib.suppress(OSError):
            return (self.failure_folder(number) / EXPLAINED_FILE).read_text("utf-8").strip()
        return ""

    def text(self, number: int) -> str:
        """Return the scenario of a failing run."""
        return (self.failure_folder(number) / SCENARIO_FILE).read_text("utf-8")

    # -- opening -----------------------------------------------------------------------------------
    def _take(self) -> int:
        lock = os.open(self.folder / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode("ascii", "replace").strip()
            os.close(lock)
            raise CampaignError(
                f"{self.folder}: expected a campaign that nobody drives just now, found one that "
                f"process {holder or '(unknown)'} drives; wait for it, or take another name"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _open(self, plan: Plan, given: Mapping[str, Any]) -> Plan:
        path = self.folder / CAMPAIGN_FILE
        if not path.exists():
            begun = datetime.now(UTC).isoformat(timespec="seconds")
            plan = msgspec.structs.replace(plan, begun=begun)
            part = path.with_suffix(".part")
            part.write_bytes(_json(plan))
            part.rename(path)
            return plan
        known = _plan(path)
        for key, value in given.items():
            found = getattr(known, key)
            if value != found:
                raise CampaignUsageError(
                    f"{self.folder}: expected {key} {_shown(found)}, as this campaign was begun, "
                    f"found {_shown(value)}; leave it out, or take another name"
                )
        return known

    def _lines(self) -> Iterator[Done]:
        path = self.folder / DONE_FILE
        data = path.read_bytes() if path.exists() else b""
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # torn by a kill: that run is driven again
            os.truncate(path, whole)
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                yield msgspec.json.decode(line, type=Done)
            except msgspec.DecodeError as error:
                raise CampaignUsageError(
                    f"{path}:{number}: expected a line of a campaign of format {FORMAT}, "
                    f"found: {error}; correct the line or take it out"
                ) from error

    def _clear(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        for part in (self.folder / "failures").glob(".*.part"):
            shutil.rmtree(part, ignore_errors=True)

    def _adopt(self) -> None:
        """Give a line to a failing run that was killed right before it got one."""
        for folder in sorted((self.folder / "failures").iterdir()):
            failure = _read(folder / FAILURE_FILE, Failure)
            if failure is not None and failure.done.number not in self.done:
                self._append(failure.done)
                self.done[failure.done.number] = failure.done


def _plan(path: Path) -> Plan:
    try:
        values = msgspec.json.decode(path.read_bytes())
        found = values.get("format"), values.get("drawing")
        if found == (FORMAT, DRAWING):
            return msgspec.convert(values, Plan)
    except (msgspec.DecodeError, msgspec.ValidationError, AttributeError) as error:
        raise CampaignUsageError(f"{path}: expected a campaign, found: {error}") from error
    raise CampaignUsageError(
        f"{path}: expected a campaign of format {FORMAT} and drawing {DRAWING}, found format "
        f"{found[0]} and drawing {found[1]}, in which a number stands for another run; take "
        "another name, or go on with the telerig that began it"
    )


def _read(path: Path, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "none"


def _unusable(folder: Path, error: OSError) -> CampaignError:
    return CampaignError(
        f"{folder}: expected to write the campaign there, found: {error.strerror or error}; free "
        "some space or correct its permissions, and run it again: nothing of it is lost"
    )
