"""Feeds live stream and rules with what any gateway commits: each boot's turns in order, once.

    own commits ----------------------> +-------+      live stream (somebody listens)
      `-> bus -> other gateways' bus -> | order | ---> rules (the shard is owned)
    hot log (what did not arrive) ----> +-------+

    outgoing    own commits, to the bus                listening   to which shards, since when
    in_order    the order                              delivery    to live stream and rules
    repair      what did not arrive, by its turn       catch_up    newest turns of all boots
    reader      both of these, from the database

The bus says that something was committed, with the readings where it can carry them. It may lose
anything: what is missing is read from the hot log by its turn. Where more may be missing than
anybody can tell the newest turns of all boots are compared.

One that is alone does not come here with its commits: `committed` is called by none but one of
many.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, KeysView

import msgspec

from server.clock import Clock
from server.instances.bus.base import Bus
from server.instances.catch_up import CatchUp
from server.instances.delivery import Delivery
from server.instances.in_order import GAP_S, InOrder
from server.instances.listening import Listening, Owner
from server.instances.members import Members
from server.instances.outgoing import Outgoing
from server.instances.reader import Reader
from server.instances.repair import SOON_S, Repair
from server.instances.shard import shard_of
from server.instances.told import Told, unpacked
from server.live.hub import Hub
from server.store.appends import Append, Appended

LIVE_MS = 20.0
CLOCKS_NS = 5_000_000_000
"""Clocks of gateways differ by so much at most where clients are told what to fetch."""


class Feed:
    """Hands on turns; made without I/O.

    Args:
        hub: the live stream of this gateway.
        clock: for instants and durations.
        url: of the database; what is missing is read on a connection of its own.
        device: the gateway's own, whose readings the hub has already.
        bus: to and from other gateways.
        leases: which shards are owned here.
        members: who lives.
        name: of this gateway among them.
        live_ms: what is committed within this time goes out together.

    Attributes:
        counts: since the start.
        on_turn: called with each turn of a shard that is owned; never block.
        has_rules: tells whether turns of owned shards are of use at all; call `listen` when that
            changes.
        left_out: takes what could not be read, and why.
    """

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        url: str,
        *,
        device: str,
        bus: Bus,
        leases: Owner,
        members: Members,
        name: str = "",
        live_ms: float = LIVE_MS,
    ) -> None:
        self.has_rules: Callable[[], bool] = lambda: True
        self._hub = hub
        self._clock = clock
        self._device = device
        self._leases = leases
        self._is_running = False
        self._order: InOrder[Told] = InOrder()
        self._reader = Reader(url)
        self._outgoing = Outgoing(bus, live_ms / 1000)
        self._delivery = Delivery(hub, leases, clock, device)
        self.counts = self._delivery.counts
        self.on_turn = self._delivery.on_turn
        self.left_out = self._delivery.left_out
        self._listening = Listening(
            self._take_message,
            bus=bus,
            hub=hub,
            leases=leases,
            has_rules=lambda: self.has_rules(),
            clock=clock,
        )
        self._repair = Repair(self._order, self._reader, self._listening, self._delivery, clock)
        self._catch_up = CatchUp(
            self._order,
            self._repair,
            self._reader,
            self._listening,
            self._outgoing,
            bus=bus,
            members=members,
            clock=clock,
            counts=self.counts,
            name=name,
        )

    def start(self) -> None:
        """Begin to listen."""
        self._is_running = True
        self._hub.on_awake = self._hub_awake
        self._hub.late_ns = CLOCKS_NS
        self._leases.on_change.append(self._leases_changed)
        self._catch_up.start()
        self.listen()

    async def close(self) -> None:
        """Publish what waits, and listen no more."""
        self._is_running = False
        self._outgoing.publish()
        self._hub.on_awake = None
        with contextlib.suppress(ValueError):
            self._leases.on_change.remove(self._leases_changed)
        self._listening.close()
        await self._catch_up.close()
        await self._repair.close()
        self._reader.close()

    @property
    def failing(self) -> str:
        """Why the database could not be asked; empty while it can."""
        return self._reader.failing

    @property
    def waiting(self) -> int:
        """Turns that wait for an earlier one."""
        return self._order.waiting

    @property
    def boots(self) -> int:
        """Boots whose turns are followed."""
        return len(self._order)

    @property
    def shards(self) -> KeysView[int]:
        """Shards whose turns are followed."""
        return self._listening.shards

    # -- what this gateway commits ---------------------------------------------------------------
    def committed(self, append: Append, appended: Appended) -> None:
        """Hand on what this gateway has committed for a device, and tell the others."""
        if appended.turn:
            rows = [(piece.seq_first, piece.body) for piece in appended.pieces]
            now_ns = self._clock.now_ns()
            self._own(Told(append.device, append.boot, appended.turn, now_ns, append.vin, rows))

    def link_committed(self, boot: int, turn: int, vin: str, seq_first: int, body: bytes) -> None:
        """Hand on what this gateway has committed of its own links; its clients have it already."""
        if turn:
            now_ns = self._clock.now_ns()
            self._own(Told(self._device, boot, turn, now_ns, vin, [(seq_first, body)]))

    def unsure(self, device: str) -> None:
        """Look soon for what may have been committed here though nobody saw it, and tell it."""
        self._catch_up.unsure(device)

    def _own(self, turn: Told) -> None:
        shard = shard_of(turn.device)
        self._outgoing.send(shard, turn)
        if shard in self._listening.shards:
            self.counts.own += 1
            self._take(turn)

    # -- who listens -----------------------------------------------------------------------------
    def listen(self) -> None:
        """Listen to what is wanted, and to nothing else."""
        self._leases_changed(frozenset(), frozenset())

    def _hub_awake(self, is_awake: bool) -> None:
        if is_awake:
            self._listening.woken()
        self.listen()

    def _leases_changed(self, taken: frozenset[int], lost: frozenset[int]) -> None:
        if not self._is_running:
            return
        begun, ended = self._listening.update(taken)
        if ended:
            self._order.forget(lambda key: shard_of(key[0]) in ended)
        if begun or taken & self.shards:
            self._catch_up.settle("shards taken" if taken else "listening")

    # -- what arrives ----------------------------------------------------------------------------
    def _take_message(self, data: bytes) -> None:
        try:
            turns = unpacked(data)
        except msgspec.MsgspecError as error:
            self.left_out("a message of the bus", error)
            return
        self._catch_up.heard()
        for turn in turns:
            if turn.turn > 0:
                self._take(turn)

    def _take(self, turn: Told) -> None:
        now_s = self._clock.monotonic_s()
        if turn.rows is None:
            self._order.head(turn.key, turn.turn, now_s)
            self._repair.look(SOON_S)
            return
        for ripe in self._order.take(turn.key, turn.turn, turn, now_s):
            self._delivery.deliver(ripe)
        self._repair.look(GAP_S)
