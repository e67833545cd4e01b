"""Accounts: made, changed, switched off; never deleted: the audit log names somebody."""

from __future__ import annotations

import re
from collections.abc import Sequence

import asyncpg
import msgspec
import structlog

from server.answers import Refusal
from server.api.role import Role
from server.clock import Clock
from server.devices.key import DEVICE_ID
from server.users.directory import Directory, User
from server.users.password import Passwords, check_bcrypt, check_new, is_bcrypt

log = structlog.get_logger("telerig.users")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
NAME_EXPECTED = "1 to 64 letters, digits, '.', '_', '@' or '-', the first a letter or digit"
EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f\"<>]{1,64}@[^\s@\x00-\x1f\x7f\"<>]{1,190}")
ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
SCOPE_LIMIT = 1_000
USERS_LIMIT = 10_000
LOCK_KEY = 0x7E1E_0013
"""Whoever looks whether there is an admin, and acts on it, holds it; on any gateway."""


class Changes(msgspec.Struct, frozen=True):
    """What is to be changed of an account; UNSET: stays as it is."""

    role: Role | msgspec.UnsetType = msgspec.UNSET
    scope: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    email: str | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET


class Accounts:
    """The table of users.

    Args:
        directory: what is known of it.
        passwords: hashes.
        clock: for instants.
    """

    def __init__(self, directory: Directory, passwords: Passwords, clock: Clock) -> None:
        self._directory = directory
        self._passwords = passwords
        self._clock = clock

    async def is_empty(self) -> bool:
        """Tell whether there is no account at all, not even one that is switched off."""
        await self._directory.fresh()
        return not self._directory.users

    async def all(self) -> list[User]:
        """Give the accounts by name."""
        await self._directory.fresh()
        return sorted(self._directory.users.values(), key=lambda user: user.name.lower())

    async def find(self, name: str) -> User:
        """Give an account.

        Raises:
            Refusal: 404, there is none of that name.
        """
        await self._directory.fresh()
        user = self._directory.named(name)
        if user is None:
            raise Refusal(404, "user", "the name of a user", repr(name[:80]))
        return user

    async def create(
        self,
        name: str,
        password: str,
        role: Role,
        *,
        email: str = "",
        scope: Sequence[str] | None = None,
        first: bool = False,
    ) -> User:
        """Make an account; `password` may be a bcrypt hash of an older system.

        Args:
            name: to sign in with.
            password: chosen.
            role: viewer, operator or admin.
            email: for people.
            scope: devices that may be seen; None: all.
            first: only where there is no account yet.

        Raises:
            Refusal: 400 for a wrong name, password or scope; 409 where it is there already.
        """
        if not NAME.fullmatch(name):
            raise Refusal(400, "name", NAME_EXPECTED, repr(name[:80]))
        check_email(email)
        wanted = checked_scope(role, scope)
        if is_bcrypt(password) and len(password) == 60:
            check_bcrypt(password)
            kept = password
        else:
            check_new(password, name, email)
            kept = await self._passwords.hash(password)
        await self._directory.fresh()
        async with self._directory.changing() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
            number = await connection.fetchval("SELECT count(*) FROM users")
            if first and number:
                raise Refusal(409, "setup", "a gateway without users", "one that has some")
            if number >= USERS_LIMIT:
                raise Refusal(409, "users", f"at most {USERS_LIMIT} of them", "one more")
            found = await connection.fetchval(
                "INSERT INTO users (name, email, role, scope, password, made_ns)"
                " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id",
                name,
                email,
                role.value,
                wanted,
                kept,
                self._clock.now_ns(),
            )
            if found is None:
                raise Refusal(409, "name", "a name that nobody has", repr(name))
        log.info("user created", user=name, role=role.value)
        return self._directory.users[found]

    async def change(self, name: str, changes: Changes) -> User:
        """Change an account; from the next request on.

        Raises:
            Refusal: 404 no such user; 400 for a wrong value; 409 where no admin would be left.
        """
        user = await self.find(name)
        role = user.role if changes.role is msgspec.UNSET else changes.role
        scope = user.scope if changes.scope is msgspec.UNSET else changes.scope
        if changes.scope is msgspec.UNSET and role is Role.ADMIN:
            scope = None
        email = user.email if changes.email is msgspec.UNSET else changes.email
        active = user.active if changes.active is msgspec.UNSET else changes.active
        check_email(email)
        wanted = checked_scope(role, scope)
        async with self._directory.changing(user.id) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
            if not (active and role is Role.ADMIN):
                await _check_other_admin(connection, user.id)
            await connection.execute(
                "UPDATE users SET role = $2, scope = $3, email = $4, active = $5 WHERE id = $1",
                user.id,
                role.value,
                wanted,
                email,
                active,
            )
            if not active:
                await connection.execute("DELETE FROM user_sessions WHERE user_id = $1", user.id)
        log.info("user changed", user=user.name, role=role.value, active=active)
        return self._directory.users[user.id]

    async def set_password(self, user: User, password: str, *, keep: int | None = None) -> None:
        """Give a user another password, and end all sessions but one (`keep`).

        Raises:
            Refusal: 400 where the password is too easy.
        """
        check_new(password, user.name, user.email)
        kept = await self._passwords.hash(password)
        sessions = [s.id for s in self._directory.sessions_of(user.id) if s.id != keep]
        self._directory.forget_sessions(sessions)
        async with self._directory.changing(user.id) as connection:
            await connection.execute("UPDATE users SET password = $2 WHERE id = $1", user.id, kept)
            await connection.execute(
                "DELETE FROM user_sessions WHERE user_id = $1 AND id IS DISTINCT FROM $2::bigint",
                user.id,
                keep,
            )
        log.info("password set", user=user.name)

    async def with_password(self, name: str, password: str) -> User | None:
        """Give the user of a name and password; None for all others, after the same work."""
        await self._directory.fresh()
        user = self._directory.named(name)
        # Asked also where there is no such user: the time of the answer is the same.
        number = user.id if user is not None and user.active else None
        kept = await self._directory.value("SELECT password FROM users WHERE id = $1", number)
        checked = await self._passwords.check(kept, password)
        if user is None or kept is None or not checked.is_right:
            return None
        async with self._directory.changing(user.id) as connection:
            await connection.execute(
                "UPDATE users SET last_login_ns = $2, password = coalesce($3, password)"
                " WHERE id = $1 AND password = $4",
                user.id,
                self._clock.now_ns(),
                checked.rehashed,
                kept,
            )
        found = self._directory.users.get(user.id)
        return found if found is not None and found.active else None


