"""One run as a message: what a machine of a crew is asked to drive, and what became of it."""

from __future__ import annotations

import msgspec

from rig.runner.request import Run


class Task(msgspec.Struct, kw_only=True, frozen=True):
    """A run that is wanted, with all that it takes: it may be driven on another machine.

    Attributes:
        name: of its folder.
        text: the scenario file.
        seed: of every random stream.
        keep: "failing": the record of a run that failed comes back; "always"; "never".
        preload: see `rig.worker.job.Job`.
        server: hash of the gateway's sources that is expected there.
    """

    name: str
    text: str
    seed: int
    keep: str = "failing"
    preload: str = ""
    server: str = ""


class Breach(msgspec.Struct, kw_only=True, frozen=True):
    """A limit that was not kept."""

    limit: str
    window: str = ""
    sentence: str = ""
    place: str = ""

    @property
    def key(self) -> str:
        """What makes two failures the same: the limit and its window."""
        return f"{self.limit} [{self.window}]" if self.window else self.limit


NOT_ENDED = "did not run to its end"


class Outcome(msgspec.Struct, kw_only=True, frozen=True):
    """What became of a run.

    Attributes:
        breaches: the limits that it did not keep; one called `NOT_ENDED` if it had no end.
        record: the files of its record, by name, where it was to be kept.
    """

    breaches: tuple[Breach, ...] = ()
    sim_s: float = 0.0
    wall_s: float = 0.0
    trace_sha256: str = ""
    record: dict[str, bytes] = {}

    @property
    def passed(self) -> bool:
        """True if nothing broke."""
        return not self.breaches

    @property
    def keys(self) -> tuple[str, ...]:
        """What broke."""
        return tuple(breach.key for breach in self.breaches)


def breaches_of(run: Run) -> tuple[Breach, ...]:
    """Return what broke in a run that has ended."""
    if run.failure:
        return (Breach(limit=NOT_ENDED, sentence=run.failure),)
    return tuple(
        Breach(
            limit=verdict.limit.name,
            window=verdict.limit.window,
            sentence=verdict.sentence(),
            place=place,
        )
        for verdict, place in zip(run.verdicts, run.places, strict=True)
        if verdict.outcome.is_failure
    )
