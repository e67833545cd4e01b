"""What changes rarely (keys, users, rules, commands …), heard from the database as it is committed.

Triggers of the tables (`migrations/0021_changes.sql`) notify the channel `telerig_changes`; the
payload is `WHAT KEY`. No code path can forget it, whoever writes: another gateway, a command of
this machine, a person with `psql`. PostgreSQL sends it with the commit, and the same payload of
one transaction once.

    what               key
    devices            id of the device: itself or one of its keys
    users              number of the user: itself or one of its sessions
    token_keys         (empty)
    command_templates  id of the device
    commands           DEVICE NUMBER STATE, each state that a command reaches
    sessions           NUMBER STATE DEVICE NAME, of manual ones, and of any that somebody has told
                       something of; the state "removed" is the last
    signals            (empty)
    alert_rules        number
    alert_targets      name
    alert_silences     number
    alerts             number, when somebody has acknowledged it
    reload             name of the gateway whose operator wants configurations read again

One connection listens. It is made again whenever it breaks; what was said in between is lost, so
that from then on everything may have changed: every taker is called with the key "". A taker must
therefore read again what it keeps, and must not count.

A gateway that is alone listens too (a command of its machine may revoke a key), without a byte on
the way while nothing changes. One of many asks its connection twice a second whether it is still
there: a network that swallows everything is noticed within two seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable

import asyncpg
import structlog

from server.errors import StoreError
from server.store.connection import DATABASE_ERRORS, connect, first_line

log = structlog.get_logger("telerig.instances")

CHANNEL = "telerig_changes"
BEAT_S = 0.5
"""So often one of many gateways asks whether its connection is there; in virtual time, where
notifications come with replies, it is also how late a change may be."""
BEAT_TIMEOUT_S = 1.0
CONNECT_TIMEOUT_S = 2.0
RETRY_FIRST_S = 0.05
RETRY_LAST_S = 1.0
POLL_S = 1.0
"""Where notifications do not come through (a pooler), everything is read again so often."""
RELOAD = "reload"
"""An order, and no row: not repeated when something may have been missed."""
ECHO_WAIT_S = 0.2
DEAF = "notifications do not come through: a pooler in transaction mode?"
ECHO = "echo"
"""What a gateway says to itself, to know whether notifications come through."""

Take = Callable[[str], None]
"""Takes a key, or "" where anything may have changed; called in the event loop; never blocks."""


class Changes:
    """Hears of changes.

    Args:
        url: of the database; empty: there is none, and nothing is ever heard.
        is_alone: no other gateway is configured.

    Attributes:
        failing: why nothing is heard; empty while it is.
        heard: notifications so far.
        cuts: how often the connection was lost.
    """

    def __init__(self, url: str, *, is_alone: bool = True) -> None:
        self.failing = ""
        self.heard = 0
        self.cuts = 0
        self._url = url
        self._is_alone = is_alone
        self._takers: dict[str, list[Take]] = {}
        self._connection: asyncpg.Connection | None = None
        self._busy = asyncio.Lock()
        self._echo = ""
        self._is_deaf = False
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_listening(self) -> bool:
        """Whether what is committed from now on will be heard, as far as anybody knows."""
        return self._connection is not None and not self._is_deaf

    @property
    def backend(self) -> int | None:
        """The server's process at the other end of the connection; None where there is none."""
        return None if self._connection is None else int(self._connection.get_server_pid())

    def on(self, what: str, take: Take) -> None:
        """Have `take` called with each key of `what`; with "" when anything may have changed."""
        self._takers.setdefault(what, []).append(take)

    async def start(self) -> None:
        """Begin to listen; a database that is away is tried again, and said once."""
        if self._url and self._task is None:
            self._task = asyncio.create_task(self._run(), name="changes")
            await self._tried.wait()

    async def tell(self, what: str, key: str) -> bool:
        """Tell all gateways, this one too, of something that is in no table; give whether it went
        out."""
        connection = self._connection
        if connection is None:
            return False
        try:
            # Not beside a beat: a connection does one thing at a time.
            async with asyncio.timeout(CONNECT_TIMEOUT_S), self._busy:
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{what} {key}")
        except (StoreError, *DATABASE_ERRORS) as error:
            log.warning("other gateways not told", what=what, reason=first_line(error))
            return False
        return True

    async def close(self) -> None:
        """Listen no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- the connection -------------------------------------------------------------------------
    async def _run(self) -> None:
        retry_s = RETRY_FIRST_S
        while True:
            try:
                await self._listen()
                retry_s = RETRY_FIRST_S
                reason = "the connection was cut"
            except (StoreError, *DATABASE_ERRORS) as error:
                reason = first_line(error)
            self._failed(reason)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, RETRY_LAST_S)

    async def _listen(self) -> None:
        """Listen until the connection is lost.

        Raises:
            STORE_ERRORS: it cannot be made, or does not answer any more.
        """
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await connect(self._url)
        try:
            lost = asyncio.Event()
            connection.add_termination_listener(lambda _: lost.set())
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await connection.add_listener(CHANNEL, self._hear)
                if not self._is_alone:
                    await self._check_echo(connection)
            self._begun(connection)
            await self._keep(connection, lost)
        finally:
            self._connection = None
            # Not closed in good order: that would wait for an answer that may never come.
            connection.terminate()

    async def _check_echo(self, connection: asyncpg.Connection) -> None:
        """Find out whether notifications come through; a pooler may swallow them."""
        self._echo = secrets.token_hex(8)
        sent = self._echo
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, f"{ECHO} {sent}")
        await asyncio.sleep(0)  # it came before the reply; its listener is called after this turn
        if self._echo == sent:  # or not: PostgreSQL promises no instant
            await asyncio.sleep(ECHO_WAIT_S)
            await connection.execute("SELECT 1")
            await asyncio.sleep(0)
        was_deaf, self._is_deaf = self._is_deaf, self._echo == sent
        if self._is_deaf and not was_deaf:
            log.warning(
                "changes do not come through: everything is read again each second",
                expected="a connection that keeps LISTEN",
                found="none: a pooler in transaction mode stands before PostgreSQL?",
                next="lead [database] url around it, or let it pool sessions",
            )

    async def _keep(self, connection: asyncpg.Connection, lost: asyncio.Event) -> None:
        if self._is_alone:
            await lost.wait()
            return
        wait_s = POLL_S if self._is_deaf else BEAT_S
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await lost.wait()
            if not lost.is_set():
                async with asyncio.timeout(BEAT_TIMEOUT_S), self._busy:
                    await connection.execute("SELECT 1")
                if self._is_deaf:
                    self._may_have_changed()

    def _begun(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        had_failed, self.failing = bool(self.failing), DEAF if self._is_deaf else ""
        if had_failed and not self.failing:
            log.info("changes are heard again")
        self._tried.set()
        self._may_have_changed()

    def _failed(self, reason: str) -> None:
        self.cuts += 1
        if not self.failing:
            log.warning("changes are not heard", reason=reason, next="tries again")
        self.failing = reason
        self._tried.set()

    # -- what is heard --------------------------------------------------------------------------
    def _hear(self, connection: object, pid: int, channel: str, payload: object) -> None:
        what, _, key = str(payload).partition(" ")
        if what == ECHO:
            if key == self._echo:
                self._echo = ""
            return
        self.heard += 1
        for take in self._takers.get(what, ()):
            take(key)

    def _may_have_changed(self) -> None:
        for what, takers in self._takers.items():
            if what != RELOAD:
                for take in takers:
                    take("")
