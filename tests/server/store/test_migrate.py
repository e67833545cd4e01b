"""Migrations."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

import server.store.migrate as migrate_module
from server.clock import SystemClock
from server.errors import MigrationError
from server.readings import Reading, State
from server.store.body import decode_body, encode_body
from server.store.cli import COMMAND
from server.store.compactor import Compactor
from server.store.connection import connect
from server.store.hotlog import Batch, HotLog
from server.store.migrate import Migration, applied_versions, load_migrations, migrate

ONE = Migration(1, "one", "CREATE TABLE one (x int); CREATE TABLE uno (x int);")
TWO = Migration(2, "two", "CREATE TABLE two (x int);")
BAD = Migration(2, "bad", "CREATE TABLE half (x int); SELECT nonsense;")


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to an empty database."""
    connection = await connect(empty_database_url)
    yield connection
    await connection.close()


async def run(connection: asyncpg.Connection, *migrations: Migration) -> int:
    """Migrate by the given steps."""
    return await migrate(connection, SystemClock(), migrations)


def test_the_carried_migrations_are_numbered() -> None:
    """The files have ascending numbers, none twice; from the sixth on there is a way back."""
    versions = [migration.version for migration in load_migrations()]
    assert versions[:6] == [1, 2, 3, 4, 5, 6]
    assert versions == sorted(set(versions))
    assert all(m.down is not None for m in load_migrations() if m.version >= 6)


async def test_steps_are_applied_once(connection: asyncpg.Connection) -> None:
    """Each step runs once; a newer version adds its own."""
    assert await run(connection, ONE) == 1
    assert await run(connection, ONE) == 0
    assert await run(connection, ONE, TWO) == 1
    rows = await connection.fetch("SELECT * FROM telerig_migrations ORDER BY version")
    assert [(row["version"], row["name"]) for row in rows] == [(1, "one"), (2, "two")]
    assert all(row["applied_ns"] > 1_600_000_000_000_000_000 for row in rows)


async def test_several_gateways_at_once(empty_database_url: str) -> None:
    """Gateways that start together apply each step once."""

    async def one() -> int:
        connection = await connect(empty_database_url)
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
    connection: asyncpg.Connection, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that somebody holds for too long is an error that says so, not a hang."""
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT_S", 0.05)
    other = await connect(empty_database_url)
    await other.execute(f"SELECT pg_advisory_lock({migrate_module.LOCK_KEY})")
    with pytest.raises(MigrationError, match="stuck in its migrations"):
        await run(connection, ONE)
    await other.close()


async def test_no_right_to_change_the_schema(
    connection: asyncpg.Connection, empty_database_url: str
) -> None:
    """A user without rights gets one line."""
    await connection.execute(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'poor')"
        " THEN CREATE ROLE poor LOGIN; END IF; END $$"
    )
    poor = await connect(empty_database_url.replace("postgres@", "poor@"))
    with pytest.raises(MigrationError, match="permission denied for schema public"):
        await run(poor, ONE)
    await poor.close()


async def test_back_and_forth(connection: asyncpg.Connection) -> None:
    """Steps are taken back, the last one first, down to the one that is named; and come again."""
    one = Migration(1, "one", ONE.sql, "DROP TABLE one, uno;")
    two = Migration(4, "two", TWO.sql, "DROP TABLE two;")  # numbers may be left out
    assert await run(connection, one, two) == 2
    assert await migrate(connection, SystemClock(), (one, two), to=1) == 1
    assert await connection.fetchval("SELECT to_regclass('two')") is None
    assert await migrate(connection, SystemClock(), (one, two), to=1) == 0
    assert await migrate(connection, SystemClock(), (one, two), to=0) == 1
    assert await applied_versions(connection) == []
    assert await migrate(connection, SystemClock(), (one, two), to=1) == 1
    assert await run(connection, one, two) == 1
    assert await applied_versions(connection) == [1, 4]


async def test_no_way_back_is_told(connection: asyncpg.Connection) -> None:
    """A step without a way back is named, and so is one that fails, which changes nothing."""
    await run(connection, ONE, TWO)
    with pytest.raises(MigrationError, match="0002_two has no way back: restore a backup"):
        await migrate(connection, SystemClock(), (ONE, TWO), to=1)
    two = Migration(2, "two", TWO.sql, "DROP TABLE two; DROP TABLE nothing;")
    with pytest.raises(MigrationError, match="0002_two could not be taken back and changed no"):
        await migrate(connection, SystemClock(), (ONE, two), to=1)
    assert await connection.fetchval("SELECT to_regclass('two')") is not None
    assert await applied_versions(connection) == [1, 2]


@pytest.mark.promise("T11")
async def test_every_step_goes_back_and_forth(connection: asyncpg.Connection) -> None:
    """The steps that this version carries, down to the fifth, leave the tables that were there."""
    carried = load_migrations()
    await migrate(connection, SystemClock(), carried, to=5)
    before = await _schema(connection)
    for _ in range(2):
        await migrate(connection, SystemClock())
        assert await _schema(connection) != before
        await migrate(connection, SystemClock(), to=5)
        assert await _schema(connection) == before


SCHEMA = """
    SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, '') AS def
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT tablename, '', indexdef, '', '' FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f')
    ORDER BY 1, 2, 3, 4, 5
