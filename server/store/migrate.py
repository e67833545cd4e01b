"""Brings a database's schema to the one that this version knows.

Migrations are the files `migrations/NNNN_name.sql`, applied in order, each in a transaction of
its own with the row that records it, under an advisory lock: several gateways may start at once.
A file that was applied somewhere must never change: the database holds its sha256.
"""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.errors import MigrationError
from server.store.connection import first_line

log = structlog.get_logger("telerig.store")

LOCK_KEY = 0x7E1E_0001  # any number that no other program uses
LOCK_TIMEOUT_S = 8.0  # below the timeout of commands, which would hide the reason

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Hash of the file, in hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations() -> tuple[Migration, ...]:
    """Read the migrations that this version carries, by version."""
    folder = resources.files("server.store") / "migrations"
    found = []
    for file in folder.iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), match[2], sql))
    return tuple(sorted(found, key=lambda migration: migration.version))


async def migrate(
    connection: asyncpg.Connection,
    clock: Clock,
    migrations: tuple[Migration, ...] | None = None,
) -> int:
    """Apply what is missing and give the number of steps that were applied.

    Raises:
        MigrationError: the schema is newer than this version, a step was changed after it was
            applied, a step is missing, or a step failed (which leaves the schema as it was).
    """
    known = load_migrations() if migrations is None else migrations
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
        for migration in known[len(applied) :]:
            await _apply(connection, migration, clock)
        return len(known) - len(applied)
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
