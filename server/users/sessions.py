"""Sessions: of a browser (a cookie), and of a refresh token. Opaque, in a table, revocable."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable

import msgspec
import structlog

from server.clock import Clock
from server.store.connection import DATABASE_ERRORS, first_line
from server.users.config import UsersConfig
from server.users.directory import BROWSER, TOKEN, Directory, Session, User
from server.users.principal import Kind, Principal
from server.users.secret import COOKIE, REFRESH, hashed, is_secret, make_secret

log = structlog.get_logger("telerig.users")

SESSIONS_LIMIT = 50
"""Of a user and a kind; of more, those that were unused longest are ended."""
USED_WRITE_S = 60.0
"""How long an instant of last use waits to be written; a crash loses it."""
AGENT_LENGTH = 200
DAY_NS = 86_400 * 10**9
_PREFIXES = {BROWSER: COOKIE, TOKEN: REFRESH}


class Sessions:
    """The table of sessions.

    Args:
        directory: what is known of it.
        config: how long they last.
        clock: for expiry.
        random: gives that many random bytes.
    """

    def __init__(
        self,
        directory: Directory,
        config: UsersConfig,
        clock: Clock,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._directory = directory
        self._config = config
        self._clock = clock
        self._random = random
        self._used: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    async def open(
        self, user: User, kind: str, address: str, agent: str, replaces: int | None = None
    ) -> tuple[Session, str]:
        """Begin a session; give it with its secret, which is kept nowhere.

        Args:
            user: whose.
            kind: BROWSER or TOKEN.
            address: of who signs in.
            agent: what that one calls itself.
            replaces: a session that ends with it.
        """
        secret = make_secret(_PREFIXES[kind], self._random)
        now_ns = self._clock.now_ns()
        ended = [session.id for session in self._surplus(user.id, kind)]
        if replaces is not None:
            ended.append(replaces)
        self._directory.forget_sessions(ended)
        clean = "".join(c if c.isprintable() else "?" for c in agent[:AGENT_LENGTH])
        async with self._directory.changing(user.id) as connection:
            await connection.execute(
                "DELETE FROM user_sessions WHERE id = ANY($1::bigint[])"
                " OR user_id = $2 AND (expires_ns < $3 OR used_ns < $4)",
                ended,
                user.id,
                now_ns,
                now_ns - self._config.idle_days * DAY_NS,
            )
            number = await connection.fetchval(
                "INSERT INTO user_sessions"
                " (user_id, kind, sha256, made_ns, expires_ns, used_ns, address, agent)"
                " VALUES ($1, $2, $3, $4, $5, $4, $6, $7) RETURNING id",
                user.id,
                kind,
                hashed(secret),
                now_ns,
                now_ns + self._config.session_days * DAY_NS,
                address[:64],
                clean,
            )
        return self._directory.sessions[number], secret

    def _surplus(self, user: int, kind: str) -> list[Session]:
        found = self._directory.sessions_of(user, kind)
        found.sort(key=self._last_use_ns, reverse=True)
        return found[SESSIONS_LIMIT - 1 :]

    async def of_cookie(self, secret: str) -> Session | None:
        """Give the live session of a cookie."""
        if not is_secret(COOKIE, secret):
            return None
        await self._directory.fresh()
        sha256 = hashed(secret)
        await self._know(sha256)
        number = self._directory.by_hash.get(sha256)
        return self.live(number) if number is not None else None

    async def of_token(self, number: int) -> Session | None:
        """Give the live session that an access token names."""
        if number not in self._directory.sessions:
            await self._directory.look_up(session=number)
        return self.live(number)

    async def _know(self, sha256: bytes) -> None:
        """Have a look for a session that may have begun on another gateway just now."""
        if sha256 not in self._directory.by_hash and sha256 not in self._directory.overtaken:
            await self._directory.look_up(sha256)

    async def renew(self, secret: str) -> tuple[Session, str] | None:
        """Take a refresh token, and give the session with the next token; None where it is none.

        A token that comes a second time was stolen, from its owner or by its owner's rival: the
        session ends for both (RFC 9700 4.14.2).
        """
        if not is_secret(REFRESH, secret):
            return None
        await self._directory.fresh()
        sha256 = hashed(secret)
        await self._know(sha256)
        stolen = self._directory.overtaken.get(sha256)
        if stolen is not None:
            log.warning("refresh token came twice", session=stolen)
            await self.end([stolen])
            return None
        session = self.live(self._directory.by_hash.get(sha256, -1))
        if session is None:
            return None
        following = make_secret(REFRESH, self._random)
        now_ns = self._clock.now_ns()
        async with self._directory.changing(session.user) as connection:
            done = await connection.execute(
                "UPDATE user_sessions SET sha256 = $3, before = $2, used_ns = $4"
                " WHERE id = $1 AND sha256 = $2",
                session.id,
                sha256,
                hashed(following),
                now_ns,
            )
        if done != "UPDATE 1":  # another gateway was asked with it too
            await self.end([session.id])
            return None
        return self._directory.sessions[session.id], following

    async def number_of(self, secret: str) -> int | None:
        """Give the number of the session of a refresh token, also of one that was used."""
        if not is_secret(REFRESH, secret):
            return None
        await self._directory.fresh()
        sha256 = hashed(secret)
        await self._know(sha256)
        return self._directory.by_hash.get(sha256, self._directory.overtaken.get(sha256))

    def of_user(self, user: int | None) -> list[Session]:
        """Give the live sessions of a user, the newest first, with the instants of last use."""
        if user is None:
            return []
        return [
            msgspec.structs.replace(session, used_ns=self._last_use_ns(session))
            for session in self._directory.sessions_of(user)
            if self.live(session.id) is not None
        ]

    def live(self, number: int) -> Session | None:
        """Give a session that has not ended, of a user who is active."""
        session = self._directory.sessions.get(number)
        if session is None:
            return None
        user = self._directory.users.get(session.user)
        now_ns = self._clock.now_ns()
        idle_ns = now_ns - self._last_use_ns(session)
        is_over = now_ns >= session.expires_ns or idle_ns >= self._config.idle_days * DAY_NS
        return None if is_over or user is None or not user.active else session

    def principal(self, session: Session) -> Principal:
        """Give who a live session belongs to, as that one is now; and note that it was used."""
        user = self._directory.users[session.user]
        self._note_use(session.id)
        scope = None if user.scope is None else frozenset(user.scope)
        return Principal(
            user.name, user.role, Kind.USER, scope=scope, user=user.id, session=session.id
        )

    def is_live(self, principal: Principal) -> bool:
        """Tell whether a principal would still be given as it was."""
        session = self.live(principal.session if principal.session is not None else -1)
        if session is None:
            return False
        user = self._directory.users[session.user]
        scope = None if user.scope is None else frozenset(user.scope)
        return user.role is principal.role and scope == principal.scope

    async def end(self, sessions: list[int]) -> None:
        """End sessions at once."""
        users = {
            self._directory.sessions[n].user for n in sessions if n in self._directory.sessions
        }
        self._directory.forget_sessions(sessions)
        async with self._directory.changing(users.pop() if len(users) == 1 else None) as connection:
            await connection.execute(
                "DELETE FROM user_sessions WHERE id = ANY($1::bigint[])", sessions
            )

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._write_used()

    def _last_use_ns(self, session: Session) -> int:
        return max(session.used_ns, self._used.get(session.id, 0))

    def _note_use(self, session: int) -> None:
        self._used[session] = self._clock.now_ns()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(USED_WRITE_S, self._start_writing)

    def _start_writing(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self._write_used(), name="last use of sessions")

    async def _write_used(self) -> None:
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._directory.changing() as connection:
                await connection.executemany(
                    "UPDATE user_sessions SET used_ns = greatest(used_ns, $2) WHERE id = $1",
                    list(used.items()),
                )
        except DATABASE_ERRORS as error:
            self._used = used | self._used
            log.warning("last use of sessions not written", reason=first_line(error))


def csrf_token(cookie: str) -> str:
    """Give the token that pages send with what changes something; the cookie cannot be had from
    it, nor it from anywhere but the cookie."""
    return hmac.new(cookie.encode(), b"telerig csrf", hashlib.sha256).hexdigest()