"""


async def _schema(connection: asyncpg.Connection) -> list[tuple[str, ...]]:
    return [tuple(row) for row in await connection.fetch(SCHEMA)]


@pytest.mark.promise("T11")
async def test_readings_go_forth_and_back(
    connection: asyncpg.Connection, empty_database_url: str
) -> None:
    """Data of the version before segments: none is lost or doubled on the way there and back,
    and what is sent again is known on either side."""
    clock = SystemClock()
    await migrate(connection, clock, to=5)
    await connection.execute("INSERT INTO sessions (device, boot, opened_ns) VALUES ('a', 7, 1)")
    times = [1_760_000_000_000_000_000 + n * 10_000_000 for n in range(60)]
    readings = [Reading(12 + n % 2, t, n / 4, t, State(n % 2)) for n, t in enumerate(times)]
    for seq in (1, 21, 51):
        part = readings[seq - 1 : seq + 9]
        body = encode_body(part)
        await connection.execute(
            "INSERT INTO hot VALUES ('a', 7, $1, $2, 1, $3, $4, $5, $6)",
            seq, seq + 9, part[0].time_ns, part[-1].time_ns, seq, body,
        )  # fmt: skip
    rows = await connection.fetch("SELECT * FROM hot ORDER BY seq_first")

    await migrate(connection, clock)
    live = await connection.fetch("SELECT * FROM hot_live ORDER BY seq_first")
    assert [tuple(row)[:9] for row in live] == [tuple(row) for row in rows]
    await Compactor(empty_database_url, clock).run_once(all_of_it=True)
    assert await connection.fetchval("SELECT sum(samples) FROM segments") == 30
    late = readings[10:20]
    log = HotLog(empty_database_url, device="a", boot=7, clock=clock)
    await log.open()
    await log.append(Batch.of(11, late))
    await log.append(Batch.of(1, readings[:10]))
    await log.close()

    await migrate(connection, clock, to=5)
    found: list[tuple[int, float, int]] = []
    numbers: set[int] = set()
    for row in await connection.fetch("SELECT * FROM hot"):
        numbers.update(range(row["seq_first"], row["seq_last"] + 1))
        found += [(r.time_ns, r.value, r.state) for r in decode_body(row["body"])]
    expected = [*readings[:20], *readings[20:30], *readings[50:60]]
    assert sorted(found) == sorted((r.time_ns, r.value, r.state) for r in expected)
    assert numbers == {*range(1, 31), *range(51, 61)}

    await migrate(connection, clock)
    for _ in range(2):
        await Compactor(empty_database_url, clock).run_once(all_of_it=True)
    assert await connection.fetchval("SELECT sum(samples) FROM segments") == 40


@pytest.mark.promise("T11")
async def test_the_command(empty_database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`telerig migrate` goes forth, back and tells what there is; a wrong number is refused."""

    async def telerig(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        COMMAND.add_arguments(parser)
        return await asyncio.to_thread(COMMAND.run, parser.parse_args(arguments))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELERIG_DATABASE_URL", empty_database_url)
        assert await telerig("--status", "--json") == 0
        assert json.loads(capsys.readouterr().out)["now"] == 0
        assert await telerig("--json") == 0
        report = json.loads(capsys.readouterr().out)
        assert report["changed"] == len(report["steps"])
        assert await telerig("--to", "5") == 0
        assert "schema at step 5, was at" in capsys.readouterr().out
        assert await telerig("--to", "7777") == 1
        assert "expected --to one of 0, 1, 2" in capsys.readouterr().err
        patch.setenv("TELERIG_DATABASE_ENABLED", "false")
        assert await telerig() == 2
        assert "[database] enabled = false" in capsys.readouterr().err
