"""What a gateway owns now, by its own clock, and who hears of it when that changes.

    extend    the database has said that we live: what is held is ours until then
    adopt     it has said what is ours
    give      others are to have it
    watch     tells when it is over because nothing extended it

First given up here, then in the database: of two gateways at no moment both believe to own a place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec
import structlog

from server.clock import Clock
from server.instances.fence import ALONE_TOKEN
from server.instances.shard import PLACES

log = structlog.get_logger("telerig.instances")

OnChange = Callable[[frozenset[int], frozenset[int]], None]


class LeaseCounts(msgspec.Struct):
    """What was done since the start.

    Attributes:
        renewals: that succeeded.
        failed: renewals that did not.
        taken: leases.
        lost: leases that were over or taken away.
        given: leases given up for others, or at the end.
    """

    renewals: int = 0
    failed: int = 0
    taken: int = 0
    lost: int = 0
    given: int = 0


class Held:
    """Places with their tokens, until an instant.

    Args:
        clock: whose monotonic time bounds what is held.

    Attributes:
        on_change: called with places taken and places lost, in the event loop; what is lost is told
            before anybody else can have it, as far as this process gets to run.
        counts: what was done.
        failing: why the leases cannot be renewed; empty while they are.
        ahead_s: seconds by which the database's clock is ahead of this machine's; None: unknown.
    """

    def __init__(self, clock: Clock) -> None:
        self.on_change: list[OnChange] = []
        self.counts = LeaseCounts()
        self.failing = ""
        self.ahead_s: float | None = None
        self._clock = clock
        self._held: dict[int, int] = {}
        self._until_s = clock.monotonic_s()
        self._extended = asyncio.Event()

    @property
    def held(self) -> Mapping[int, int]:
        """Places that are surely ours now, with their tokens."""
        return MappingProxyType(self._held if self._is_valid() else {})

    def token(self, place: int) -> int | None:
        """Give the token of a place; None where it is not surely ours."""
        return self._held.get(place) if self._is_valid() else None

    def _is_valid(self) -> bool:
        return self._clock.monotonic_s() < self._until_s

    def extend(self, until_s: float) -> None:
        """Hold what is held until an instant of the monotonic clock."""
        self._until_s = until_s
        self._extended.set()

    def adopt(self, held: Mapping[int, int]) -> None:
        """Take what the database says is ours, and tell what has changed."""
        if not self._is_valid():  # the answer came late: the watch tells, or has told
            return
        before = self._held
        lost = frozenset(place for place in before if held.get(place) != before[place])
        taken = frozenset(place for place in held if before.get(place) != held[place])
        self.counts.lost += len(lost)
        self.counts.taken += len(taken)
        self._drop(lost)
        self._held = dict(held)
        self._tell(taken, frozenset())

    def give(self, places: Iterable[int]) -> None:
        """No longer hold places: others are to have them."""
        gone = frozenset(places)
        self.counts.given += len(gone)
        self._drop(gone)

    async def watch(self) -> None:
        """Tell when the leases are over because nothing extended them; for ever."""
        while True:
            left_s = self._until_s - self._clock.monotonic_s()
            if left_s > 0:
                await asyncio.sleep(left_s)
                continue
            self._lose_all(self.failing or "not renewed in time")
            self._extended.clear()
            await self._extended.wait()

    def _lose_all(self, reason: str) -> None:
        """Hold nothing more: it is over, or another one's."""
        self._until_s = self._clock.monotonic_s()
        if self._held:
            self.counts.lost += len(self._held)
            log.warning("leases are lost", places=len(self._held), reason=reason)
            self._drop(frozenset(self._held))

    def _drop(self, gone: frozenset[int]) -> None:
        self._held = {place: token for place, token in self._held.items() if place not in gone}
        self._tell(frozenset(), gone)

    def _tell(self, taken: frozenset[int], lost: frozenset[int]) -> None:
        if not taken and not lost:
            return
        for take in tuple(self.on_change):
            try:
                take(taken, lost)
            except Exception:
                log.exception("a listener of the leases failed")


class AloneLeases:
    """The leases of a gateway alone: everything is its own, and no database is asked."""

    def __init__(self) -> None:
        self.held: Mapping[int, int] = MappingProxyType(dict.fromkeys(PLACES, ALONE_TOKEN))
        self.on_change: list[OnChange] = []
        self.counts = LeaseCounts()
        self.failing = ""
        self.ahead_s: float | None = None

    def token(self, place: int) -> int | None:
        """Give the token of a gateway alone."""
        return self.held.get(place)

    async def start(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
