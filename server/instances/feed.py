"""Feeds live stream and rules with what any gateway commits: each boot's turns in order, once.

    own commits ----------------------> +-------+      live stream (somebody listens)
      `-> bus -> other gateways' bus -> | order | ---> rules (the shard is owned)
    hot log (what did not arrive) ----> +-------+

The bus says that something was committed, with the readings where it can carry them. It may lose
anything: what is missing is read from the hot log by its turn. Where more may be missing than
anybody can tell (the bus was away, a gateway died between commit and message, a shard was taken,
somebody begins to listen) the newest turns of all boots are compared: `catch_up`.

What nobody can be given any more, because the hot log was compacted meanwhile, clients are told as
a gap, with where to fetch it.

A gateway listens to the shards that it owns, where there are rules at all, and to all of them while
anybody listens to it. One that is alone does not come here with its commits: `committed` is called
by none but one of many.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.errors import StoreError
from server.instances.in_order import GAP_S, Hole, InOrder, Key, Missing
from server.instances.members import Member, Members
from server.instances.outgoing import Outgoing, Publisher
from server.instances.shard import SHARDS, shard_of
from server.instances.told import Told, oldest_turns, read_turns, unpacked
from server.live.hub import Hub
from server.store.appends import Append, Appended
from server.store.body import decode_places
from server.store.connection import DATABASE_ERRORS, connect, first_line
from server.store.turns import heads

log = structlog.get_logger("telerig.instances")

LIVE_MS = 20.0
ASKED_BOOTS = 50
"""Boots that one query asks for."""
ASK_S = 5.0
"""A query that takes longer was swallowed by the network: it is asked again."""
RETRY_S = 0.25
"""From a query that failed to the next."""
SOON_S = 0.002
"""What comes without readings is asked for so soon, with what else comes meanwhile."""
LATE_NS = 60_000_000_000
"""A message may be so late, and a commit from its instant to its end."""
SLOW_NS = 600_000_000_000
"""A clock that is slower than this one by more is not allowed for where clients begin to listen:
they would get so much that is old."""
CLOCKS_NS = 5_000_000_000
"""Clocks of gateways differ by so much at most where clients are told what to fetch."""
SETTLE_S = 0.3
"""So long after a subscription it is surely in force, and the heads are compared."""
PUBLISHED_READINGS = 1000
"""Readings in one frame of the live stream."""
LOOK_S = 0.5
"""So often the database is looked at while another gateway cannot tell what it commits."""
UNSURE_S = 15.0
"""A commit whose end nobody saw has ended by then, well or not."""
UNSURE_MOST = 1000
"""Devices with such a commit at a time; while the database is away all of them have one."""
TOLD_EVERY_S = 10.0
EVENT = "event"


class Bus(Publisher, Protocol):
    """What the feed asks of a bus (`server.instances.bus`)."""

    on_gap: list[Callable[[str], None]]

    def subscribe(self, subject: str, take: Callable[[bytes], None]) -> Callable[[], None]:
        """Hear what others send; give what ends it."""


class Owner(Protocol):
    """Who knows which shards are owned (`server.instances.lease`)."""

    on_change: list[Callable[[frozenset[int], frozenset[int]], None]]
    ahead_s: float | None

    @property
    def held(self) -> Mapping[int, int]:
        """The places and their tokens."""


class FeedCounts(msgspec.Struct):
    """What the feed has done since the start.

    Attributes:
        delivered: turns handed on.
        own: of these, committed here.
        repaired: of these, read from the database.
        skipped: turns that nobody could be given any more.
        bad: messages and rows that could not be read.
        catch_ups: comparisons of all heads.
    """

    delivered: int = 0
    own: int = 0
    repaired: int = 0
    skipped: int = 0
    bad: int = 0
    catch_ups: int = 0


class Feed:
    """Hands on turns; made without I/O.

    Args:
        hub: the live stream of this gateway.
        clock: for instants and durations.
        url: of the database; what is missing is read on a connection of its own.
        device: the gateway's own, whose readings the hub has already.
        bus: to and from other gateways.
        leases: which shards are owned here.
        members: who lives: what the dead have committed without a word is looked for.
        name: of this gateway among them.
        live_ms: what is committed within this time goes out together.

    Attributes:
        counts: since the start.
        failing: why the database could not be asked; empty while it can.
        on_turn: called with each turn of a shard that is owned; never block.
        on_event: called with each event of another gateway.
        has_rules: tells whether turns of owned shards are of use at all; call `listen` when that
            changes.
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
        members: Members | None = None,
        name: str = "",
        live_ms: float = LIVE_MS,
    ) -> None:
        self.counts = FeedCounts()
        self.failing = ""
        self.on_turn: list[Callable[[Told], None]] = []
        self.on_event: list[Callable[[dict[str, Any]], None]] = []
        self.has_rules: Callable[[], bool] = lambda: True
        self._hub = hub
        self._clock = clock
        self._url = url
        self._device = device
        self._bus = bus
        self._leases = leases
        self._members = members
        self._name = name
        self._order: InOrder[Told] = InOrder()
        self._ends: dict[int, Callable[[], None]] = {}
        self._since_ns: dict[int, int] = {}
        self._woken_ns = 0
        self._heard_ns = clock.now_ns()
        self._end_events: Callable[[], None] | None = None
        self._outgoing = Outgoing(bus, live_ms / 1000)
        self._repair_timer: asyncio.TimerHandle | None = None
        self._repair_s = 0.0
        self._repairing: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._catch_up_again: dict[str, int] = {}
        self._settle_timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._connection: asyncpg.Connection | None = None
        self._using = asyncio.Lock()
        self._is_running = False
        self._gone: set[str] = set()
        self._slow_ns = 0  # the slowest clock of all that were seen, behind this one
        self._unsure: dict[str, float] = {}
        self._told_s = float("-inf")

    # -- life ------------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin to listen."""
        self._is_running = True
        self._hub.on_awake = self._hub_awake
        self._hub.others = self.event
        self._hub.late_ns = CLOCKS_NS
        self._leases.on_change.append(self._leases_changed)
        self._bus.on_gap.append(self.behind)
        if self._members is not None:
            self._members.on_change.append(self._members_changed)
        self._look_timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        self._end_events = self._bus.subscribe(EVENT, self._take_event)
        self.listen()
        self.event({"type": "ask"})

    async def close(self) -> None:
        """Publish what waits, and listen no more."""
        self._is_running = False
        self._outgoing.publish()
        self._hub.on_awake = self._hub.others = None
        for end in self._ends.values():
            end()
        self._ends.clear()
        if self._end_events is not None:
            self._end_events()
        with contextlib.suppress(ValueError):
            self._leases.on_change.remove(self._leases_changed)
        with contextlib.suppress(ValueError):
            self._bus.on_gap.remove(self.behind)
        if self._members is not None:
            with contextlib.suppress(ValueError):
                self._members.on_change.remove(self._members_changed)
        for timer in (self._repair_timer, self._settle_timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        tasks = [task for task in (self._repairing, self._catching_up) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._drop_connection()

    @property
    def waiting(self) -> int:
        """Turns that wait for an earlier one."""
        return self._order.waiting

    @property
    def boots(self) -> int:
        """Boots whose turns are followed."""
        return len(self._order)

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
        if len(self._unsure) < UNSURE_MOST or device in self._unsure:
            self._unsure[device] = self._clock.monotonic_s() + UNSURE_S
        self._settle("a commit that nobody saw", self._clock.now_ns() - LATE_NS)

    def _own(self, turn: Told) -> None:
        shard = shard_of(turn.device)
        self._outgoing.send(shard, turn)
        if shard in self._ends:
            self.counts.own += 1
            self._take(turn)

    # -- who listens -----------------------------------------------------------------------------
    def _hub_awake(self, is_awake: bool) -> None:
        if is_awake:
            self._woken_ns = self._clock.now_ns()
        self.listen()

    def _leases_changed(self, taken: frozenset[int], lost: frozenset[int]) -> None:
        self.listen()
        shards = taken & self._ends.keys()
        if shards:
            # What the last owner has not told is looked for.
            since_ns = self._clock.now_ns() - LATE_NS
            for shard in shards:
                self._since_ns[shard] = min(self._since_ns[shard], since_ns)
            self._settle("shards taken", since_ns)

    def listen(self) -> None:
        """Subscribe to what is wanted, and to nothing else."""
        if not self._is_running:
            return
        wanted: set[int] = set()
        if self._hub.wants_devices:
            wanted = set(range(SHARDS))
        elif self.has_rules():
            wanted = {place for place in self._leases.held if 0 <= place < SHARDS}
        now_ns = self._clock.now_ns()
        begun = wanted - self._ends.keys()
        for shard in begun:
            self._since_ns[shard] = now_ns
            self._ends[shard] = self._bus.subscribe(f"live.{shard}", self._take_message)
        ended = self._ends.keys() - wanted
        for shard in ended:
            self._ends.pop(shard)()
            del self._since_ns[shard]
        if ended:
            self._order.forget(lambda key: shard_of(key[0]) in ended)
        if begun:
            self._settle("listening", now_ns - LATE_NS)

    def _settle(self, reason: str, since_ns: int) -> None:
        """Compare heads when subscriptions are in force."""
        self._catch_up_again[reason] = min(since_ns, self._catch_up_again.get(reason, since_ns))
        if self._settle_timer is None:
            loop = asyncio.get_running_loop()
            self._settle_timer = loop.call_later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._settle_timer = None
        self._begin_catch_up()

    # -- what arrives ----------------------------------------------------------------------------
    def _take_message(self, data: bytes) -> None:
        try:
            turns = unpacked(data)
        except msgspec.MsgspecError as error:
            self._bad("a message of the bus", error)
            return
        self._heard_ns = self._clock.now_ns()
        for turn in turns:
            if turn.turn > 0:
                self._take(turn)

    def _take(self, turn: Told) -> None:
        now_s = self._clock.monotonic_s()
        if turn.rows is None:
            self._order.head(turn.key, turn.turn, now_s)
            wait_s = SOON_S
        else:
            for ripe in self._order.take(turn.key, turn.turn, turn, now_s):
                self._deliver(ripe)
            wait_s = GAP_S
        if self._order.gaps:
            self._arm(wait_s)

    def _deliver(self, turn: Told) -> None:
        self.counts.delivered += 1
        try:
            # The readings of its own links the hub has had when they were read.
            is_new = turn.device != self._device and not turn.is_old
            if is_new and self._hub.wants_devices:
                self._show(turn)
            if self.on_turn and shard_of(turn.device) in self._leases.held:
                for take in self.on_turn:
                    take(turn)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is counted and said)
            # What cannot be read of one device must not keep out the others.
            self._bad(f"turn {turn.turn} of {turn.device} boot {turn.boot}", error)

    def _show(self, turn: Told) -> None:
        for seq_first, body in turn.rows or ():
            rows = [(seq_first + place, reading) for place, reading in decode_places(body)]
            for begin in range(0, len(rows), PUBLISHED_READINGS):
                part = rows[begin : begin + PUBLISHED_READINGS]
                self._hub.device_readings(turn.device, turn.boot, part, turn.stored_ns)

    def _bad(self, what: str, error: Exception) -> None:
        self.counts.bad += 1
        now_s = self._clock.monotonic_s()
        if now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            log.error("left out", what=what, reason=first_line(error), all=self.counts.bad)

    # -- what is missing -------------------------------------------------------------------------
    def _arm(self, wait_s: float) -> None:
        """Look for what is missing after so long."""
        if not self._is_running or self._repairing is not None:
            return
        loop = asyncio.get_running_loop()
        due_s = loop.time() + wait_s
        if self._repair_timer is not None:
            if self._repair_s <= due_s:
                return
            self._repair_timer.cancel()
        self._repair_s = due_s
        self._repair_timer = loop.call_later(wait_s, self._begin_repair)

    def _begin_repair(self) -> None:
        self._repair_timer = None
        if self._repairing is None:
            self._repairing = asyncio.create_task(self._repair(), name="feed repair")

    async def _repair(self) -> None:
        """Read what is missing, until nothing is that is due."""
        try:
            while asked := self._order.missing(self._clock.monotonic_s(), ASKED_BOOTS):
                await self._ask(asked)
        except Exception:
            log.exception("feed failed")  # a task boundary; what is missing is asked for again
        finally:
            self._repairing = None
        due_s = self._order.due_s()
        if due_s is not None:
            self._arm(max(SOON_S, due_s - self._clock.monotonic_s()))

    async def _ask(self, asked: list[Missing]) -> None:
        try:
            async with self._database() as connection:
                answers = await read_turns(connection, [(a, self._since(a)) for a in asked])
                empty = [
                    a.key
                    for a in asked
                    if not a.is_first and len(answers[a.key].turns) < answers[a.key].upto - a.after
                ]
                oldest = await oldest_turns(connection, empty) if empty else {}
        except (StoreError, *DATABASE_ERRORS) as error:
            self._database_failed(first_line(error))
            again_s = self._clock.monotonic_s() + RETRY_S
            for missing in asked:
                self._order.failed(missing, again_s)
            return
        except BaseException:
            for missing in asked:
                self._order.failed(missing, self._clock.monotonic_s() + RETRY_S)
            raise
        for missing in asked:
            answer = answers[missing.key]
            if missing.is_first:
                for turn in answer.turns.values():
                    turn.is_old = turn.stored_ns < self._woken_ns - self._allowed_ns
            now_s = self._clock.monotonic_s()
            steps = self._order.found(missing, answer.turns, answer.upto, now_s)
            self._hand_on(steps, answer.turns, oldest)

    def _since(self, missing: Missing) -> int:
        """Give from when on turns are wanted: all of a boot that is followed already."""
        if not missing.is_first:
            return 0
        since_ns = self._since_ns.get(shard_of(missing.device), self._clock.now_ns())
        return since_ns - self._allowed_ns

    @property
    def _allowed_ns(self) -> int:
        return min(self._slow_ns, SLOW_NS)

    def _hand_on(
        self,
        steps: Sequence[Told | Hole],
        read: Mapping[int, Told],
        oldest: Mapping[Key, int | None],
    ) -> None:
        before: Told | None = None
        hole: Hole | None = None
        for step in steps:
            if isinstance(step, Hole):
                # A turn without a row, between rows that are there, changed a state alone.
                oldest_turn = oldest.get((step.device, step.boot))
                if oldest_turn is None or step.first < oldest_turn:
                    last = step.last if oldest_turn is None else min(step.last, oldest_turn - 1)
                    hole = Hole(step.device, step.boot, step.first, last)
                continue
            if hole is not None:
                self._lost(hole, before, step)
                hole = None
            if step.turn in read:
                self.counts.repaired += 1
            self._deliver(step)
            before = step
        if hole is not None:
            self._lost(hole, before, None)

    def _lost(self, hole: Hole, before: Told | None, after: Told | None) -> None:
        """Tell clients what nobody can be given any more, and where it is."""
        self.counts.skipped += hole.last - hole.first + 1
        log.warning(
            "turns not handed on",
            device=hole.device,
            boot=hole.boot,
            first=hole.first,
            last=hole.last,
            reason="they are compacted already",
        )
        if hole.device != self._device:
            self._hub.hole(
                hole.device,
                hole.boot,
                before.stored_ns if before is not None else None,
                after.stored_ns if after is not None else self._clock.now_ns(),
            )

    # -- catching up -----------------------------------------------------------------------------
    def _members_changed(self, joined: tuple[Member, ...], gone: tuple[Member, ...]) -> None:
        self._gone = {one.device for one in gone} | self._gone - {one.device for one in joined}
        self._compare_clocks((*joined, *gone))
        for member in gone:
            self._hub.gateway_gone(member.device)
            self.behind(f"{member.name} is gone")
        if joined:
            self._hub.tell_states()

    def _compare_clocks(self, members: Iterable[Member]) -> None:
        """Take note of clocks that are behind this gateway's: what their gateways commit looks
        older than it is."""
        own_s = self._leases.ahead_s
        if own_s is not None:
            behind_s = [one.ahead_s - own_s for one in members if one.ahead_s is not None]
            self._slow_ns = max(self._slow_ns, round(max(behind_s, default=0.0) * 1e9))

    def _look(self) -> None:
        """Look in the database while the bus of another gateway is away."""
        self._look_timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        living = self._members.living if self._members is not None else ()
        self._compare_clocks(living)
        for member in living:
            if member.failing and member.name != self._name:
                self.behind(f"the bus of {member.name} is away")
        if self._unsure:
            now_s = self._clock.monotonic_s()
            self._unsure = {one: end_s for one, end_s in self._unsure.items() if now_s < end_s}
            self.behind("a commit that nobody saw")

    def behind(self, reason: str) -> None:
        """Have the heads compared soon: something may have been committed without a word."""
        self._catch_up_again[reason] = self._heard_ns - LATE_NS
        self._begin_catch_up()

    def _begin_catch_up(self) -> None:
        if self._catching_up is None and self._catch_up_again and self._is_running:
            self._catching_up = asyncio.create_task(self._catch_up_all(), name="feed catch up")

    async def _catch_up_all(self) -> None:
        try:
            while self._catch_up_again:
                wanted, self._catch_up_again = self._catch_up_again, {}
                since_ns = min(wanted.values())
                if not await self.catch_up(", ".join(wanted), since_ns):
                    for reason, at_ns in wanted.items():
                        self._catch_up_again.setdefault(reason, at_ns)
                    await asyncio.sleep(RETRY_S)
        except Exception:
            log.exception("feed failed")  # a task boundary
        finally:
            self._catching_up = None

    async def catch_up(self, reason: str, since_ns: int) -> bool:
        """Compare the newest turns of all boots with those handed on; what is missing is read.

        Args:
            reason: for the log.
            since_ns: boots that were silent since then are left out.

        Returns:
            Whether the database could be asked.
        """
        wanted = self._ends.keys() | set(map(shard_of, self._unsure))
        if not wanted:
            return True
        shards = None if len(wanted) == SHARDS else sorted(wanted)
        began_ns = self._clock.now_ns()
        try:
            async with self._database() as connection:
                handed_on = self._order.next_turns()
                found = await heads(connection, shards, since_ns - self._slow_ns)
        except (StoreError, *DATABASE_ERRORS) as error:
            self._database_failed(first_line(error))
            return False
        self.counts.catch_ups += 1
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
            if shard in self._ends:
                self._order.head(key, head.turn, now_s)
        if gone_back:
            log.error(
                "the database has lost commits: a fail-over to a late replica", boots=gone_back
            )
        if self._order.gaps:
            self._arm(SOON_S)
        return True

    # -- the database ----------------------------------------------------------------------------
    @contextlib.asynccontextmanager
    async def _database(self) -> Any:
        async with self._using:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._url)
            try:
                async with asyncio.timeout(ASK_S):
                    yield self._connection
            except BaseException:
                self._drop_connection()
                raise
        if self.failing:
            log.info("the feed reads again")
            self.failing = ""

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _database_failed(self, reason: str) -> None:
        if not self.failing:
            log.error("the feed cannot read", reason=reason, next="tried again until it can")
        self.failing = reason

    # -- events ----------------------------------------------------------------------------------
    def event(self, content: dict[str, Any]) -> None:
        """Tell the other gateways of something that their clients should hear of."""
        told = {"gateway": self._device, **content}
        self._bus.publish(EVENT, msgspec.msgpack.encode(told))

    def _take_event(self, data: bytes) -> None:
        try:
            content = msgspec.msgpack.decode(data, type=dict[str, Any])
            gateway, what = str(content.pop("gateway")), content["type"]
        except (msgspec.MsgspecError, KeyError) as error:
            self._bad("an event of the bus", error)
            return
        if what == "ask":
            self._hub.tell_states()
            return
        if gateway in self._gone and what in ("link", "stale"):
            return  # its last words, late: how its links are nobody knows any more
        self._hub.from_elsewhere(gateway, content)
        for take in self.on_event:
            try:
                take({"gateway": gateway, **content})
            except Exception as error:  # noqa: BLE001 (as above)
                self._bad(f"an event {what}", error)
