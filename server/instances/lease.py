"""Leases: who owns which shard of devices, and who looks after the store.

A gateway renews one row of its own (`instances`) by the database's clock; a lease is a row with the
owner's name, its boot and a token, and is good while the owner's row is fresh. So a renewal costs
one row whatever is owned, and the clocks of machines do not matter.

    lives:  the row was renewed less than lease_s ago
    taken:  by another gateway, once the owner does not live; the same statement locks the owner's
            row (FOR SHARE), so that a late renewal waits, and then finds itself too late
    token:  grows with each taking; what an owner writes checks it in the same transaction
            (`fenced`), so who was paused and writes late is refused

An owner trusts its leases for lease_s by its own monotonic clock from before the renewal was sent,
which is never later than the database does. Shares are equal: each gateway takes up to
ceil(64 / living), and gives up what it has beyond that, first here, then in the database. Who
joins, leaves or gives something up notifies the others (`CHANNEL`), so that nobody waits for a
renewal.

All this goes over a connection of its own, which waits for no disk (synchronous_commit is off): a
crash of the database may forget a taking of the last moments, but never gives a token twice,
because it is made of the database's time too.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.errors import Fenced, NameTaken
from server.instances.members import Member, Members
from server.instances.shard import PLACES, SHARDS, STORE
from server.store.connection import DATABASE_ERRORS, SETTINGS, first_line

log = structlog.get_logger("telerig.instances")

CHANNEL = "telerig_leases"
ALONE_TOKEN = 0
"""Of a gateway alone: nobody else is there to be fenced off. Tokens in the database begin above."""
RENEWALS = 3
"""So many within one lease."""
NAME_LEASES = 3
"""A name is somebody's while its row was renewed within so many leases."""
FORGOTTEN_S = 86_400.0
"""Rows of gateways that died are kept so long, for people who look."""
START_TRIES = 4
CONNECT_TIMEOUT_S = 2.0
LEAVE_TIMEOUT_S = 2.0
IDLE_MS = 3000
IDLE_STORE_MS = 30_000
"""A transaction that holds a place and stands still so long is ended by the server: its process was
paused, or is gone, and others wait for the place."""

OnChange = Callable[[frozenset[int], frozenset[int]], None]

_LIVES = "abs(extract(epoch FROM clock_timestamp() - i.seen)) < i.lease_s"
# In the future by less than a lease counts too: clocks are set back a little now and then. One that
# is set back by hours (a fail-over to another machine) keeps nobody alive who is dead.

