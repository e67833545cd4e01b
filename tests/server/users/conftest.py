"""Fixtures: a clock that a test moves, users on a real database, cheap hashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from server.clock import SystemClock
from server.store.connection import connect
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import migrate
from server.users import password
from server.users.config import UsersConfig
from server.users.service import Users
from tests.server.hand_clock import HandClock

SECRET = "correct horse battery"
PASSWORD = "engine analytical 1"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash with little work."""
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    monkeypatch.setattr(password, "TIME_COST", 1)


@pytest.fixture(scope="session")
def shared_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """One database with all tables for the tests of this room: to make one takes half a second."""
    url = postgres.create_database("users")

    async def fill() -> None:
        connection = await connect(url)
        await migrate(connection, SystemClock())
        await connection.close()

    asyncio.run(fill())
    yield url
    postgres.drop_database("users")


@pytest.fixture
def database_url(shared_database: str) -> str:
    """That database, without users and devices."""

    async def empty() -> None:
        connection = await connect(shared_database)
        await connection.execute(
            "TRUNCATE users, user_sessions, token_keys, audit, devices, device_keys, sessions"
            " RESTART IDENTITY CASCADE"
        )
        await connection.close()

    asyncio.run(empty())
    return shared_database


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to it."""
    async with asyncpg.create_pool(database_url, min_size=0, max_size=2) as pool:
        yield pool


@pytest.fixture
def clock() -> HandClock:
    """The clock of the users under test."""
    return HandClock()


@pytest.fixture
async def users(pool: asyncpg.Pool, clock: HandClock) -> AsyncIterator[Users]:
    """A gateway's users; none yet."""
    made = Users(pool, UsersConfig(), clock)
    yield made
    await made.close()
