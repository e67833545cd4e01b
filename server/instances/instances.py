"""A gateway among others, as one object: `gateway.instances`.

    leases    who owns which shard, and who lives
    bus       tells the others early what was committed
    feed      hands on what any of them commits, in order
    events    alerts, and how links are, for the clients of all
    changes   hears of what changes rarely

Alone there is no bus and no lease: everything is this gateway's own, and nothing of this costs
anything.
"""

from __future__ import annotations

import msgspec
import structlog

from server.clock import Clock
from server.config import GatewayConfig
from server.instances.bus.base import Bus
from server.instances.bus.local import LocalBus
from server.instances.bus.nats import NatsBus
from server.instances.bus.notify import NotifyBus
from server.instances.changes import Changes
from server.instances.config import NOTIFY, InstancesConfig
from server.instances.events import Events
from server.instances.feed import Feed
from server.instances.held import AloneLeases
from server.instances.lease import Leases
from server.instances.lease_rows import About
from server.instances.members import Member, Members
from server.instances.shard import PLACES, SHARDS, STORE
from server.live.hub import Hub
from server.store.config import GATEWAY

log = structlog.get_logger("telerig.instances")

CLOCK_WARN_S = 1.0
"""A machine's clock this far from the database's is said to be wrong."""


class BusStatus(msgspec.Struct, frozen=True):
    """How the bus is.

    Attributes:
        kind: "local", "notify" or "nats".
        place: where its server is; empty: there is none.
        failing: why it does not work; empty while it does.
        sent: messages to other gateways.
        received: messages from them.
        gaps: how often something may have been lost, and was looked for in the database.
        dropped: messages that were not sent.
    """

    kind: str
    place: str
    failing: str
    sent: int
    received: int
    gaps: int
    dropped: int


class FeedStatus(msgspec.Struct, frozen=True):
    """What was handed on of what gateways commit.

    Attributes:
        delivered: commits.
        repaired: of these, read from the database.
        waiting: commits that wait for an earlier one.
        skipped: commits that nobody can be given any more.
        failing: why the database cannot be asked; empty while it can.
    """

    delivered: int
    repaired: int
    waiting: int
    skipped: int
    failing: str


class InstancesStatus(msgspec.Struct, frozen=True):
    """A gateway among others.

    Attributes:
        name: this gateway's.
        is_alone: no others are configured.
        living: the gateways that live.
        compactors: the processes that compact for them, or would (`telerig compact`).
        shards: of devices that this gateway owns, ascending.
        is_store_owner: it compacts, and drops what is too old.
        failing: why leases cannot be renewed; empty while they are.
        clock_ahead_s: seconds by which the database's clock is ahead; null: unknown.
        bus: how the bus is.
        feed: what was handed on.
    """

    name: str
    is_alone: bool
    living: list[Member]
    compactors: list[Member]
    shards: list[int]
    is_store_owner: bool
    failing: str
    clock_ahead_s: float | None
    bus: BusStatus
    feed: FeedStatus


class Instances:
    """Starts, ends and shows what a gateway has to do with others.

    Args:
        config: of the gateway.
        boot: number of this run.
        clock: for durations and instants.
        hub: the live stream.

    Attributes:
        is_alone: no others are configured.
        name: among the others; alone: the gateway's device.
        leases: what is owned.
        members: who lives.
        bus: to the others.
        feed: what is committed, in order.
        events: of this gateway for the others, and theirs.
        changes: what changes rarely.
    """

    def __init__(self, config: GatewayConfig, boot: int, clock: Clock, hub: Hub) -> None:
        named = config.instances
        url = config.database.url or ""
        self.is_alone = named is None
        self.name = config.device if named is None else named.name
        self._named = named
        self._about = About(
            self.name, boot, config.device, "", "local" if named is None else _kind(named)
        )
        self.members = Members()
        self.bus: Bus = LocalBus() if named is None else bus_of(named, url, clock)
        self.leases: Leases | AloneLeases = (
            AloneLeases()
            if named is None
            else Leases(
                url,
                self._about,
                lease_s=named.lease_s,
                clock=clock,
                members=self.members,
                bus_failing=lambda: self.bus.failing,
                places=PLACES if config.store.compactor == GATEWAY else range(SHARDS),
            )
        )
        self.feed = Feed(
            hub,
            clock,
            url,
            device=config.device,
            bus=self.bus,
            leases=self.leases,
            members=self.members,
            name=self.name,
            live_ms=20 if named is None else named.live_ms,
        )
        self.events = Events(
            hub, self.bus, self.members, device=config.device, left_out=self.feed.left_out
        )
        self.changes = Changes(url if config.database.enabled else "", is_alone=self.is_alone)

    async def start(self, url: str) -> None:
        """Join the others, where there are any.

        Args:
            url: of the gateway, where the configuration names no other.

        Raises:
            NameTaken: another gateway of this name lives.
            ServerError: the client of the bus is not installed.
            DATABASE_ERRORS: the database is away.
        """
        await self.changes.start()
        if isinstance(self.leases, AloneLeases) or self._named is None:
            return
        self._about.url = self._named.url or url
        await self.leases.start()
        if isinstance(self.bus, NatsBus):
            self.bus.prefix = f"telerig.{self.leases.fleet}"
        self.bus.on_gap.append(self._bus_may_be_away)
        await self.bus.start()
        self.feed.start()
        self.events.start()
        log.info(
            "one of several gateways",
            name=self.name,
            living=len(self.members.living),
            bus=self.bus.kind,
        )
        ahead_s = self.leases.ahead_s or 0.0
        if abs(ahead_s) > CLOCK_WARN_S:
            log.warning(
                "the database's clock differs from this machine's: ownership does not depend on "
                "it, but times of readings do; synchronise both",
                ahead_s=round(ahead_s, 1),
            )

    async def leave(self) -> None:
        """Give up what is owned, so that others take it now."""
        await self.leases.close()

    async def close(self) -> None:
        """Tell what is to be told, and leave."""
        await self.leases.close()
        if not self.is_alone:
            self.events.close()
            await self.feed.close()
            await self.bus.close()
        await self.changes.close()

    def _bus_may_be_away(self, reason: str) -> None:
        """Have the others told soon that this gateway cannot tell them what it commits."""
        if isinstance(self.leases, Leases):
            self.leases.renew_soon()

    def status(self) -> InstancesStatus:
        """Give how all of it is."""
        held = self.leases.held
        bus, counts = self.bus, self.feed.counts
        return InstancesStatus(
            self.name,
            self.is_alone,
            list(self.members.living),
            list(self.members.compactors),
            sorted(place for place in held if 0 <= place < SHARDS),
            STORE in held,
            self.leases.failing,
            self.leases.ahead_s,
            BusStatus(
                bus.kind,
                bus.place,
                bus.failing,
                bus.counts.sent,
                bus.counts.received,
                bus.counts.gaps,
                bus.counts.dropped,
            ),
            FeedStatus(
                counts.delivered,
                counts.repaired,
                self.feed.waiting,
                counts.skipped,
                self.feed.failing,
            ),
        )


def _kind(named: InstancesConfig) -> str:
    return NotifyBus.kind if named.bus == NOTIFY else NatsBus.kind


def bus_of(named: InstancesConfig, url: str, clock: Clock) -> Bus:
    """Make the bus that is configured."""
    if named.bus == NOTIFY:
        return NotifyBus(url, clock, named.live_ms / 1000)
    return NatsBus(named.bus, name=named.name, ca_file=named.ca_file)
