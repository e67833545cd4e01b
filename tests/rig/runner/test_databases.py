"""Databases of runs: empty at first, then copies of one that has its schema."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from rig.runner import databases
from rig.runner.databases import EMPTY_ONES, Databases
from server.store.migrate import load_migrations

TABLES = """
    SELECT array_agg(relname::text ORDER BY relname) FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
"""
OURS = "SELECT count(*) FROM pg_database WHERE datname LIKE 'telerig\\_%'"


def ask(url: str, question: str) -> Any:
    """Return the first value of the answer."""

    async def fetch() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(fetch())


@pytest.fixture
def ours(server_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databases]:
    """Databases on a server that outlives them."""
    monkeypatch.setenv(databases.URL_VARIABLE, server_url)
    with Databases() as found:
        yield found


def test_the_third_is_prepared(ours: Databases) -> None:
    """The first ones are as PostgreSQL makes them; later ones have all migrations, and no row."""
    urls = [ours.fresh() for _ in range(EMPTY_ONES + 2)]
    assert [ask(url, TABLES) for url in urls[:EMPTY_ONES]] == [None] * EMPTY_ONES
    for url in urls[EMPTY_ONES:]:
        assert {"hot_0", "telerig_migrations"} <= set(ask(url, TABLES))
        assert ask(url, "SELECT count(*) FROM telerig_migrations") == len(load_migrations())
        assert ask(url, "SELECT count(*) FROM hot_live") == 0
    for url in urls:
        ours.drop(url)


def test_nothing_stays_on_a_server_of_others(ours: Databases, server_url: str) -> None:
    """What the copies were made from goes at the end."""
    before = ask(server_url, OURS)
    urls = [ours.fresh() for _ in range(EMPTY_ONES + 1)]
    assert ask(server_url, OURS) == before + len(urls) + 1
    for url in urls:
        ours.drop(url)
    ours.close()
    assert ask(server_url, OURS) == before


def test_without_a_schema_all_are_empty(ours: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be prepared, a gateway finds what it found before, and migrates itself."""

    def refuse(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, "migrate")

    monkeypatch.setattr(subprocess, "run", refuse)
    urls = [ours.fresh() for _ in range(EMPTY_ONES + 1)]
    assert ask(urls[-1], TABLES) is None
    for url in urls:
        ours.drop(url)