_JOIN = f"""
    WITH joined AS (
        INSERT INTO instances AS i (name, boot, device, url, bus, lease_s, began, seen)
        VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), clock_timestamp())
        ON CONFLICT (name) DO UPDATE SET
            boot = excluded.boot, device = excluded.device, url = excluded.url, bus = excluded.bus,
            failing = '', lease_s = excluded.lease_s, seen = clock_timestamp(),
            began = CASE WHEN i.boot = excluded.boot THEN i.began ELSE excluded.began END
        WHERE i.boot = excluded.boot
           OR abs(extract(epoch FROM clock_timestamp() - i.seen)) >= {NAME_LEASES} * i.lease_s
        RETURNING name
    ), freed AS (
        UPDATE leases SET owner = NULL
        WHERE owner = $1 AND EXISTS (SELECT FROM joined)
    )
    SELECT EXISTS (SELECT FROM joined)
"""
_OTHER = "SELECT boot, device, url, lease_s, seen FROM instances WHERE name = $1"
_FORGET = "DELETE FROM instances WHERE clock_timestamp() - seen > make_interval(secs => $1)"
_BEAT = f"""
    WITH me AS (
        UPDATE instances AS i SET seen = clock_timestamp(), url = $3, failing = $4, ahead_s = $5
        WHERE name = $1 AND boot = $2 AND {_LIVES}
        RETURNING name
    ), living AS (
        SELECT i.*, o.shards, o.stores FROM instances i CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE place >= 0) AS shards,
                   count(*) FILTER (WHERE place < 0) AS stores
            FROM leases l WHERE l.owner = i.name AND l.boot = i.boot
        ) AS o
        WHERE {_LIVES}
    )
    SELECT EXISTS (SELECT FROM me) AS lives,
           extract(epoch FROM clock_timestamp())::float8 AS now_s,
           (SELECT coalesce(json_agg(json_build_object(
                'name', name, 'boot', boot, 'device', device, 'url', url, 'bus', bus,
                'failing', failing, 'ahead_s', ahead_s, 'began_s', extract(epoch FROM began),
                'seen_s', extract(epoch FROM seen), 'shards', shards,
                'is_store_owner', stores > 0)), '[]')::text FROM living) AS members,
           ARRAY(SELECT place FROM leases WHERE owner = $1 AND boot = $2 ORDER BY place) AS places,
           ARRAY(SELECT token FROM leases WHERE owner = $1 AND boot = $2 ORDER BY place) AS tokens,
           ARRAY(SELECT place FROM leases l WHERE NOT EXISTS (
                    SELECT FROM living i WHERE i.name = l.owner AND i.boot = l.boot)
                 ORDER BY place) AS free
"""
_TAKE = f"""
    WITH free AS (
        SELECT place FROM leases WHERE place = ANY($3::smallint[]) AND owner IS NULL
        ORDER BY place LIMIT $4 FOR UPDATE SKIP LOCKED
    ), orphans AS (
        SELECT l.place FROM leases l JOIN instances i ON i.name = l.owner
        WHERE l.place = ANY($3::smallint[]) AND (i.boot <> l.boot OR NOT ({_LIVES}))
        ORDER BY l.place LIMIT $4 FOR UPDATE OF l SKIP LOCKED FOR SHARE OF i SKIP LOCKED
    )
    UPDATE leases SET
        owner = $1, boot = $2, taken = clock_timestamp(),
        token = greatest(token + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    WHERE place IN (SELECT place FROM free UNION SELECT place FROM orphans LIMIT $4)
      AND EXISTS (SELECT FROM instances i WHERE name = $1 AND boot = $2 AND {_LIVES})
    RETURNING place, token
"""
_RELEASE = """
    UPDATE leases SET owner = NULL WHERE owner = $1 AND boot = $2 AND place = ANY($3::smallint[])
"""
# A server keeps the identifier for life and hands it to its standbys; a restored copy has another.
_FLEET = """
    SELECT left(md5(system_identifier::text || '/' || oid::text), 12)
    FROM pg_control_system(), pg_database WHERE datname = current_database()
"""
_LEAVE = "DELETE FROM instances WHERE name = $1 AND boot = $2"  # the leases become nobody's
_WAKE = f"SELECT pg_notify('{CHANNEL}', $1)"
_LEFT = "left"
_FENCE = """
    SELECT token, set_config('idle_in_transaction_session_timeout', $2, true)
    FROM leases WHERE place = $1 FOR SHARE
"""


async def fenced(connection: asyncpg.Connection, place: int, token: int) -> None:
    """Make sure that a place is still ours until the transaction ends.

    Call it in the transaction that writes; nobody takes the place before its end. A transaction
    that then stands still for `IDLE_MS` is ended by the server.

    Raises:
        Fenced: another gateway has taken it.
    """
    if token == ALONE_TOKEN:
        return
    idle_ms = IDLE_STORE_MS if place == STORE else IDLE_MS
    row = await connection.fetchrow(_FENCE, place, str(idle_ms))
    if row is None or row["token"] != token:
        what = "the store" if place == STORE else f"shard {place}"
        raise Fenced(f"expected {what} to be ours, found another owner; nothing was written")


class About(msgspec.Struct):
    """What a gateway says of itself.

    Attributes:
        name: unique among those that live.
        boot: number of this run.
        device: of its local links.
        url: where others reach it.
        bus: the kind of its bus.
    """

    name: str
    boot: int
    device: str
    url: str
    bus: str


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


