"""Faults of the database, on a real server: what a client sees, and what the server has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from rig.faults import FaultSpec
from rig.worker.database_control import DatabaseControl, StewardError
from rig.worker.database_proxy import DatabaseProxy, server_of, url_at
from server.store.embedded import EmbeddedPostgres

CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = 'bare' AND application_name = 'me'"
)


def fault(kind: str) -> FaultSpec:
    """A fault of the database."""
    return FaultSpec(kind, "database", ((1.0, 2.0),), {}, kind)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[DatabaseProxy]:
    """What stands before a database in a paced run."""
    proxy = DatabaseProxy(tmp_path / "doors", pace=1.0)
    yield proxy
    proxy.close()


@pytest.fixture
def control(proxy: DatabaseProxy, url: str) -> Iterator[DatabaseControl]:
    """Strikes the database, which may run full."""
    control = DatabaseControl(proxy, [url], [fault("database_full")])
    yield control
    control.close()


async def me(url: str) -> asyncpg.Connection:
    """Connect under a name."""
    return await asyncpg.connect(url, server_settings={"application_name": "me"})


async def in_thread(action: Any, *args: Any) -> None:
    """Strike as the world does: in another thread than the client's loop."""
    await asyncio.to_thread(action, *args)


async def test_down_cuts_and_refuses(
    server: EmbeddedPostgres, url: str, proxy: DatabaseProxy, control: DatabaseControl
) -> None:
    """57P01 out of the server itself, nobody in pg_stat_activity, and then nobody listens."""
    door = proxy.url(url)
    connection, watcher = await me(door), await asyncpg.connect(server.url("postgres"))
    assert await watcher.fetchval(CONNECTIONS) == 1
    waiting = asyncio.create_task(connection.fetchval("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.1)
    await in_thread(control.shut_down)
    with pytest.raises(asyncpg.ConnectionDoesNotExistError) as shut:
        await waiting
    assert isinstance(shut.value.__cause__, asyncpg.AdminShutdownError)
    assert shut.value.__cause__.sqlstate == "57P01"
    assert connection.is_closed()
    assert await watcher.fetchval(CONNECTIONS) == 0
    with pytest.raises(ConnectionRefusedError):
        await me(door)
    await in_thread(control.start_up)
    connection = await me(door)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
    await watcher.close()


async def test_full_refuses_what_writes(
    url: str, proxy: DatabaseProxy, control: DatabaseControl
) -> None:
    """SQLSTATE 53100 for insert and update; what reads is answered; then all is well again."""
    connection = await me(proxy.url(url))
    insert = "INSERT INTO devices (id, name, registered_ns) VALUES ($1, 'a', 1)"
    await connection.execute(insert, "before")
    await in_thread(control.fill)
    for statement in (insert, "UPDATE devices SET name = $1"):
        with pytest.raises(asyncpg.DiskFullError) as full:
            await connection.execute(statement, "while")
        assert full.value.sqlstate == "53100"
        assert "No space left on device" in str(full.value)
    assert await connection.fetchval("SELECT array_agg(id) FROM devices") == ["before"]
    await in_thread(control.make_room)
    await connection.execute(insert, "after")
    assert await connection.fetchval("SELECT count(*) FROM devices") == 2
    await connection.close()


async def test_slow_takes_half_each_way(
    url: str, proxy: DatabaseProxy, control: DatabaseControl
) -> None:
    """An exchange takes what two lags take, at the least; afterwards it is quick again."""
    connection = await me(proxy.url(url))
    end = control.slow(lambda: 0.15)
    begin_s = time.monotonic()
    assert await connection.fetchval("SELECT 1") == 1
    assert time.monotonic() - begin_s >= 0.3
    end()
    lag_of_nothing = proxy._lag_s()
    assert lag_of_nothing == 0.0
    await connection.close()


def test_a_database_that_does_not_answer(proxy: DatabaseProxy, tmp_path: Path) -> None:
    """What cannot be struck says so in one line."""
    with pytest.raises(StewardError, match="expected to strike the run's database"):
        DatabaseControl(proxy, [f"postgresql://nobody@/none?host={tmp_path}"], [])


@pytest.mark.parametrize(
    ("url", "server", "told"),
    [
        (
            "postgresql://postgres@/run?host=/tmp/pg",
            "/tmp/pg/.s.PGSQL.5432",
            "postgresql://postgres@/run?host=%2Fhere",
        ),
        (
            "postgresql://me:secret@db.example:6432/run?sslmode=require&connect_timeout=3",
            ("db.example", 6432),
            "postgresql://me:secret@/run?connect_timeout=3&host=%2Fhere",
        ),
        ("postgresql:///run", ("localhost", 5432), "postgresql:///run?host=%2Fhere"),
    ],
)
def test_urls(url: str, server: str | tuple[str, int], told: str) -> None:
    """A gateway finds the same database of the same user behind the proxy's socket."""
    assert server_of(url) == server
    assert url_at(url, Path("/here")) == told
