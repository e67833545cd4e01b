"""To which shards a gateway listens, and since when turns of them are wanted.

To the shards that it owns, where there are rules at all, and to all of them while anybody listens
to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, KeysView, Mapping
from typing import Protocol

from server.clock import Clock
from server.instances.bus.base import Bus
from server.instances.in_order import Missing
from server.instances.members import Member
from server.instances.shard import SHARDS, shard_of
from server.instances.told import Told
from server.live.hub import Hub

LATE_NS = 60_000_000_000
"""A message may be so late, and a commit from its instant to its end."""
SLOW_NS = 600_000_000_000
"""A clock that is slower than this one by more is not allowed for where clients begin to listen:
they would get so much that is old."""


class Owner(Protocol):
    """Who knows which shards are owned (`server.instances.lease`)."""

    on_change: list[Callable[[frozenset[int], frozenset[int]], None]]
    ahead_s: float | None

    @property
    def held(self) -> Mapping[int, int]:
        """The places and their tokens."""


class Listening:
    """Subscriptions, one for each shard.

    Args:
        take: called with each message of a shard.
        bus: from other gateways.
        hub: the live stream, to which somebody listens or not.
        leases: which shards are owned here.
        has_rules: tells whether turns of owned shards are of use at all.
        clock: for instants.

    Attributes:
        slow_ns: the slowest clock of all gateways that were seen is so far behind this one.
    """

    def __init__(
        self,
        take: Callable[[bytes], None],
        *,
        bus: Bus,
        hub: Hub,
        leases: Owner,
        has_rules: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.slow_ns = 0
        self._take = take
        self._bus = bus
        self._hub = hub
        self._leases = leases
        self._has_rules = has_rules
        self._clock = clock
        self._ends: dict[int, Callable[[], None]] = {}
        self._since_ns: dict[int, int] = {}
        self._woken_ns = 0

    @property
    def shards(self) -> KeysView[int]:
        """To which it listens now."""
        return self._ends.keys()

    def update(self, taken: frozenset[int] = frozenset()) -> tuple[set[int], set[int]]:
        """Subscribe to what is wanted, and to nothing else; give which shards began and ended.

        Args:
            taken: shards that another gateway owned before: what that one has not told is wanted.
        """
        wanted: set[int] = set()
        if self._hub.wants_devices:
            wanted = set(range(SHARDS))
        elif self._has_rules():
            wanted = {place for place in self._leases.held if 0 <= place < SHARDS}
        now_ns = self._clock.now_ns()
        begun, ended = wanted - self._ends.keys(), self._ends.keys() - wanted
        for shard in begun:
            self._since_ns[shard] = now_ns
            self._ends[shard] = self._bus.subscribe(f"live.{shard}", self._take)
        for shard in ended:
            self._ends.pop(shard)()
            del self._since_ns[shard]
        for shard in taken & wanted:
            self._since_ns[shard] = min(self._since_ns[shard], now_ns - LATE_NS)
        return begun, ended

    def close(self) -> None:
        """Listen to nothing."""
        for end in self._ends.values():
            end()
        self._ends.clear()
        self._since_ns.clear()

    def woken(self) -> None:
        """Take note that from now on somebody listens to the hub."""
        self._woken_ns = self._clock.now_ns()

    def since_ns(self, missing: Missing) -> int:
        """Give from when on turns are wanted: all of a boot that is followed already."""
        if not missing.is_first:
            return 0
        since_ns = self._since_ns.get(shard_of(missing.device), self._clock.now_ns())
        return since_ns - self._allowed_ns

    def is_old(self, turn: Told) -> bool:
        """Tell whether it was committed before anybody listened to the hub."""
        return turn.stored_ns < self._woken_ns - self._allowed_ns

    def compare_clocks(self, members: Iterable[Member]) -> None:
        """Take note of clocks that are behind this gateway's: what their gateways commit looks
        older than it is."""
        own_s = self._leases.ahead_s
        if own_s is not None:
            behind_s = [one.ahead_s - own_s for one in members if one.ahead_s is not None]
            self.slow_ns = max(self.slow_ns, round(max(behind_s, default=0.0) * 1e9))

    @property
    def _allowed_ns(self) -> int:
        return min(self.slow_ns, SLOW_NS)
