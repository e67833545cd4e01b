"""Makes a failing scenario smaller as long as it still breaks the same limit.

Each step is a real run. Candidates come in an order from the largest cut to the smallest (whole
faults, links, settings, phases, then times, then strengths); the first one that still fails is gone
on with, until none does. A batch of candidates is driven at a time, and the first in order counts,
so the result is the same on one core and on many.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from rig.campaign.document import (
    Document,
    drive_s,
    kind_of,
    last_end_s,
    phase_s,
    span_s,
    text_of,
    with_phase_s,
    with_span_s,
)
from rig.campaign.invariants import REST, settle_s
from rig.campaign.task import Outcome
from rig.errors import RigError
from rig.faults.catalogue import FAULT_KINDS
from rig.faults.draw import SHORTEST_S, written
from rig.quantity import QuantityError

MOST_STEPS = 120
LEAST_PHASE_S = 2.0
LEAST_FAULT_S = 0.5
BEFORE_FAULT_S = 3.0  # the links are up, and there is something to compare with
REQUIRED_GATEWAY = {"can": "can", "mesh": "mesh"}  # link -> the section that it needs

Complete = Callable[[Document], Document]
Drive = Callable[[Document], "Future[Outcome]"]
Stopped = Callable[[], bool]


@dataclass(slots=True)
class Shrinking:
    """How far a failure was shrunk.

    Attributes:
        document: the smallest that still fails so far.
        key: the limit that it breaks.
        outcome: what became of the smallest.
        passing: candidates that did not break it, newest last: to compare with.
        steps: runs that it took.
        finished: False where it was stopped, or had taken too many runs.
    """

    document: Document
    key: str
    outcome: Outcome = field(default_factory=Outcome)
    passing: list[Document] = field(default_factory=list)
    steps: int = 0
    finished: bool = False


def shrink(
    document: Document,
    key: str,
    drive: Drive,
    complete: Complete,
    *,
    width: int = 1,
    stopped: Stopped = lambda: False,
    most_steps: int = MOST_STEPS,
) -> Shrinking:
    """Shrink a failing scenario.

    Args:
        document: it.
        key: `Breach.key` that is to stay broken.
        drive: runs a candidate.
        complete: gives a candidate its limits.
        width: candidates at a time.
        stopped: True once it is to end early.
        most_steps: it ends after so many runs.
    """
    found = Shrinking(document, key)
    seen = {text_of(document)}
    again = True
    while again:
        again = False
        fresh = (c for c in _completed(candidates(found.document, key), complete) if _new(c, seen))
        while batch := list(itertools.islice(fresh, width)):
            if stopped() or found.steps >= most_steps:
                return found
            for candidate, future in [(candidate, drive(candidate)) for candidate in batch]:
                outcome = future.result()
                found.steps += 1
                if again:
                    continue
                if key in outcome.keys:
                    found.document, found.outcome, again = candidate, outcome, True
                else:
                    found.passing.append(candidate)
            if again:
                break
    found.finished = True
    return found


def _completed(documents: Iterator[Document], complete: Complete) -> Iterator[Document]:
    for document in documents:
        try:
            yield complete(document)
        except (RigError, ValueError):  # no scenario: too much was cut
            continue


def _new(document: Document, seen: set[str]) -> bool:
    text = text_of(document)
    if text in seen:
        return False
    seen.add(text)
    return True


# -- candidates ------------------------------------------------------------------------------------
def candidates(document: Document, key: str) -> Iterator[Document]:
    """Yield smaller scenarios, those that cut most first."""
    yield from _fewer_faults(document)
    yield from _fewer_links(document, key)
    yield from _plainer(document, "gateway")
    yield from _plainer(document, "world")
    yield from _simpler_drive(document, key)
    yield from _shorter_drive(document)
    yield from _weaker_faults(document)


def _fewer_faults(document: Document) -> Iterator[Document]:
    faults = document.get("faults", [])
    sizes = range(len(faults)) if len(faults) <= 3 else (0, 1, len(faults) - 1)
    for size in sizes:
        for chosen in itertools.combinations(faults, size):
            yield {**document, "faults": list(chosen)}


def _fewer_links(document: Document, key: str) -> Iterator[Document]:
    needed = {fault["on"] for fault in document.get("faults", [])} | {key.split(".", 1)[0]}
    for link in document["needs"]:
        if link not in needed and len(document["needs"]) > 1:
            rest = [other for other in document["needs"] if other != link]
            world = _without(document.get("world", {}), link)
            gateway = _without(document.get("gateway", {}), link)
            yield {**document, "needs": rest, "world": world, "gateway": gateway}


def _plainer(document: Document, section: str) -> Iterator[Document]:
    """Leave out settings: all, then each, then each part of each."""
    values = document.get(section, {})
    kept = [word for word in values if REQUIRED_GATEWAY.get(word) in document["needs"]]
    bare = {word: values[word] for word in kept}
    if len(values) > len(bare) + 1:
        yield {**document, section: bare}
    for word, value in values.items():
        if word not in kept:
            yield {**document, section: _without(values, word)}
        if isinstance(value, dict):
            for part in value:
                yield {**document, section: {**values, word: _without(value, part)}}


def _simpler_drive(document: Document, key: str) -> Iterator[Document]:
    phases = document["phases"]
    rest = [phase for phase in phases if phase.get("as") == REST and f"[{REST}" in key]
    length_s = drive_s(document) - sum(map(phase_s, rest))
    speed = {"cruise": {"speed": "50 km/h", "for": f"{length_s:.10g} s"}, "as": "drive"}
    for only in ({"idle": f"{length_s:.10g} s", "as": "drive"}, speed):
        if len(phases) > 1 + len(rest):
            yield {**document, "phases": [only, *rest]}


def _shorter_drive(document: Document) -> Iterator[Document]:
    """Take time away: before the first fault, between two, and after what must settle."""
    faults = document.get("faults", [])
    spans_s = sorted(map(span_s, faults))
    length_s = drive_s(document)
    rest_s = sum(phase_s(p) for p in document["phases"] if p.get("as") == REST)
    tail_s = (settle_s(document["needs"]) if faults else 0.0) + rest_s
    edges = [(0.0, 0.0), *spans_s, (length_s - rest_s, length_s)]
    reach_s = 0.0
    for start_s, end_s in edges[1:]:
        last = start_s == length_s - rest_s
        least_s = (tail_s - rest_s if faults else LEAST_PHASE_S) if last else BEFORE_FAULT_S
        spare_s = start_s - reach_s - least_s
        for share in (1.0, 0.5):
            cut_s = round(spare_s * share, 1)
            if cut_s >= 1.0:
                yield from _cut(document, start_s - cut_s - (least_s if last else 0.0), cut_s)
        reach_s = max(reach_s, end_s)
    if rest_s > 2 * LEAST_PHASE_S:
        *others, final = document["phases"]
        yield {**document, "phases": [*others, with_phase_s(final, rest_s / 2)]}


def _cut(document: Document, from_s: float, length_s: float) -> Iterator[Document]:
    """Take `length_s` of the drive out; faults behind it come earlier."""
    from_s = max(from_s, 0.0)
    phases, at_s = [], 0.0
    for phase in document["phases"]:
        whole_s = phase_s(phase)
        overlap_s = min(at_s + whole_s, from_s + length_s) - max(at_s, from_s)
        left_s = whole_s - max(0.0, overlap_s)
        at_s += whole_s
        if left_s > 0.05:
            phases.append(with_phase_s(phase, left_s))
    faults = [
        with_span_s(fault, start_s - length_s, end_s - length_s) if start_s >= from_s else fault
        for fault, (start_s, end_s) in ((f, span_s(f)) for f in document.get("faults", []))
    ]
    yield {**document, "phases": phases, "faults": faults}


def _weaker_faults(document: Document) -> Iterator[Document]:
    faults = document.get("faults", [])
    for index, fault in enumerate(faults):
        for changed in _weaker(fault):
            yield {**document, "faults": [*faults[:index], changed, *faults[index + 1 :]]}


def _weaker(fault: Document) -> Iterator[Document]:
    start_s, end_s = span_s(fault)
    if end_s - start_s > 2 * LEAST_FAULT_S:
        half_s = round((end_s - start_s) / 2, 1)
        yield with_span_s(fault, start_s, start_s + half_s)
        yield with_span_s(fault, end_s - half_s, end_s)
    kind = FAULT_KINDS[kind_of(fault)]
    given = fault[kind.word]
    if not isinstance(given, dict):
        return
    for parameter in kind.parameters:
        if parameter.word not in given:
            continue
        if parameter.default is not None:
            yield {**fault, kind.word: _without(given, parameter.word) or "true"}
        if parameter.dimension is not None and parameter.drawn is not None:
            try:
                half = parameter.dimension.parse(given[parameter.word]) / 2
            except QuantityError:
                continue
            if half >= parameter.drawn[0] and half > SHORTEST_S:
                text = written(parameter, float(f"{half:.2g}"))
                yield {**fault, kind.word: {**given, parameter.word: text}}


def _without(values: dict[str, Any], word: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != word}


def is_settled(document: Document) -> bool:
    """Whether after the last fault there is time for all that the limits allow."""
    faults: Sequence[Document] = document.get("faults", [])
    if not faults:
        return True
    rest_s = sum(phase_s(p) for p in document["phases"] if p.get("as") == REST)
    return drive_s(document) - rest_s - last_end_s(faults) >= settle_s(document["needs"]) - 0.2