class Leases:
    """Renews, takes and gives up the leases of one gateway.

    Args:
        url: of the database.
        about: what the others may know of this gateway.
        lease_s: how long a silent owner stays one.
        clock: whose monotonic time bounds what is held.
        members: is told who lives.
        bus_failing: tells why the bus does not work, for the others.

    Attributes:
        members: who lives.
        on_change: called with places taken and places lost, in the event loop; what is lost is told
            before anybody else can have it, as far as this process gets to run.
        counts: what was done.
        failing: why the leases cannot be renewed; empty while they are.
        fleet: names the database among all: gateways with the same are of one fleet.
        ahead_s: seconds by which the database's clock is ahead of this machine's; None: unknown.
    """

    def __init__(
        self,
        url: str,
        about: About,
        *,
        lease_s: float,
        clock: Clock,
        members: Members | None = None,
        bus_failing: Callable[[], str] = lambda: "",
    ) -> None:
        self._url = url
        self._about = about
        self._lease_s = lease_s
        self._clock = clock
        self._bus_failing = bus_failing
        self.members = Members() if members is None else members
        self.members.bus = about.bus
        self.on_change: list[OnChange] = []
        self.counts = LeaseCounts()
        self.failing = ""
        self.fleet = ""
        self.ahead_s: float | None = None
        self._held: dict[int, int] = {}
        self._until_s = clock.monotonic_s()
        self._renewed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: asyncpg.Connection | None = None
        self._pid = 0
        self._is_name_lost = False
        self._told_failing = ""
        self._wake = asyncio.Event()

    @property
    def held(self) -> Mapping[int, int]:
        """Places that are surely ours now, with their tokens."""
        return MappingProxyType(self._held if self._is_valid() else {})

    def token(self, place: int) -> int | None:
        """Give the token of a place; None where it is not surely ours."""
        return self._held.get(place) if self._is_valid() else None

    def renew_soon(self) -> None:
        """Renew now; what the others should know has changed."""
        self._wake.set()

    def _is_valid(self) -> bool:
        return self._clock.monotonic_s() < self._until_s

    async def start(self) -> None:
        """Join under our name, and go on renewing.

        Waits for a name that a killed gateway has left, three leases at most.

        Raises:
            NameTaken: another gateway of this name lives.
            DATABASE_ERRORS: the database is away.
        """
        for tries_left in reversed(range(START_TRIES)):
            try:
                self._connection = await self._begun()
                break
            except DATABASE_ERRORS:
                # The time limits are those of renewals: short ones for a database that is busy.
                if not tries_left:
                    raise
        self._tasks = [
            asyncio.create_task(self._renew_forever(), name="leases"),
            asyncio.create_task(self._watch(), name="lease watch"),
        ]

    async def _begun(self) -> asyncpg.Connection:
        connection = await self._connect()
        try:
            await self._take_name(connection)
            await connection.execute(_FORGET, FORGOTTEN_S)
            self.fleet = await connection.fetchval(_FLEET)
            await self._beat(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        """Give everything up at once, so that others need not wait."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.counts.given += len(self._held)
        self._drop(self._held)
        if not self._tasks:
            return
        self._tasks = []
        connection = self._connection
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                if connection is None or connection.is_closed():
                    connection = await self._connect()
                async with connection.transaction():
                    await connection.execute(_LEAVE, self._about.name, self._about.boot)
                    left = f"{_LEFT} {self._about.name} {self._about.boot}"
                    await connection.execute(_WAKE, left)
                await connection.close()
        except DATABASE_ERRORS as error:
            log.warning(
                "leases could not be given up: others take them when they are over",
                reason=first_line(error),
            )
            if connection is not None:
                connection.terminate()

    async def _connect(self) -> asyncpg.Connection:
        # A statement that hangs is given up here and there: the next one comes soon enough.
        longest_ms = str(round(self._lease_s * 1000))
        connection = await asyncpg.connect(
            self._url,
            timeout=max(CONNECT_TIMEOUT_S, self._lease_s),
            command_timeout=self._lease_s,
            server_settings={
                **SETTINGS,
                "application_name": "telerig leases",
                "synchronous_commit": "off",
                "default_transaction_isolation": "read committed",
                "statement_timeout": longest_ms,
                "idle_in_transaction_session_timeout": longest_ms,
            },
        )
        try:
            self._pid = await connection.fetchval("SELECT pg_backend_pid()")
            await connection.add_listener(CHANNEL, self._woken)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _woken(self, connection: object, pid: int, channel: str, payload: object) -> None:
        if pid != self._pid:
            self._wake.set()
        if match := re.fullmatch(rf"{_LEFT} (\S+) (\d{{1,19}})", str(payload)):
            self.members.has_left(match[1], int(match[2]))

    async def _join(self, connection: asyncpg.Connection) -> bool:
        about = self._about
        has_joined = await connection.fetchval(
            _JOIN, about.name, about.boot, about.device, about.url, about.bus, self._lease_s
        )
        if has_joined:
            await connection.execute(_WAKE, "")
        return bool(has_joined)

    async def _take_name(self, connection: asyncpg.Connection) -> None:
        """Join; wait for the name of one that was killed.

        Raises:
            NameTaken: it renews.
        """
        name, first = self._about.name, None
        while not await self._join(connection):
            other = await connection.fetchrow(_OTHER, name)
            if other is None:
                continue
            if first is None:
                first = other
                log.info(
                    "another gateway had this name a moment ago: waiting to see whether it lives",
                    name=name,
                    device=other["device"],
                    url=other["url"],
                    at_most_s=NAME_LEASES * other["lease_s"],
                )
            elif (other["boot"], other["seen"]) != (first["boot"], first["seen"]):
                raise NameTaken(
                    f"expected a name that no living gateway has, found another gateway {name!r} "
                    f"(device {other['device']}, {other['url']}) on the same database; choose "
                    "another [instances] name, or end that one"
                )
            await asyncio.sleep(other["lease_s"] / RENEWALS)

    async def _renew_forever(self) -> None:
        while True:
            began_s = self._clock.monotonic_s()
            try:
                if self._connection is None:
                    self._connection = await self._connect()
                await self._beat(self._connection)
            except Exception as error:
                # A task boundary: whatever it is, ownership must be renewed again.
                if not isinstance(error, DATABASE_ERRORS):
                    log.exception("a renewal failed")
                is_silent = isinstance(error, TimeoutError) and not str(error)
                self._fail("no answer" if is_silent else first_line(error))
            took_s = self._clock.monotonic_s() - began_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._lease_s / RENEWALS - took_s)):
                    await self._wake.wait()
            self._wake.clear()

    def _fail(self, reason: str) -> None:
        self.counts.failed += 1
        if not self.failing:
            log.warning("leases cannot be renewed", reason=reason)
        self.failing = reason
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _beat(self, connection: asyncpg.Connection) -> None:
        """Renew, and take or give up what changes the shares."""
        about = self._about
        sent_s, sent_ns = self._clock.monotonic_s(), self._clock.now_ns()
        failing = self._bus_failing()
        row = await connection.fetchrow(
            _BEAT, about.name, about.boot, about.url, failing, self.ahead_s or 0.0
        )
        took_s = self._clock.monotonic_s() - sent_s
        self.ahead_s = row["now_s"] - sent_ns / 1e9 - took_s / 2
        if not row["lives"]:
            self._lose_all("renewed too late, or the database has forgotten it")
            await self._join_again(connection)
            return
        self._is_name_lost = False
        self.counts.renewals += 1
        if self.failing:
            self.failing = ""
            log.info("leases are renewed again")
        self._until_s = sent_s + self._lease_s
        self._renewed.set()
        self.members.update(msgspec.json.decode(row["members"], type=list[Member]))
        self._adopt(dict(zip(row["places"], row["tokens"], strict=True)))
        await self._balance(connection, frozenset(row["free"]))
        if failing != self._told_failing:
            self._told_failing = failing
            await connection.execute(_WAKE, "")

    async def _join_again(self, connection: asyncpg.Connection) -> None:
        if await self._join(connection):
            return
        if not self._is_name_lost:
            self._is_name_lost = True
            log.error(
                "another gateway took this name while this one was silent: it owns nothing more; "
                "give one of them another [instances] name",
                name=self._about.name,
            )

    async def _balance(self, connection: asyncpg.Connection, free: frozenset[int]) -> None:
        about = self._about
        share = fair_share(len(self.members.living))
        shards = sorted(place for place in self._held if place != STORE)
        surplus = shards[share:]
        if surplus:
            self.counts.given += len(surplus)
            self._drop(surplus)
            await connection.execute(_RELEASE, about.name, about.boot, surplus)
            await connection.execute(_WAKE, "")
            return
        taken: dict[int, int] = {}
        for places, limit in (
            (free - {STORE}, share - len(shards)),
            (free & {STORE}, 1),
        ):
            if places and limit > 0:
                rows = await connection.fetch(_TAKE, about.name, about.boot, sorted(places), limit)
                taken.update((row["place"], row["token"]) for row in rows)
        if taken:
            self._adopt({**self._held, **taken})

    def _adopt(self, held: dict[int, int]) -> None:
        """Take what the database says is ours, and tell what has changed."""
        if not self._is_valid():  # the answer came late: the watch tells, or has told
            return
        before = self._held
        lost = frozenset(place for place in before if held.get(place) != before[place])
        taken = frozenset(place for place in held if before.get(place) != held[place])
        self.counts.lost += len(lost)
        self.counts.taken += len(taken)
        if lost or taken:
            self._held = {place: token for place, token in before.items() if place not in lost}
            self._tell(frozenset(), lost)
            self._held = dict(held)
            self._tell(taken, frozenset())

    def _lose_all(self, reason: str) -> None:
        self._until_s = self._clock.monotonic_s()
        if self._held:
            self.counts.lost += len(self._held)
            log.warning("leases are lost", places=len(self._held), reason=reason)
            self._drop(self._held)

    def _drop(self, places: Iterable[int]) -> None:
        """No longer hold places, and tell."""
        gone = frozenset(places)
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

    async def _watch(self) -> None:
        """Tell when the leases are over because nothing renewed them."""
        while True:
            left_s = self._until_s - self._clock.monotonic_s()
            if left_s > 0:
                await asyncio.sleep(left_s)
                continue
            self._lose_all(self.failing or "not renewed in time")
            self._renewed.clear()
            await self._renewed.wait()


def fair_share(living: int) -> int:
    """Give how many shards one of so many gateways owns at most."""
    return -(-SHARDS // max(1, living))
