"""Migrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

import server.store.migrate as migrate_module
from server.clock import SystemClock
from server.errors import MigrationError
from server.store.connection import connect
from server.store.migrate import Migration, load_migrations, migrate

ONE = Migration(1, "one", "CREATE TABLE one (x int); CREATE TABLE uno (x int);")
TWO = Migration(2, "two", "CREATE TABLE two (x int);")
BAD = Migration(2, "bad", "CREATE TABLE half (x int); SELECT nonsense;")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to an empty database."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def run(connection: asyncpg.Connection, *migrations: Migration) -> int:
    """Migrate by the given steps."""
    return await migrate(connection, SystemClock(), migrations)


def test_the_carried_migrations_are_numbered() -> None:
    """The files are 1, 2, 3, … without gaps."""
    found = load_migrations()
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))


async def test_steps_are_applied_once(connection: asyncpg.Connection) -> None:
    """Each step runs once; a newer version adds its own."""
    assert await run(connection, ONE) == 1
    assert await run(connection, ONE) == 0
    assert await run(connection, ONE, TWO) == 1
    rows = await connection.fetch("SELECT * FROM telerig_migrations ORDER BY version")
    assert [(row["version"], row["name"]) for row in rows] == [(1, "one"), (2, "two")]
    assert all(row["applied_ns"] > 1_600_000_000_000_000_000 for row in rows)


async def test_several_gateways_at_once(database_url: str) -> None:
    """Gateways that start together apply each step once."""

    async def one() -> int:
        connection = await connect(database_url)
        try:
            return await run(connection, ONE, TWO)
        finally:
            await connection.close()

    assert sorted(await asyncio.gather(*(one() for _ in range(4)))) == [0, 0, 0, 2]


async def test_a_failed_step_changes_nothing(connection: asyncpg.Connection) -> None:
    """A step that fails is rolled back, named, and may be tried again."""
    with pytest.raises(MigrationError, match="0002_bad failed and changed nothing: column"):
        await run(connection, ONE, BAD)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    assert await run(connection, ONE, TWO) == 1


async def test_a_newer_database_is_refused(connection: asyncpg.Connection) -> None:
    """A database of a newer version is left alone."""
    await run(connection, ONE, TWO)
    with pytest.raises(MigrationError, match=r"up to migration 0001, found 0002_two.*upgrade"):
        await run(connection, ONE)


async def test_a_changed_step_is_refused(connection: asyncpg.Connection) -> None:
    """A step whose text differs from what was applied is refused with both hashes."""
    await run(connection, ONE)
    other = Migration(1, "one", "CREATE TABLE one (y int);")
    with pytest.raises(MigrationError, match=f"{other.sha256[:12]}….* found {ONE.sha256[:12]}…"):
        await run(connection, other)


async def test_a_foreign_history_is_refused(connection: asyncpg.Connection) -> None:
    """A database whose steps are not ours is refused."""
    await run(connection, TWO)
    with pytest.raises(MigrationError, match="not made by this telerig"):
        await run(connection, ONE, TWO)


async def test_a_stuck_neighbour(
    connection: asyncpg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that somebody holds for too long is an error that says so, not a hang."""
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT_S", 0.05)
    other = await connect(database_url)
    await other.execute(f"SELECT pg_advisory_lock({migrate_module.LOCK_KEY})")
    with pytest.raises(MigrationError, match="stuck in its migrations"):
        await run(connection, ONE)
    await other.close()


async def test_no_right_to_change_the_schema(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """A user without rights gets one line."""
    await connection.execute(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'poor')"
        " THEN CREATE ROLE poor LOGIN; END IF; END $$"
    )
    poor = await connect(database_url.replace("postgres@", "poor@"))
    with pytest.raises(MigrationError, match="permission denied for schema public"):
        await run(poor, ONE)
    await poor.close()
