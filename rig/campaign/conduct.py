"""Drives a campaign: draws, drives, keeps what failed, and shrinks it meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from rig.campaign.crew import Crew
from rig.campaign.divergence import Comparison, compared
from rig.campaign.document import Document, drive_s, kind_of, read_plain, text_of
from rig.campaign.draw import complete, draw
from rig.campaign.errors import CampaignError
from rig.campaign.ledger import (
    DIVERGENCE_FILE,
    RECORD_FOLDER,
    SCENARIO_FILE,
    SHRUNK_FILE,
    SMALLEST_FILE,
    Done,
    Ledger,
    Shrunk,
)
from rig.campaign.shrink import Shrinking, is_settled, shrink
from rig.campaign.task import Outcome, Task
from rig.errors import RigError
from rig.versions import server_hash

LOOK_S = 0.5
SHRUNK_OF_A_KIND = 3  # the hundredth failure of one kind tells nothing that three did not
REFERENCES = 4  # passing runs that a failing one is compared with


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is to be driven: so many runs, or for so long; whichever ends first."""

    runs: int | None = None
    seconds: float | None = None


@dataclass(slots=True)
class Tally:
    """What this call did."""

    runs: int = 0
    failed: list[int] = field(default_factory=list)
    mended: list[int] = field(default_factory=list)
    sim_s: float = 0.0
    wall_s: float = 0.0
    shrunk: int = 0


Listener = Callable[["Conductor"], None]


