"""Which PID to ask next, and when.

Covers: fixed rates on a grid (no drift), shares under overload, "as fast as possible" round robin
with weights, demotion of PIDs that don't answer.

When several rated PIDs are due, start-time fair queueing decides (Goyal, Vin, Cheng 1996): each
carries a tag that grows by its period per asking, and the smallest tag goes first. So an adapter
that is too slow
for the plan gives every PID the same fraction of its rate, and starves none. After an outage
nothing is made up beyond one period: a burst of old questions would only delay the new ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

DEMOTED_PERIOD_S = 30.0
"""A silent PID costs the adapter's whole wait, 200 ms by default: asked this rarely, under 1 %."""

DEMOTED_FIRST_S = 1.0
"""Until a PID that has gone silent is asked again; twice as long each time. Where noise on the line
ate its answers it is back soon, and one that the car has not costs five questions more."""

_SAME_ROUND = 1e-6  # two progresses that differ by no more are equal: they are sums of fractions
_EARLY_S = 1e-6  # a sleep may end this much before the instant


class Slot:
    """One PID's place in the schedule.

    Args:
        name: signal name.
        rate_hz: how often it is due; None: whenever nothing else is.
        weight: share among those with rate None.
    """

    __slots__ = ("demoted", "due_s", "name", "period_s", "progress", "rate_hz", "tag_s", "weight")

    def __init__(self, name: str, rate_hz: float | None, weight: float = 1.0) -> None:
        if rate_hz is not None and not 0.0 < rate_hz < math.inf:
            raise ValueError(f"expected a positive rate in Hz for {name}, got {rate_hz}")
        if not 0.0 < weight < math.inf:
            raise ValueError(f"expected a positive weight for {name}, got {weight}")
        self.name = name
        self.rate_hz = rate_hz
        self.weight = weight
        self.demoted = False
        self.due_s = 0.0
        self.period_s = 1.0 / rate_hz if rate_hz else DEMOTED_PERIOD_S
        self.tag_s = 0.0
        self.progress = 0.0

    @property
    def is_rated(self) -> bool:
        """True if it has a due time; a demoted slot always has."""
        return self.demoted or self.rate_hz is not None


class Schedule:
    """Hands out slots one by one.

    Args:
        slots: in order of preference when equally due.
        now_s: monotonic seconds; everything is due at once at the beginning.

    Attributes:
        skipped: askings that were dropped because the adapter was too slow or away.
    """

    def __init__(self, slots: Sequence[Slot], now_s: float) -> None:
        self.slots = tuple(slots)
        self.skipped = 0
        self._tag_s = 0.0  # that of the slot asked last: what comes back late starts from here
        for slot in self.slots:
            slot.due_s = now_s
        self._rated: list[Slot] = []
        self._free: list[Slot] = []
        self._sort()

    def next(self, now_s: float) -> tuple[Slot | None, float]:
        """Return (slot to ask now, 0.0), or (None, seconds until one is due).

        The slot counts as asked. The wait is infinite if the schedule is empty.
        """
        slot, earliest_s = self._take_due(now_s, ())
        if slot is not None:
            return slot, 0.0
        if self._free:
            return self._take_free(min(self._free, key=_progress)), 0.0
        return None, earliest_s - now_s

    def next_few(self, now_s: float, most: int) -> tuple[list[Slot], float]:
        """Return (up to `most` different slots to ask now in one, 0.0), or ([], seconds until due).

        The first is that of `next`. The others are those due as well, and of those without a rate
        the ones that are as far as the last in their round: weights still hold.
        """
        first, wait_s = self.next(now_s)
        if first is None:
            return [], wait_s
        few = [first]
        while len(few) < most:
            due, _ = self._take_due(now_s, few)
            if due is None:
                break
            few.append(due)
        round_ = min(map(_progress, self._free), default=0.0)
        if not first.is_rated:
            round_ = min(round_, first.progress - 1.0 / first.weight)
        for slot in self._free:
            if len(few) < most and slot.progress <= round_ + _SAME_ROUND and slot not in few:
                few.append(self._take_free(slot))
        return few, 0.0

    def _take_due(self, now_s: float, but: Sequence[Slot]) -> tuple[Slot | None, float]:
        """Return (the rated slot whose turn it is, or None; when one is due that is not yet)."""
        best: Slot | None = None
        best_tag_s = best_due_s = earliest_s = math.inf
        for slot in self._rated:
            due_s = slot.due_s
            if due_s <= now_s + _EARLY_S:
                tag_s = slot.tag_s if slot.tag_s > self._tag_s else self._tag_s
                if slot not in but and (
                    tag_s < best_tag_s or (tag_s == best_tag_s and due_s < best_due_s)
                ):
                    best, best_tag_s, best_due_s = slot, tag_s, due_s
            elif due_s < earliest_s:
                earliest_s = due_s
        if best is not None:
            self._tag_s = best_tag_s
            best.tag_s = best_tag_s + best.period_s
            self._advance(best, now_s)
        return best, earliest_s

    def _take_free(self, slot: Slot) -> Slot:
        slot.progress += 1.0 / slot.weight
        return slot

    def _advance(self, slot: Slot, now_s: float) -> None:
        slot.due_s += slot.period_s
        periods_behind = int((now_s - slot.due_s) / slot.period_s)
        if periods_behind > 0:
            slot.due_s += periods_behind * slot.period_s
            self.skipped += periods_behind

    def demote(self, slot: Slot, now_s: float) -> None:
        """Ask `slot` rarely from now on; more rarely each time, up to `DEMOTED_PERIOD_S`."""
        planned_s = 1.0 / slot.rate_hz if slot.rate_hz else 0.0
        period_s = 2 * slot.period_s if slot.demoted else DEMOTED_FIRST_S
        slot.period_s = max(min(period_s, DEMOTED_PERIOD_S), planned_s)
        slot.due_s = now_s + slot.period_s
        if not slot.demoted:
            slot.demoted = True
            self._sort()

    def restore(self, slot: Slot, now_s: float) -> None:
        """Give a demoted slot its planned rate back."""
        slot.demoted = False
        if slot.rate_hz is not None:
            slot.period_s = 1.0 / slot.rate_hz
        slot.due_s = now_s + slot.period_s
        slot.tag_s = self._tag_s  # nor wait for the long period in which it was asked last
        if self._free:
            # It must not make up for the time away.
            slot.progress = max(slot.progress, min(free.progress for free in self._free))
        self._sort()

    def _sort(self) -> None:
        self._rated = [slot for slot in self.slots if slot.is_rated]
        self._free = [slot for slot in self.slots if not slot.is_rated]


def _progress(slot: Slot) -> float:
    return slot.progress
