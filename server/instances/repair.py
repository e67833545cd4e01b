"""Repair: turns that did not arrive are read from the hot log, all that are due in one query.

What the hot log has no more was compacted meanwhile: clients are told a gap. A turn without a row
between rows that are there is none: it changed the state of an uplink alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import structlog

from server.clock import Clock
from server.instances.delivery import Delivery
from server.instances.in_order import Hole, InOrder, Key, Missing
from server.instances.listening import Listening
from server.instances.reader import Answer, Reader, oldest_turns, read_turns
from server.instances.told import Told
from server.store.connection import STORE_ERRORS

log = structlog.get_logger("telerig.instances")

ASKED_BOOTS = 50
"""Boots that one query asks for."""
RETRY_S = 0.25
"""From a query that failed to the next."""
SOON_S = 0.002
"""What comes without readings is asked for so soon, with what else comes meanwhile."""

Answers = tuple[Mapping[Key, Answer], Mapping[Key, int | None]]
"""What there is of each boot, and the oldest turn that the hot log has."""


class Repair:
    """Asks for what is missing when it is due.

    Args:
        order: knows what is missing.
        reader: reads it.
        listening: since when it is wanted.
        delivery: takes it.
        clock: that of `order`.
    """

    def __init__(
        self,
        order: InOrder[Told],
        reader: Reader,
        listening: Listening,
        delivery: Delivery,
        clock: Clock,
    ) -> None:
        self._order = order
        self._reader = reader
        self._listening = listening
        self._delivery = delivery
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def look(self, wait_s: float = SOON_S) -> None:
        """Ask after so long for what is missing then, if anything is now."""
        if self._task is not None or not self._order.gaps:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + wait_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(wait_s, self._begin)

    async def close(self) -> None:
        """Ask for nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> None:
        self._timer = None
        self._task = asyncio.create_task(self._run(), name="feed repair")

    async def _run(self) -> None:
        """Read what is missing, until nothing is that is due."""
        try:
            while asked := self._order.missing(self._clock.monotonic_s(), ASKED_BOOTS):
                await self._repair(asked)
        except Exception:
            log.exception("feed failed")  # a task boundary; what is missing is asked for again
        finally:
            self._task = None
        due_s = self._order.due_s()
        if due_s is not None:
            self.look(max(SOON_S, due_s - self._clock.monotonic_s()))

    async def _repair(self, asked: Sequence[Missing]) -> None:
        answers: Answers | None = None
        try:
            with contextlib.suppress(*STORE_ERRORS):
                answers = await self._read(asked)
        finally:
            if answers is None:
                again_s = self._clock.monotonic_s() + RETRY_S
                for missing in asked:
                    self._order.failed(missing, again_s)
        if answers is None:
            return
        found, oldest = answers
        for missing in asked:
            turns, upto = found[missing.key].turns, found[missing.key].upto
            if missing.is_first:
                for turn in turns.values():
                    turn.is_old = self._listening.is_old(turn)
            steps = self._order.found(missing, turns, upto, self._clock.monotonic_s())
            self._hand_on(steps, turns, oldest.get(missing.key))

    async def _read(self, asked: Sequence[Missing]) -> Answers:
        async with self._reader.connection() as connection:
            wanted = [(missing, self._listening.since_ns(missing)) for missing in asked]
            found = await read_turns(connection, wanted)
            empty = [
                one.key
                for one in asked
                if not one.is_first and len(found[one.key].turns) < found[one.key].upto - one.after
            ]
            return found, await oldest_turns(connection, empty) if empty else {}

    def _hand_on(
        self, steps: Sequence[Told | Hole], read: Mapping[int, Told], oldest: int | None
    ) -> None:
        before: Told | None = None
        hole: Hole | None = None
        for step in steps:
            if isinstance(step, Hole):
                if oldest is None or step.first < oldest:
                    last = step.last if oldest is None else min(step.last, oldest - 1)
                    hole = Hole(step.device, step.boot, step.first, last)
                continue
            if hole is not None:
                self._delivery.lost(hole, before, step)
                hole = None
            self._delivery.counts.repaired += step.turn in read
            self._delivery.deliver(step)
            before = step
        if hole is not None:
            self._delivery.lost(hole, before, None)
