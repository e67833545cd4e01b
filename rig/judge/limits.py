"""Limits, and the judge: each limit against its measured value, with margin and outcome.

A limit is declared before it is measured. One that was not measured though it could be is UNSET and
fails; one that this run cannot tell (CPU in virtual time, truth on a real link) is SKIPPED with its
reason.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rig.measures.names import AIR_MEASURES, find_measure, link_of
from rig.quantity import QuantityError, convert, show

PASS_EXIT_CODE = 0
FAIL_EXIT_CODE = 1

# Values come out of sums of floats: "equals" allows for their last digits and nothing more.
_EQUAL_RELATIVE = 1e-9
_EQUAL_ABSOLUTE = 1e-12


_DERIVED_FROM = "obd"  # what the gateway computes, it computes out of the car's answers
_OF_THE_AIR = tuple(f"mesh.{name}" for name in AIR_MEASURES)
GONE = ".gone"
_OF_THE_PROCESS = ("gateway.exit", "gateway.cpu", "gateway.rss", "log.errors", "log.exceptions")
_OF_THE_STORE = ("store.compacted", "store.cycles", "store.segments")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the rig cannot know of a run on a bench.

    Attributes:
        gateway: address of a gateway that the rig has not started; "": it has.
        has_store: the rig has read that gateway's database.
        unheard: real links whose wires are not on the record.
    """

    gateway: str = ""
    has_store: bool = True
    unheard: Collection[str] = ()

    def reason_to_skip(self, name: str) -> str:
        """Say why a limit cannot be judged; "" where it can."""
        if self.gateway and name in _OF_THE_PROCESS:
            return f"the gateway is at {self.gateway}: the rig has neither its process nor its log"
        if not self.has_store and name in _OF_THE_STORE:
            return f"the gateway is at {self.gateway}: the bench does not name its database"
        return ""


class Outcome(Enum):
    """What became of one limit."""

    PASS = "PASS"
    MARGINAL = "MARGINAL"
    FAIL = "FAIL"
    UNSET = "UNSET"
    SKIPPED = "SKIPPED"

    @property
    def is_failure(self) -> bool:
        """True for FAIL and UNSET: the run has failed."""
        return self in (Outcome.FAIL, Outcome.UNSET)


_SEVERITY = (Outcome.SKIPPED, Outcome.PASS, Outcome.MARGINAL, Outcome.UNSET, Outcome.FAIL)


class MeasuredValue(Protocol):
    """One measured value with its unit."""

    @property
    def value(self) -> float: ...
    @property
    def unit(self) -> str: ...


class MeasureSource(Protocol):
    """Where the judge looks values up."""

    def get(
        self, name: str, phase: str | None = None, except_faults: bool = False
    ) -> MeasuredValue | None:
        """Return the measure over `phase` (None: the whole run), or None if it was not measured."""
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """What one measure must keep to. All numbers are in `unit`.

    Attributes:
        name: the measure.
        unit: the measure's unit; empty for a count.
        min: smallest value that passes, or None.
        max: largest value that passes, or None.
        equals: the only value that passes, or None.
        warn: beyond it, on the good side of the bound, the outcome is MARGINAL.
        phase: the window judged; None for the whole run.
        except_faults: True leaves out the windows in which a fault was active.
        mode: "virtual" or "paced" if only that clock can tell.
        line: where it stands in the scenario file; 0 where it came from code.
        after: True for a check once the gateway has stopped.
    """

    name: str
    unit: str
    min: float | None = None
    max: float | None = None
    equals: float | None = None
    warn: float | None = None
    phase: str | None = None
    except_faults: bool = False
    mode: str | None = None
    line: int = 0
    after: bool = False

    @property
    def bound(self) -> str:
        """The bound as text: "<= 60 ms"."""
        parts = []
        for sign, bound in (("==", self.equals), (">=", self.min), ("<=", self.max)):
            if bound is not None:
                parts.append(f"{sign} {show(bound, self.unit)}")
        return " and ".join(parts)

    @property
    def window(self) -> str:
        """What is judged, as text: "cruise, except faults"; empty for the whole run."""
        parts = [] if self.phase is None else [self.phase]
        if self.except_faults:
            parts.append("except faults")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of the table of limits.

    Attributes:
        limit: what was asked.
        value: what was measured, in `limit.unit`; None where nothing was.
        margin: distance from the nearest bound in `limit.unit`, negative beyond it.
        margin_pct: the same in % of that bound; None where the bound is 0.
        outcome: what became of it.
        reason: why it was SKIPPED or UNSET; empty otherwise.
    """

    limit: Limit
    value: float | None
    margin: float | None
    margin_pct: float | None
    outcome: Outcome
    reason: str = ""

    @property
    def phase(self) -> str | None:
        """The phase judged; None for the whole run."""
        return self.limit.phase

    @property
    def unit(self) -> str:
        """The unit of value, bound and margin."""
        return self.limit.unit

    @property
    def bound(self) -> str:
        """The bound as text."""
        return self.limit.bound

    def document(self) -> dict[str, str | float | None]:
        """The row for a script that reads JSON."""
        return {
            "limit": self.limit.name,
            "phase": self.limit.window or None,
            "value": self.value,
            "unit": self.unit,
            "bound": self.bound,
            "margin": self.margin,
            "outcome": self.outcome.value,
            "reason": self.reason or None,
        }

    def sentence(self) -> str:
        """Say in one line what came out: for a failure's first line."""
        where = f" in {self.limit.phase}" if self.limit.phase else ""
        where += ", except faults," if self.limit.except_faults else ""
        if self.value is None:
            return f"{self.limit.name}{where}: {self.outcome.value}, {self.reason}"
        text = f"{self.limit.name}{where} is {show(self.value, self.unit)}, bound {self.bound}"
        if self.margin is not None and self.margin < 0:
            text += f", off by {show(-self.margin, self.unit)}"
        return text


