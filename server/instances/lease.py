"""Leases: who owns which shard of devices, and who looks after the store.

    held          what is ours now, by our own clock, and who hears of changes
    lease_rows    the rows of gateways and leases in the database
    fence         what an owner writes checks its token in the same transaction

A gateway renews one row of its own by the database's clock; a lease is a row with the owner's name,
its boot and a token, and is good while the owner's row is fresh. So a renewal costs one row
whatever is owned, and the clocks of machines do not matter.

An owner trusts its leases for lease_s by its own monotonic clock from before the renewal was sent,
which is never later than the database does. Shares are equal: each gateway takes up to
ceil(64 / living), and gives up what it has beyond that, first here, then in the database.

All this goes over a connection of its own, which waits for no disk (synchronous_commit is off): a
crash of the database may forget a taking of the last moments, but never gives a token twice,
because it is made of the database's time too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import asyncpg
import structlog

from server.clock import Clock
from server.errors import NameTaken
from server.instances import lease_rows
from server.instances.held import Held
from server.instances.lease_rows import NAME_LEASES, About
from server.instances.members import Members
from server.instances.shard import PLACES, SHARDS, STORE
from server.store.connection import DATABASE_ERRORS, SETTINGS, first_line

log = structlog.get_logger("telerig.instances")

RENEWALS = 3
"""So many within one lease."""
START_TRIES = 4
CONNECT_TIMEOUT_S = 2.0
LEAVE_TIMEOUT_S = 2.0


class Leases(Held):
    """Renews, takes and gives up the leases of one gateway.

    Args:
        url: of the database.
        about: what the others may know of this gateway.
        lease_s: how long a silent owner stays one.
        clock: whose monotonic time bounds what is held.
        members: is told who lives.
        bus_failing: tells why the bus does not work, for the others.
        places: that may be owned.

    Attributes:
        members: who lives.
        fleet: names the database among all: gateways with the same are of one fleet.
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
        places: Iterable[int] = PLACES,
    ) -> None:
        super().__init__(clock)
        self._url = url
        self._about = about
        self._places = frozenset(places)
        self._lease_s = lease_s
        self._bus_failing = bus_failing
        self.members = Members() if members is None else members
        self.members.bus = about.bus
        self.fleet = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._connection: asyncpg.Connection | None = None
        self._pid = 0
        self._is_name_lost = False
        self._told_failing = ""
        self._wake = asyncio.Event()

    def renew_soon(self) -> None:
        """Renew now; what the others should know has changed."""
        self._wake.set()

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
            asyncio.create_task(self.watch(), name="lease watch"),
        ]

    async def close(self) -> None:
        """Give everything up at once, so that others need not wait."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.give(self._held)
        if not self._tasks:
            return
        self._tasks = []
        connection = self._connection
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                if connection is None or connection.is_closed():
                    connection = await self._connect()
                await lease_rows.leave(connection, self._about)
                await connection.close()
        except DATABASE_ERRORS as error:
            log.warning(
                "leases could not be given up: others take them when they are over",
                reason=first_line(error),
            )
            if connection is not None:
                connection.terminate()

    # -- joining ---------------------------------------------------------------------------------
    async def _begun(self) -> asyncpg.Connection:
        connection = await self._connect()
        try:
            await self._take_name(connection)
            self.fleet = await lease_rows.fleet_of(connection)
            await self._beat(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

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
            await connection.add_listener(lease_rows.CHANNEL, self._woken)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _woken(self, connection: object, pid: int, channel: str, payload: object) -> None:
        if pid != self._pid:
            self._wake.set()
        if left := lease_rows.who_left(str(payload)):
            self.members.has_left(*left)

    async def _take_name(self, connection: asyncpg.Connection) -> None:
        """Join; wait for the name of one that was killed.

        Raises:
            NameTaken: it renews.
        """
        name, first = self._about.name, None
        while not await lease_rows.join(connection, self._about, self._lease_s):
            other = await lease_rows.find(connection, name)
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

    # -- renewing --------------------------------------------------------------------------------
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
        sent_s, sent_ns = self._clock.monotonic_s(), self._clock.now_ns()
        failing = self._bus_failing()
        said = await lease_rows.beat(connection, self._about, failing, self.ahead_s)
        took_s = self._clock.monotonic_s() - sent_s
        self.ahead_s = said.now_s - sent_ns / 1e9 - took_s / 2
        if not said.lives:
            self._lose_all("renewed too late, or the database has forgotten it")
            await self._join_again(connection)
            return
        self._is_name_lost = False
        self.counts.renewals += 1
        if self.failing:
            self.failing = ""
            log.info("leases are renewed again")
        self.extend(sent_s + self._lease_s)
        self.members.update(said.members)
        self.adopt(said.held)
        await self._balance(connection, said.free & self._places)
        if failing != self._told_failing:
            self._told_failing = failing
            await lease_rows.wake(connection)

    async def _join_again(self, connection: asyncpg.Connection) -> None:
        if await lease_rows.join(connection, self._about, self._lease_s):
            return
        if not self._is_name_lost:
            self._is_name_lost = True
            log.error(
                "another gateway took this name while this one was silent: it owns nothing more; "
                "give one of them another [instances] name",
                name=self._about.name,
            )

    async def _balance(self, connection: asyncpg.Connection, free: frozenset[int]) -> None:
        share = fair_share(len(self.members.living))
        shards = sorted(place for place in self._held if place != STORE)
        surplus = shards[share:]
        if surplus:
            self.give(surplus)
            await lease_rows.release(connection, self._about, surplus)
            return
        taken: dict[int, int] = {}
        for places, most in ((free - {STORE}, share - len(shards)), (free & {STORE}, 1)):
            if places and most > 0:
                taken |= await lease_rows.take(connection, self._about, places, most)
        if taken:
            self.adopt({**self._held, **taken})


def fair_share(living: int) -> int:
    """Give how many shards one of so many gateways owns at most."""
    return -(-SHARDS // max(1, living))
