"""Brings a database's schema to the one that this version knows, or back to an earlier one.

Migrations are the files `migrations/NNNN_name.sql`, applied in order, each in a transaction of
its own with the row that records it, under an advisory lock: several gateways may start at once.
A file that was applied somewhere must never change: the database holds its sha256. Numbers may be
left out. `NNNN_name.down.sql` takes a step back, the last one first; what SQL cannot do is done
before it in the same transaction (`BEFORE_BACK`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.errors import MigrationError
from server.store.connection import first_line
from server.store.unpack import unpack_segments

log = structlog.get_logger("telerig.store")

LOCK_KEY = 0x7E1E_0001  # any number that no other program uses
LOCK_TIMEOUT_S = 8.0  # below the timeout of commands, which would hide the reason

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema; `down` takes it back, None where there is no way back."""

    version: int
    name: str
    sql: str
    down: str | None = None

    @property
    def sha256(self) -> str:
        """Hash of the file, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


BEFORE_BACK: Mapping[int, Callable[[asyncpg.Connection], Awaitable[None]]] = {6: unpack_segments}
"""What is done before the step back of a version."""


def load_migrations() -> tuple[Migration, ...]:
    """Read the migrations that this version carries, by version."""
    folder = resources.files("server.store") / "migrations"
    found = []
    for file in folder.iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            sql = file.read_text(encoding="utf-8")
            back = folder / f"{match[1]}_{match[2]}.down.sql"
            down = back.read_text(encoding="utf-8") if back.is_file() else None
            found.append(Migration(int(match[1]), match[2], sql, down))
    return tuple(sorted(found, key=lambda migration: migration.version))


async def migrate(
    connection: asyncpg.Connection,
    clock: Clock,
    migrations: tuple[Migration, ...] | None = None,
    to: int | None = None,
) -> int:
    """Apply what is missing, up to the step `to` (None: all), and take back what is after it.

    Gives the number of steps that were applied, or taken back.

    Raises:
        MigrationError: the schema is newer than this version, a step was changed after it was
            applied, a step is missing or has no way back, or a step failed (which leaves the
            schema as it was).
    """
    known = load_migrations() if migrations is None else migrations
    last = known[-1].version if to is None else to
    try:
        await connection.execute(f"SET lock_timeout = {round(LOCK_TIMEOUT_S * 1000)}")
        await connection.execute(f"SELECT pg_advisory_lock({LOCK_KEY})")
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"expected the migration lock within {LOCK_TIMEOUT_S:g} s, got: {first_line(error)}; "
            "is another gateway stuck in its migrations?"
        ) from error
    try:
        applied = await _applied(connection)
        _check(applied, known)
        back = [step for step in reversed(known[: len(applied)]) if step.version > last]
        for migration in back:
            await _take_back(connection, migration)
        forth = [step for step in known[len(applied) :] if step.version <= last]
        for migration in forth:
            await _apply(connection, migration, clock)
        return len(back) + len(forth)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"the schema cannot be read: {first_line(error)}") from error
    finally:
        if not connection.is_closed():
            await connection.execute(f"SELECT pg_advisory_unlock({LOCK_KEY})")
            await connection.execute("SET lock_timeout = 0")


async def _applied(connection: asyncpg.Connection) -> list[tuple[int, str, str]]:
    await connection.execute(
        """
        CREATE TABLE IF NOT EXISTS telerig_migrations (
            version    integer PRIMARY KEY,
            name       text   NOT NULL,
            sha256     text   NOT NULL,
            applied_ns bigint NOT NULL
        )
        """
    )
    rows = await connection.fetch(
        "SELECT version, name, sha256 FROM telerig_migrations ORDER BY version"
    )
    return [(row["version"], row["name"], row["sha256"]) for row in rows]


def _check(applied: list[tuple[int, str, str]], known: tuple[Migration, ...]) -> None:
    for position, (version, name, sha256) in enumerate(applied):
        if position >= len(known):
            raise MigrationError(
                f"expected a schema up to migration {known[-1].version:04d}, found "
                f"{version:04d}_{name}: the database was used by a newer telerig; "
                "upgrade this one, or use another database"
            )
        migration = known[position]
        if version != migration.version:
            raise MigrationError(
                f"expected migration {migration.version:04d}_{migration.name} in the database, "
                f"found {version:04d}_{name}: it was not made by this telerig; use another database"
            )
        if sha256 != migration.sha256:
            raise MigrationError(
                f"expected migration {version:04d}_{name} with sha256 {migration.sha256[:12]}…, "
                f"found {sha256[:12]}…: the file was changed after it was applied; "
                "restore it, or use another database"
            )


async def _apply(connection: asyncpg.Connection, migration: Migration, clock: Clock) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO telerig_migrations (version, name, sha256, applied_ns)"
                " VALUES ($1, $2, $3, $4)",
                migration.version,
                migration.name,
                migration.sha256,
                clock.now_ns(),
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"migration {migration.version:04d}_{migration.name} failed and changed nothing: "
            f"{first_line(error)}"
        ) from error
    log.info("migration applied", version=migration.version, name=migration.name)


async def _take_back(connection: asyncpg.Connection, migration: Migration) -> None:
    name = f"{migration.version:04d}_{migration.name}"
    if migration.down is None:
        raise MigrationError(f"migration {name} has no way back: restore a backup from before it")
    prepare = BEFORE_BACK.get(migration.version)
    try:
        async with connection.transaction():
            if prepare is not None:
                await prepare(connection)
            await connection.execute(migration.down, timeout=None)
            await connection.execute(
                "DELETE FROM telerig_migrations WHERE version = $1", migration.version
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(
            f"migration {name} could not be taken back and changed nothing: {first_line(error)}"
        ) from error
    log.info("migration taken back", version=migration.version, name=migration.name)


async def applied_versions(connection: asyncpg.Connection) -> list[int]:
    """Give the steps that a database has; none where it was never used."""
    if await connection.fetchval("SELECT to_regclass('telerig_migrations')") is None:
        return []
    rows = await connection.fetch("SELECT version FROM telerig_migrations ORDER BY version")
    return [row["version"] for row in rows]