async def _check_other_admin(connection: asyncpg.Connection, user: int) -> None:
    """Refuse to leave nobody who can make users."""
    rows = await connection.fetch("SELECT id FROM users WHERE role = 'admin' AND active")
    if [row["id"] for row in rows] == [user]:
        raise Refusal(409, "user", "another admin first", "the last one")


def check_email(email: str) -> None:
    """Accept an e-mail address, or none."""
    if email and not (email.isprintable() and EMAIL.fullmatch(email)):
        raise Refusal(400, "email", "an address as ada@example.com", repr(email[:80]))


def checked_scope(role: Role, scope: Sequence[str] | None) -> list[str] | None:
    """Give a scope in order, each device once.

    Raises:
        Refusal: 400, it is none, or this role has none.
    """
    if role not in ROLES:
        raise Refusal(400, "role", ", ".join(ROLES), repr(role.value))
    if scope is None:
        return None
    if role is Role.ADMIN:
        raise Refusal(400, "scope", "none for an admin, who sees everything", "a list")
    if len(scope) > SCOPE_LIMIT:
        raise Refusal(400, "scope", f"at most {SCOPE_LIMIT} devices", f"{len(scope)}")
    for device in scope:
        if not DEVICE_ID.fullmatch(device):
            raise Refusal(400, "scope", "ids of devices", repr(device[:80]))
    return sorted(set(scope))