class Conductor:
    """One call of a campaign.

    Args:
        ledger: its state.
        crew: who drives.
        budget: how much.
        alike: how many failures of one kind are shrunk.
        on_change: called after each run, and now and then; from the caller's thread.
    """

    def __init__(
        self,
        ledger: Ledger,
        crew: Crew,
        budget: Budget,
        alike: int = SHRUNK_OF_A_KIND,
        *,
        on_change: Listener = lambda conductor: None,
    ) -> None:
        self.ledger = ledger
        self.budget = budget
        self.tally = Tally()
        self.shrinking = 0
        self._crew = crew
        self._alike = alike
        self._on_change = on_change
        self._server = server_hash()
        self._bases = tuple(Path(base) for base in ledger.plan.bases)
        self._started_s = time.monotonic()
        self._queue: list[int] = []
        self._queued = threading.Condition()
        self._closing = False
        self._stop = False
        self._trouble: BaseException | None = None
        self._kinds: Counter[tuple[str, ...]] = Counter()

    @property
    def elapsed_s(self) -> float:
        """How long it has gone on."""
        return time.monotonic() - self._started_s

    @property
    def is_over(self) -> bool:
        """True once no further run is to begin."""
        spent = self.budget.seconds is not None and self.elapsed_s >= self.budget.seconds
        return spent or self._stop

    def conduct(self, again: bool = False) -> Tally:
        """Drive until the budget is used up, then until what failed is shrunk.

        Args:
            again: drive the failing runs once more instead of new ones; those that pass now are
                mended.

        Raises:
            CampaignError: the disk is full, or the machines that drive are broken.
        """
        numbers = iter(self.ledger.failed) if again else self.ledger.missing()
        shrinker = threading.Thread(target=self._shrink_all, name="shrinker", daemon=True)
        self._enqueue_open(again)
        shrinker.start()
        try:
            self._drive_all(numbers)
            with self._queued:
                self._closing = True
                self._queued.notify_all()
            while shrinker.is_alive():
                shrinker.join(LOOK_S)
                self._on_change(self)
        except BaseException:
            with self._queued:
                self._stop = self._closing = True
                self._queued.notify_all()
            raise
        if self._trouble is not None:
            raise self._trouble
        self.tally.wall_s = self.elapsed_s
        return self.tally

    # -- driving -----------------------------------------------------------------------------------
    def _drive_all(self, numbers: Iterator[int]) -> None:
        going: dict[Future[Outcome], tuple[int, Document]] = {}
        begun = 0
        while True:
            # One more than there are places: nobody waits for the next one.
            while not self.is_over and len(going) <= self._crew.width:
                if self.budget.runs is not None and begun >= self.budget.runs:
                    break
                number = next(numbers, None)
                if number is None:
                    break
                document = self._document(number)
                going[self._submit(f"run-{number}", document)] = (number, document)
                begun += 1
            if not going:
                return
            for future in wait(going, LOOK_S, FIRST_COMPLETED).done:
                self._conclude(*going.pop(future), _outcome(future))
            if self._trouble is not None:
                return
            self._on_change(self)

    def _document(self, number: int) -> Document:
        """Return the scenario of a run; of one that failed the one that is kept, with the limits of
        today, for what is drawn changes with the catalogue of faults."""
        kept = self.ledger.failure_folder(number) / SCENARIO_FILE
        if kept.exists():
            return complete(read_plain(kept))
        return draw(self.ledger.plan.seed, number, self._bases)

    def _submit(self, name: str, document: Document, keep: str = "failing") -> Future[Outcome]:
        return self._crew.submit(
            Task(
                name=name,
                text=text_of(document, [f"Drawn: {document['about']}"]),
                seed=int(document["seed"]),
                keep=keep,
                preload=self.ledger.plan.preload,
                server=self._server,
            )
        )

    def _conclude(self, number: int, document: Document, outcome: Outcome) -> None:
        before = self.ledger.done.get(number)
        faults = [f"{kind_of(fault)} on {fault['on']}" for fault in document["faults"]]
        done = self.ledger.keep(number, outcome, text_of(document), faults, self._server)
        self.tally.runs += 1
        self.tally.sim_s += outcome.sim_s
        if not outcome.passed:
            self.tally.failed.append(number)
            self._enqueue(done)
        elif before is not None:
            self.tally.mended.append(number)

    # -- shrinking ---------------------------------------------------------------------------------
    def _enqueue_open(self, again: bool) -> None:
        """Go on with what an earlier call did not come to shrink."""
        for number in [] if again else self.ledger.failed:
            if self.ledger.failure_folder(number).is_dir() and not self.ledger.shrunk(number):
                self._enqueue(self.ledger.done[number])
            else:
                self._kinds[self.ledger.done[number].broken[:1]] += 1

    def _enqueue(self, done: Done) -> None:
        with self._queued:
            self._queue.append(done.number)
            self.shrinking += 1
            self._queued.notify_all()

    def _shrink_all(self) -> None:
        """The shrinker's thread: one failure after the other, each on all places."""
        while True:
            with self._queued:
                self._queued.wait_for(lambda: self._queue or self._closing)
                if self.is_over or not self._queue:
                    return
                number = self._queue.pop(0)
            try:
                self._shrink(number)
            except CancelledError:
                return
            except BaseException as error:  # noqa: BLE001  thread boundary: conduct() raises it
                self._trouble = error
                return
            finally:
                self.shrinking -= 1

    def _shrink(self, number: int) -> None:
        done = self.ledger.done[number]
        kind = done.broken[:1]
        self._kinds[kind] += 1
        if self._kinds[kind] > self._alike:
            if not self._alike:
                return
            note = f"not shrunk: {self._alike} others break the same limit"
            self.ledger.write(number, SHRUNK_FILE, Shrunk(limit=kind[0], note=note, steps=0))
            return
        document = self._document(number)
        key, steps = done.broken[0], 0

        def drive(candidate: Document) -> Future[Outcome]:
            nonlocal steps
            steps += 1
            return self._submit(f"shrink-{number}-{steps}", candidate, "never")

        first = drive(document).result()
        if key not in first.keys:
            note = (
                "driven again it broke something else" if first.keys else "driven again it passed"
            )
            note += ": the run cannot be repeated exactly, or the gateway has changed since"
            self.ledger.write(number, SHRUNK_FILE, Shrunk(limit=key, note=note, steps=1))
            return
        found = shrink(
            document, key, drive, _settled, width=self._crew.width, stopped=lambda: self.is_over
        )
        if found.finished or not self.is_over:
            self._write_smallest(number, found, first)
            self.tally.shrunk += 1

    def _write_smallest(self, number: int, found: Shrinking, first: Outcome) -> None:
        document, key = found.document, found.key
        outcome = found.outcome if found.outcome.keys else first
        breach = next(breach for breach in outcome.breaches if breach.key == key)
        path = self.ledger.failure_folder(number) / SMALLEST_FILE
        command = f"telerig run {path}"
        comments = [
            f"The smallest scenario found that breaks {key}, from run {number} of a campaign of "
            f"seed {self.ledger.plan.seed}.",
            breach.sentence,
            f"Repeat it: {command}",
            "",
        ]
        if self.ledger.plan.preload:
            comments.insert(3, f"The gateway was changed by {self.ledger.plan.preload}.")
        named = {**document, "name": f"smallest of run {number}"}
        self.ledger.write(number, SMALLEST_FILE, text_of(named, comments))
        self.ledger.write(number, DIVERGENCE_FILE, self._divergence(number, found))
        self.ledger.write(
            number,
            SHRUNK_FILE,
            Shrunk(
                limit=key,
                note="" if found.finished else f"stopped after {found.steps} steps",
                steps=found.steps,
                faults=len(document["faults"]),
                drive_s=round(drive_s(document), 3),
                command=command,
                sentence=breach.sentence,
            ),
        )

    def _divergence(self, number: int, found: Shrinking) -> str:
        """Compare the smallest failing run with the passing one that is the same for longest."""
        folder = self.ledger.work / f"divergence-{number}"
        failing = self._record(found.document, folder / "failing", number)
        if failing is None:
            return "the record of the smallest run could not be made\n"
        best: Comparison | None = None
        for index, (what, document) in enumerate(_references(found)):
            place = folder / f"passing-{index}"
            if self._record(document, place, number, without=found.key) is None:
                continue
            comparison = compared(failing, place, what)
            if best is None or comparison.common_s > best.common_s:
                best = comparison
        if best is None:
            return (
                "there is nothing to compare with: the limit is broken without any fault, and in "
                "every smaller run\n"
            )
        return best.text()

    def _record(
        self, document: Document, folder: Path, number: int, without: str = ""
    ) -> Path | None:
        """Drive once more with a record; None if there is none, or if `without` is broken."""
        outcome = self._submit(f"compare-{number}-{folder.name}", document, "always").result()
        if without in outcome.keys or "run.json" not in outcome.record:
            return None
        if not outcome.trace_sha256:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in outcome.record.items():
            (folder / name).write_bytes(content)
        return folder


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except (RigError, CancelledError):
        raise
    except Exception as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())
        raise CampaignError(
            f"the machines that drive: expected the outcome of a run, found: {found}; see to them, "
            "and run it again: nothing is lost"
        ) from error


def _settled(document: Document) -> Document:
    if not is_settled(document):
        raise ValueError("a link may need longer than the drive lasts")
    return complete(document)


def _references(found: Shrinking) -> list[tuple[str, Document]]:
    """Return what may pass, nearest first: one fault less, none, and what shrinking tried last."""
    faults = found.document["faults"]
    less = [
        (
            f"the same without '{kind_of(fault)} on {fault['on']}'",
            _settled({**found.document, "faults": [*faults[:index], *faults[index + 1 :]]}),
        )
        for index, fault in enumerate(faults)
    ]
    tried = [("what shrinking tried last", document) for document in reversed(found.passing)]
    return [*less, *tried][: max(REFERENCES, len(less) + 1)]


def record_folder(ledger: Ledger, number: int) -> Path:
    """Return where the record of a failing run is."""
    return ledger.failure_folder(number) / RECORD_FOLDER