def judge(
    limits: Iterable[Limit],
    measures: MeasureSource,
    *,
    mode: str,
    real_links: Collection[str] = (),
    desk: Desk | None = None,
) -> list[Verdict]:
    """Return one verdict per limit, in order.

    Args:
        limits: `scenario.limits + scenario.after`.
        measures: where values are looked up.
        mode: the clock of the run, "virtual" or "paced".
        real_links: links whose device was real, so that the world has no truth about them.
        desk: what else a bench hides from the rig; None: nothing.
    """
    desk = desk or Desk()
    return [_judge_one(limit, measures, mode, real_links, desk) for limit in limits]


def _judge_one(
    limit: Limit, measures: MeasureSource, mode: str, real_links: Collection[str], desk: Desk
) -> Verdict:
    reason = _reason_to_skip(limit, mode, real_links) or desk.reason_to_skip(limit.name)
    if reason:
        return Verdict(limit, None, None, None, Outcome.SKIPPED, reason)
    measured = measures.get(limit.name, limit.phase, limit.except_faults)
    if measured is None and link_of(limit.name) in desk.unheard:
        reason = f"{link_of(limit.name)} is a real device, and its wire is not on the record"
        return Verdict(limit, None, None, None, Outcome.SKIPPED, reason)
    if measured is None:
        return Verdict(limit, None, None, None, Outcome.UNSET, "not measured")
    try:
        value = convert(measured.value, measured.unit, limit.unit)
    except QuantityError:
        reason = f"measured in {measured.unit!r}, the limit is in {limit.unit!r}"
        return Verdict(limit, None, None, None, Outcome.UNSET, reason)
    return verdict_of(limit, value)


def verdict_of(limit: Limit, value: float) -> Verdict:
    """Return the verdict on a value that was measured, in the limit's unit."""
    margin, nearest = _margin(limit, value)
    margin_pct = 100.0 * margin / abs(nearest) if nearest and math.isfinite(margin) else None
    return Verdict(limit, value, margin, margin_pct, _outcome(limit, value, margin))


def _reason_to_skip(limit: Limit, mode: str, real_links: Collection[str]) -> str:
    if limit.mode is not None and limit.mode != mode:
        return f"judged in {limit.mode} mode only"
    entry = find_measure(limit.name)
    link = link_of(limit.name)
    if entry is not None and entry.needs_truth:
        link = _DERIVED_FROM if link is None else link
        if link in real_links:
            return f"{link} is a real device: the world has no truth about it"
    if link in real_links and limit.name in _OF_THE_AIR:
        return f"{link} is a real device: what is on the air is not on the record"
    if limit.name.endswith(GONE) and link not in real_links:
        return f"{link} is simulated: it cannot be pulled out"
    return ""


def _margin(limit: Limit, value: float) -> tuple[float, float]:
    """Return the distance from the nearest bound, and that bound. NaN is infinitely far off."""
    distances: list[tuple[float, float]] = []
    if limit.max is not None:
        distances.append((limit.max - value, limit.max))
    if limit.min is not None:
        distances.append((value - limit.min, limit.min))
    if limit.equals is not None:
        same = math.isclose(value, limit.equals, rel_tol=_EQUAL_RELATIVE, abs_tol=_EQUAL_ABSOLUTE)
        distances.append((0.0 if same else -abs(value - limit.equals), limit.equals))
    if not distances:
        raise ValueError(f"limit {limit.name!r}: expected min, max or equals, got none")
    # An infinite value is a division by nothing or an overflow, never a good result.
    if not math.isfinite(value):
        return -math.inf, distances[0][1]
    return min(distances)


def _outcome(limit: Limit, value: float, margin: float) -> Outcome:
    if margin < 0:
        return Outcome.FAIL
    if limit.warn is not None:
        beyond = value > limit.warn if limit.max is not None else value < limit.warn
        if beyond:
            return Outcome.MARGINAL
    return Outcome.PASS


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """Return the worst outcome: FAIL, UNSET, MARGINAL, PASS; SKIPPED if none was judged."""
    outcomes = [verdict.outcome for verdict in verdicts]
    return max(outcomes, key=_SEVERITY.index, default=Outcome.UNSET)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Return 0 if every limit passed, was marginal or skipped; 1 if one failed or was unset."""
    return FAIL_EXIT_CODE if overall(verdicts).is_failure else PASS_EXIT_CODE
