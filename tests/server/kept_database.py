"""One database for the tests of a room, emptied before each: a new one costs ten times as much."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from server.clock import SystemClock
from server.store.connection import connect
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import migrate

_TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND NOT relispartition
      AND relnamespace = current_schema()::regnamespace
    ORDER BY relname
"""


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kept_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database with all tables, and how to empty it."""
    name = f"kept_{next(_numbers)}"
    url = postgres.create_database(name)

    async def prepare() -> str:
        connection = await connect(url)
        await migrate(connection, SystemClock())
        tables = [row[0] for row in await connection.fetch(_TABLES)]
        # What the migrations themselves have put somewhere stays.
        empty = [
            table
            for table in tables
            if not await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})")
        ]
        await connection.close()
        return f"TRUNCATE {', '.join(empty)} RESTART IDENTITY CASCADE"

    yield f"{url}\n{asyncio.run(prepare())}"
    postgres.drop_database(name)


@pytest.fixture
async def database_url(kept_database: str) -> str:
    """The database, empty."""
    url, truncate = kept_database.split("\n")
    connection = await connect(url)
    await connection.execute(truncate)
    await connection.close()
    return url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with all tables."""
    connection = await connect(database_url)
    yield connection
    await connection.close()
