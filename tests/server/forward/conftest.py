"""Two databases for all tests of forwarding: to make one costs more than most of them."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from server.store.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def forward_databases(postgres: EmbeddedPostgres) -> Iterator[tuple[str, str]]:
    """The near one and the far one."""
    names = ("forward_near", "forward_far")
    yield postgres.create_database(names[0]), postgres.create_database(names[1])
    for name in names:
        postgres.drop_database(name)


async def _emptied(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval("SELECT to_regclass('hot')") is not None:
            await connection.execute("TRUNCATE hot, sessions, device_boots CASCADE")
    finally:
        await connection.close()
    return url


@pytest.fixture
async def database_url(forward_databases: tuple[str, str]) -> str:
    """The near database, without readings."""
    return await _emptied(forward_databases[0])


@pytest.fixture
async def far_url(forward_databases: tuple[str, str]) -> str:
    """The far database, without readings."""
    return await _emptied(forward_databases[1])
