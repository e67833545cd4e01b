"""Catching up: the newest turns of all boots, as the database has them, against those handed on.

Needed where more may be missing than the next message would show: the bus was away, or another
gateway's is; a gateway died between commit and message; a shard was taken; somebody begins to
listen; a commit ended without an answer.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from server.clock import Clock
from server.instances.bus.base import Bus
from server.instances.delivery import FeedCounts
from server.instances.in_order import InOrder
from server.instances.listening import LATE_NS, Listening
from server.instances.members import Member, Members
from server.instances.outgoing import Outgoing
from server.instances.reader import Reader
from server.instances.repair import RETRY_S, Repair
from server.instances.shard import SHARDS, shard_of
from server.instances.told import Told
from server.store.connection import STORE_ERRORS
from server.store.turns import heads

log = structlog.get_logger("telerig.instances")

SETTLE_S = 0.3
"""So long after a subscription it is surely in force, and the heads are compared."""
LOOK_S = 0.5
"""So often the database is looked at while another gateway cannot tell what it commits, and while
this one does not know what it has."""
UNSURE_S = 15.0
"""A commit whose end nobody saw has ended by then, well or not."""
UNSURE_MOST = 1000
"""Devices with such a commit at a time; while the database is away all of them have one."""


class CatchUp:
    """Compares heads when something may be missing, one comparison at a time.

    Args:
        order: what was handed on.
        repair: is told when something is missing.
        reader: reads the heads.
        listening: to which shards.
        outgoing: tells the others of heads that nobody has told.
        bus: says when it may have lost something.
        members: who lives: what the dead have committed without a word is looked for.
        clock: for instants and durations.
        counts: of comparisons.
        name: of this gateway among the members.
    """

    def __init__(
        self,
        order: InOrder[Told],
        repair: Repair,
        reader: Reader,
        listening: Listening,
        outgoing: Outgoing,
        *,
        bus: Bus,
        members: Members,
        clock: Clock,
        counts: FeedCounts,
        name: str,
    ) -> None:
        self._order = order
        self._repair = repair
        self._reader = reader
        self._listening = listening
        self._outgoing = outgoing
        self._bus = bus
        self._members = members
        self._clock = clock
        self._counts = counts
        self._name = name
        self._is_running = False
        self._heard_ns = clock.now_ns()
        self._wanted: dict[str, int] = {}  # reasons; since when boots are to be compared
        self._unsure: dict[str, float] = {}  # devices; until when
        self._task: asyncio.Task[None] | None = None
        self._look_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to hear of reasons."""
        self._is_running = True
        self._bus.on_gap.append(self.behind)
        self._members.on_change.append(self._members_changed)
        self._look_timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    async def close(self) -> None:
        """Compare nothing more."""
        self._is_running = False
        with contextlib.suppress(ValueError):
            self._bus.on_gap.remove(self.behind)
        with contextlib.suppress(ValueError):
            self._members.on_change.remove(self._members_changed)
        if self._look_timer is not None:
            self._look_timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # -- reasons ---------------------------------------------------------------------------------
    def heard(self) -> None:
        """Take note that the bus works: what was committed long before was told."""
        self._heard_ns = self._clock.now_ns()

    def behind(self, reason: str) -> None:
        """Compare now: something may have been committed without a word."""
        self._want(reason, self._heard_ns - LATE_NS)

    def settle(self, reason: str) -> None:
        """Compare when subscriptions of this moment are in force."""
        since_ns = self._clock.now_ns() - LATE_NS
        asyncio.get_running_loop().call_later(SETTLE_S, self._want, reason, since_ns)

    def unsure(self, device: str) -> None:
        """Look for a while for what may have been committed here though nobody saw it, and tell
        it."""
        if len(self._unsure) < UNSURE_MOST or device in self._unsure:
            self._unsure[device] = self._clock.monotonic_s() + UNSURE_S

    def _members_changed(self, joined: tuple[Member, ...], gone: tuple[Member, ...]) -> None:
        self._listening.compare_clocks((*joined, *gone))
        for member in gone:
            self.behind(f"{member.name} is gone")

    def _look(self) -> None:
        """Look again and again for what other gateways cannot tell, and this one has not seen."""
        self._look_timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        living = self._members.living
        self._listening.compare_clocks(living)
        for member in living:
            if member.failing and member.name != self._name:
                self.behind(f"the bus of {member.name} is away")
        if self._unsure:
            now_s = self._clock.monotonic_s()
            self._unsure = {one: end_s for one, end_s in self._unsure.items() if now_s < end_s}
            self.behind("a commit that nobody saw")

    # -- comparing -------------------------------------------------------------------------------
    def _want(self, reason: str, since_ns: int) -> None:
        if self._is_running:
            self._wanted[reason] = min(since_ns, self._wanted.get(reason, since_ns))
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="feed catch up")

    async def _run(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, {}
                if not await self.compare(", ".join(wanted), min(wanted.values())):
                    self._wanted = wanted | self._wanted
                    await asyncio.sleep(RETRY_S)
        except Exception:
            log.exception("feed failed")  # a task boundary
        finally:
            self._task = None

    async def compare(self, reason: str, since_ns: int) -> bool:
        """Compare the newest turns of all boots with those handed on; what is missing is read.

        Args:
            reason: for the log.
            since_ns: boots that were silent since then are left out.

        Returns:
            Whether the database could be asked.
        """
        wanted = self._listening.shards | set(map(shard_of, self._unsure))
        if not wanted:
            return True
        shards = None if len(wanted) == SHARDS else sorted(wanted)
        began_ns = self._clock.now_ns()
        try:
            async with self._reader.connection() as connection:
                handed_on = self._order.next_turns()
                found = await heads(connection, shards, since_ns - self._listening.slow_ns)
        except STORE_ERRORS:
            return False
        self._counts.catch_ups += 1
        self._heard_ns = max(self._heard_ns, began_ns)
        log.debug("feed catches up", reason=reason, boots=len(found))
        now_s = self._clock.monotonic_s()
        gone_back = 0
        for head in found:
            shard = shard_of(head.device)
            key = head.device, head.boot
            if head.turn < handed_on.get(key, 0) - 1:
                # What was handed on is not there: another server, which had not heard of it.
                gone_back += 1
                self._order.rewind(key, head.turn)
            if head.device in self._unsure:
                self._outgoing.send(shard, Told(head.device, head.boot, head.turn))
            if shard in self._listening.shards:
                self._order.head(key, head.turn, now_s)
        if gone_back:
            log.error(
                "the database has lost commits: a fail-over to a late replica", boots=gone_back
            )
        self._repair.look()
        return True
