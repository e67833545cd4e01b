"""A run that is wanted, and what became of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.judge.limits import Outcome, Verdict
from rig.scenario.model import Scenario

if TYPE_CHECKING:
    from rig.measures.measures import Measured

WALL_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One run that is wanted. Two requests are never equal: each is a run of its own.

    Attributes:
        scenario: what to run.
        seed: of every random stream.
        mode: "virtual" or "paced".
        preload: see `rig.worker.job.Job`.
        wall_limit_s: see `rig.worker.job.Job`.
        folder: the working folder, from which `command` works.
        pace: simulated seconds per wall second of a paced run.
        bench: file that says which links are real; None: none is. Such a run is paced.
        anew: True has its worker's interpreter started anew, not forked from one that has imported
            everything.
    """

    scenario: Scenario
    seed: int
    mode: str
    preload: str = ""
    wall_limit_s: float = WALL_LIMIT_S
    folder: Path = field(default_factory=Path.cwd)
    pace: float = 1.0
    bench: Path | None = None
    anew: bool = False

    @property
    def title(self) -> str:
        """Scenario, variant and seed, for people."""
        return f"{self.scenario.id}, seed {self.seed}"

    @property
    def path(self) -> str:
        """The scenario file as seen from the working folder."""
        return os.path.relpath(self.scenario.path, self.folder)

    @property
    def command(self) -> str:
        """The one command that repeats the run."""
        variant = ["--variant", self.scenario.variant] if self.scenario.variant else []
        mode = [] if self.mode == self.scenario.mode else ["--mode", self.mode]
        if self.pace != 1.0:
            mode = ["--pace", f"{self.pace:g}"]  # such a run is paced
        if self.bench is not None:
            bench = os.path.relpath(self.bench, self.folder)
            mode = [*(mode if self.pace != 1.0 else ()), "--bench", bench]  # and so is this one
        return shlex.join(["telerig", "run", self.path, "--seed", str(self.seed), *variant, *mode])


@dataclass(slots=True)
class Run:
    """One run that has ended, with its verdict.

    Attributes:
        folder: of its record.
        measures: every figure over the whole run, by name.
        places: for each verdict where it was broken worst; see `rig.judge.whereabouts`.
        failure: why it did not come to its end, in one line; empty if it did.
        usage: True where that is the fault of the scenario file or the command line.
    """

    request: Request
    folder: Path
    sim_s: float = 0.0
    wall_s: float = 0.0
    trace_sha256: str = ""
    measures: Mapping[str, Measured] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    failure: str = ""
    usage: bool = False

    @property
    def passed(self) -> bool:
        """True if it came to its end and every limit that could be judged was kept."""
        return not self.failure and not self.broken

    @property
    def broken(self) -> list[Verdict]:
        """The limits that were not kept, or not measured."""
        return [verdict for verdict in self.verdicts if verdict.outcome.is_failure]

    @property
    def judged(self) -> bool:
        """True if at least one limit was judged."""
        return any(verdict.outcome is not Outcome.SKIPPED for verdict in self.verdicts)

    @property
    def ratio(self) -> float:
        """Simulated seconds per wall second."""
        return self.sim_s / self.wall_s if self.wall_s else 0.0

    @property
    def tightest(self) -> Verdict | None:
        """The limit with the smallest margin, in % of its bound."""
        known = [verdict for verdict in self.verdicts if verdict.margin_pct is not None]
        return min(known, key=lambda verdict: verdict.margin_pct or 0.0, default=None)

    def failure_lines(self) -> list[str]:
        """What broke, where and by how much: one line for each."""
        lines = [self.failure] if self.failure else []
        for verdict, place in zip(self.verdicts, self.places, strict=True):
            if verdict.outcome.is_failure:
                where = f"; {place}" if place else ""
                line = f":{verdict.limit.line}" if verdict.limit.line else ""
                lines.append(f"{verdict.sentence()}{where} ({self.request.path}{line})")
        return lines

    def document(self) -> dict[str, Any]:
        """Return the run as plain values, for scripts and for the way between processes."""
        request = self.request
        return {
            "scenario": request.scenario.id,
            "file": request.path,
            "seed": request.seed,
            "mode": request.mode,
            "passed": self.passed,
            "failure": self.failure or None,
            "failures": self.failure_lines(),
            "tightest": _margin_text(self.tightest),
            "sim_s": self.sim_s,
            "wall_s": round(self.wall_s, 3),
            "trace_sha256": self.trace_sha256,
            "record": str(self.folder),
            "command": request.command,
            "limits": [verdict.document() for verdict in self.verdicts],
        }


def seeds_of(scenario: Scenario, count: int, first: int | None = None) -> Sequence[int]:
    """`count` seeds, beginning with the scenario's own or `first`."""
    start = scenario.seed if first is None else first
    return range(start, start + count)


def _margin_text(verdict: Verdict | None) -> str:
    return "" if verdict is None else f"{verdict.limit.name} {verdict.margin_pct:+.0f} %"
