"""Users, their sessions and the keys of access tokens, as the gateway knows them.

Held in memory, as the devices are (`server.devices.registry`): to admit a request asks no database,
and a flood of wrong tokens none either. What this gateway changes counts from the next request on;
what is changed elsewhere on the same database, as soon as it is heard (`server.instances.changes`),
and without that within REFRESH_S. It is read when somebody first comes with a token or cookie.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

import asyncpg
import msgspec
import structlog

from server.api.role import Role
from server.clock import Clock
from server.devices.rate import Rate
from server.errors import StoreError
from server.rereading import Rereading
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.users")

REFRESH_S = 10.0
REFRESH_RETRY_S = 1.0
_KEYS = "keys"
BROWSER = "browser"
TOKEN = "token"
UNKNOWN_PER_S, UNKNOWN_BURST = 20.0, 100.0
"""Sessions that are not known, but may have begun on another gateway just now, and are looked up:
a flood of wrong cookies costs no more queries."""


class User(msgspec.Struct, frozen=True):
    """An account.

    Attributes:
        id: number.
        name: to sign in with; capital and small letters are the same.
        email: for people; may be empty.
        role: viewer, operator or admin.
        scope: ids of the devices that may be seen; None: all of them.
        active: False: nobody can sign in.
        made_ns: when it was made.
        last_login_ns: the last time that somebody gave the password.
    """

    id: int
    name: str
    email: str
    role: Role
    scope: tuple[str, ...] | None
    active: bool
    made_ns: int
    last_login_ns: int | None


class Session(msgspec.Struct, frozen=True):
    """A session that has not ended."""

    id: int
    user: int
    kind: str
    made_ns: int
    expires_ns: int
    used_ns: int
    address: str
    agent: str


class TokenKey(msgspec.Struct, frozen=True):
    """A key that access tokens are signed with."""

    id: str
    secret: bytes
    made_ns: int
    retired_ns: int | None

    def __repr__(self) -> str:
        return f"TokenKey({self.id!r})"


class Directory:
    """What is known, by number, name and hash.

    Args:
        pool: connections.
        clock: for refreshing.
    """

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self.users: dict[int, User] = {}
        self.numbers: dict[str, int] = {}
        self.sessions: dict[int, Session] = {}
        self.by_hash: dict[bytes, int] = {}
        self.overtaken: dict[bytes, int] = {}
        self.keys: dict[str, TokenKey] = {}
        self.changed: list[Callable[[], None]] = []
        """Called when something here may have changed."""
        self.keys_ended: list[Callable[[], None]] = []
        """Called when a key of access tokens was ended before its time: it has leaked."""
        self._pool = pool
        self._clock = clock
        self._look_again_s: float | None = None
        # Whoever reads or changes the tables holds it: a read that was overtaken by a change must
        # not bring the old state back.
        self._lock = asyncio.Lock()
        self._again = Rereading("users", self._read_again)
        self._unknown: Rate | None = None

    def share(self) -> None:
        """Count on other gateways, where people sign in too: look unknown sessions up, some a
        second."""
        self._unknown = Rate(UNKNOWN_PER_S, UNKNOWN_BURST, self._clock)

    def changed_elsewhere(self, user: str) -> None:
        """Read a user, by number, with sessions and all token keys again ("": all users)."""
        if self._look_again_s is not None or self._lock.locked():
            self._again.ask(user)

    def keys_changed_elsewhere(self, _: str) -> None:
        """Read the token keys again."""
        self.changed_elsewhere(_KEYS)

    async def look_up(self, sha256: bytes = b"", session: int = -1) -> bool:
        """Read who a session belongs to that is not known, by hash or number, and the token keys;
        another gateway may have made them just now. Gives whether it was done.

        Raises:
            STORE_ERRORS: it could not be read.
        """
        if self._unknown is None or self._unknown.take(""):
            return False
        async with self._lock, self._pool.acquire() as connection:
            user = await connection.fetchval(
                "SELECT user_id FROM user_sessions WHERE sha256 = $1 OR before = $1 OR id = $2",
                sha256,
                session,
            )
            await self._read(connection, [] if user is None else [user])
        self._tell()
        return True

    async def close(self) -> None:
        """Read nothing more."""
        await self._again.close()

    @property
    def is_read(self) -> bool:
        """Whether the tables were ever read."""
        return self._look_again_s is not None

    def named(self, name: str) -> User | None:
        """Give a user by name, active or not."""
        number = self.numbers.get(name.lower())
        return self.users.get(number) if number is not None else None

    def sessions_of(self, user: int, kind: str | None = None) -> list[Session]:
        """Give the sessions of a user, the newest first."""
        return [
            session
            for _, session in sorted(self.sessions.items(), reverse=True)
            if session.user == user and kind in (None, session.kind)
        ]

    async def fresh(self) -> None:
        """Read the tables, where they were not read lately.

        Raises:
            STORE_ERRORS: they could not be read yet.
        """
        if self._look_again_s is not None and self._clock.monotonic_s() < self._look_again_s:
            return
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if self._look_again_s is not None and now_s < self._look_again_s:
                return
            try:
                async with self._pool.acquire() as connection:
                    await self._read(connection, None)
                self._look_again_s = now_s + REFRESH_S
            except (StoreError, *DATABASE_ERRORS) as error:
                if self._look_again_s is None:
                    raise
                log.warning("users not refreshed", reason=first_line(error))
                self._look_again_s = now_s + REFRESH_RETRY_S
        self._tell()

    @contextlib.asynccontextmanager
    async def changing(self, user: int | None = None) -> AsyncIterator[asyncpg.Connection]:
        """Change the tables in a transaction; what changed of a user (None: of all) is read again
        before others go on."""
        async with self._lock, self._pool.acquire() as connection:
            async with connection.transaction():
                yield connection
            await self._read(connection, None if user is None else [user])
        self._tell()

    async def value(self, sql: str, *arguments: object) -> Any:
        """Give one value from the tables."""
        async with self._pool.acquire() as connection:
            return await connection.fetchval(sql, *arguments)

    def forget_sessions(self, sessions: list[int]) -> None:
        """Believe these sessions no more, whatever becomes of the database's answer."""
        gone = set(sessions)
        for number in gone:
            self.sessions.pop(number, None)
        for hashes in (self.by_hash, self.overtaken):
            for sha256 in [key for key, number in hashes.items() if number in gone]:
                del hashes[sha256]
        self._tell()

    def _tell(self) -> None:
        for call in self.changed:
            call()

    async def _read_again(self, users: frozenset[str] | None) -> None:
        async with self._lock, self._pool.acquire() as connection:
            asked = None if users is None else [int(user) for user in users - {_KEYS}]
            await self._read(connection, asked)
        self._tell()

    async def _read(self, connection: asyncpg.Connection, asked: Collection[int] | None) -> None:
        """Read some users (None: all) with their sessions, and all keys."""
        users = await connection.fetch(
            "SELECT id, name, email, role, scope, active, made_ns, last_login_ns FROM users"
            " WHERE $1::bigint[] IS NULL OR id = ANY($1)",
            asked,
        )
        sessions = await connection.fetch(
            "SELECT id, user_id, kind, made_ns, expires_ns, used_ns, address, agent, sha256, before"
            " FROM user_sessions WHERE $1::bigint[] IS NULL OR user_id = ANY($1)",
            asked,
        )
        keys = await connection.fetch("SELECT id, secret, made_ns, retired_ns FROM token_keys")
        self._forget(asked)
        for row in users:
            scope = None if row["scope"] is None else tuple(row["scope"])
            found = User(
                row["id"],
                row["name"],
                row["email"],
                Role(row["role"]),
                scope,
                row["active"],
                row["made_ns"],
                row["last_login_ns"],
            )
            self.users[found.id] = found
            self.numbers[found.name.lower()] = found.id
        for row in sessions:
            *fields, sha256, before = row
            self.sessions[row["id"]] = Session(*fields)
            self.by_hash[bytes(sha256)] = row["id"]
            if before is not None:
                self.overtaken[bytes(before)] = row["id"]
        before_keys, self.keys = (
            self.keys,
            {
                row["id"]: TokenKey(
                    row["id"], bytes(row["secret"]), row["made_ns"], row["retired_ns"]
                )
                for row in keys
            },
        )
        if _has_leaked(before_keys, self.keys, self._clock.now_ns()):
            for call in self.keys_ended:
                call()

    def _forget(self, users: Collection[int] | None) -> None:
        if users is None:
            for known in (
                self.users,
                self.numbers,
                self.sessions,
                self.by_hash,
                self.overtaken,
            ):
                known.clear()
            return
        for user in users:
            old = self.users.pop(user, None)
            if old is not None:
                self.numbers.pop(old.name.lower(), None)
        gone = {number for number, session in self.sessions.items() if session.user in users}
        for number in gone:
            del self.sessions[number]
        for hashes in (self.by_hash, self.overtaken):
            for sha256 in [key for key, number in hashes.items() if number in gone]:
                del hashes[sha256]


def _has_leaked(before: Mapping[str, TokenKey], after: Mapping[str, TokenKey], now_ns: int) -> bool:
    """Tell whether a key that was good, and would be for a while, is none any more."""
    for key in before.values():
        if key.retired_ns is not None and key.retired_ns <= now_ns:
            continue
        now = after.get(key.id)
        if now is None or (now.retired_ns is not None and now.retired_ns <= now_ns):
            return True
    return False
