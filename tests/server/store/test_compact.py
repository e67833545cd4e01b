"""`telerig compact`: compaction in a process of its own, one of however many."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import server.store.compaction_watch as watch_module
from server.clock import SystemClock
from server.config import GatewayConfig, parse_config
from server.errors import ConfigError, DatabaseUnreachable, MigrationError, NameTaken
from server.instances.cli import shown
from server.instances.shard import STORE
from server.operation.metrics import render
from server.store.appends import Append
from server.store.cli import COMPACT
from server.store.compact import compact
from server.store.compaction_watch import CompactionWatch
from server.store.config import ELSEWHERE, StoreConfig
from server.store.connection import PlainConnection, connect
from server.store.devicelog import DeviceLog
from tests.server.instances.test_instances import ask, table
from tests.server.store.test_devicelog import piece

PATIENCE_S = 30
ALONE = '[store]\ncompactor = "elsewhere"\ncompact_after_s = 0.05\n'
SEVERAL = f'{ALONE}[instances]\nname = "gw-a"\nlease_s = 0.5\n'
PROGRAM = """
import argparse, sys
from server.store.cli import COMPACT
parser = argparse.ArgumentParser("telerig compact")
COMPACT.add_arguments(parser)
sys.exit(COMPACT.run(parser.parse_args()))
"""


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition, which may have to ask."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


def config_of(url: str, text: str) -> GatewayConfig:
    """A configuration of a gateway that does not compact."""
    return parse_config(text, "gw-a.toml", {"TELERIG_DATABASE_URL": url})


@contextlib.asynccontextmanager
async def compacting(
    config: GatewayConfig, name: str | None = None, told: list[str] | None = None
) -> AsyncIterator[None]:
    """Compact around a block."""
    stop = asyncio.Event()
    words: list[str] = [] if told is None else told
    task = asyncio.create_task(compact(config, name=name, stop=stop, tell=words.append))
    try:
        await until(lambda: task.done() or any(word.startswith("ready") for word in words))
        yield
    finally:
        stop.set()
        await task


@contextlib.asynccontextmanager
async def started(
    file: Path, url: str, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "--config", str(file), *arguments,
        env={**os.environ, "TELERIG_DATABASE_URL": url, "TELERIG_LOG_FORMAT": "json"},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to look with."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def device_log(database_url: str) -> AsyncIterator[DeviceLog]:
    """A log of devices."""
    log = DeviceLog(database_url, clock=SystemClock())
    yield log
    await log.close()


async def compacted(connection: asyncpg.Connection) -> int:
    """How many readings are in segments."""
    return int(await connection.fetchval("SELECT coalesce(sum(samples), 0) FROM segments"))


async def owner(connection: asyncpg.Connection) -> str | None:
    """Who has the lease of the store."""
    name: str | None = await connection.fetchval("SELECT owner FROM leases WHERE place = $1", STORE)
    return name


async def test_beside_a_gateway_alone(
    run_gateway: Callable[..., Any], database_url: str, connection: asyncpg.Connection
) -> None:
    """The gateway compacts nothing, a process does; a second one waits for its end."""
    async with run_gateway(ALONE) as gateway:
        await gateway.ingest.log.append(Append("a", 7, [piece(1, 20)]))
        gateway.compactor.look()
        await asyncio.sleep(0.3)
        assert (await compacted(connection), gateway.compactor.counts.cycles) == (0, 0)
        config = config_of(database_url, ALONE)
        async with compacting(config):
            await until(lambda: compacted(connection))
            async with compacting(config):
                await gateway.ingest.log.append(Append("a", 7, [piece(21, 20)]))
                await asyncio.sleep(0.2)
        assert await compacted(connection) % 20 == 0
        assert b"telerig_compactor_cycles_total 0.0" in render(gateway)


async def test_among_several_gateways(
    run_gateway: Callable[..., Any], database_url: str, connection: asyncpg.Connection
) -> None:
    """It has the lease of the store and no shards, is nobody's share, and is seen by all."""
    more = "lease_s = 0.5\n[store]\ncompactor = 'elsewhere'\ncompact_after_s = 0.05"
    async with run_gateway(table("a", more)) as one, run_gateway(table("b", more)) as two:
        assert await owner(connection) is None
        assert "nobody compacts" in shown((await ask(one, "/api/v1/instances")).json())
        told: list[str] = []
        async with compacting(config_of(database_url, SEVERAL), told=told):
            await until(lambda: "compacts from now on" in told)
            assert await owner(connection) == "gw-a-compactor"
            await one.ingest.log.append(Append("a", 7, [piece(1, 20)]))
            await two.ingest.log.append(Append("b", 7, [piece(1, 20)]))
            async with asyncio.timeout(PATIENCE_S):
                while await compacted(connection) < 40:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            members = one.instances.members
            await until(lambda: any(each.is_store_owner for each in members.compactors))
            status = (await ask(one, "/api/v1/instances")).json()
            assert [each["name"] for each in status["living"]] == ["a", "b"]
            assert [each["shards"] for each in status["living"]] == [32, 32]
            (compactor,) = status["compactors"]
            assert (compactor["name"], compactor["shards"]) == ("gw-a-compactor", 0)
            lines = shown(status).splitlines()
            assert lines[3].split()[:4] == ["gw-a-compactor", "(compacts)", "0", "yes"]
            assert not any("nobody" in line for line in lines)
            assert not any(member.failing for member in one.instances.members.living)
            with pytest.raises(NameTaken):
                await compact(config_of(database_url, SEVERAL), stop=asyncio.Event())
        assert await owner(connection) is None
        assert any(word.startswith("compacted cycle=") for word in told)


async def test_killed_and_succeeded(
    tmp_path: Path, database_url: str, device_log: DeviceLog, connection: asyncpg.Connection
) -> None:
    """Two real processes: the one that works is killed, the other one goes on; SIGTERM is 0."""
    file = tmp_path / "gw-a.toml"
    file.write_text(SEVERAL, encoding="utf-8")
    async with (
        started(file, database_url, "--name", "c-1") as first,
        started(file, database_url, "--name", "c-2") as second,
    ):
        processes = {"c-1": first, "c-2": second}
        await until(lambda: owner(connection))
        await until_living(connection, 2)
        working = await owner(connection)
        assert working is not None
        await device_log.append(Append("a", 7, [piece(1, 20)]))
        await until(lambda: compacted(connection))
        await device_log.append(Append("a", 7, [piece(21, 20)]))
        processes.pop(working).kill()
        ((name, other),) = processes.items()
        await until(lambda: is_owner(connection, name))
        async with asyncio.timeout(PATIENCE_S):
            while await compacted(connection) < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        other.send_signal(signal.SIGTERM)
        _, said = await other.communicate()
        assert other.returncode == 0, said
        events = [json.loads(line)["event"] for line in said.decode().splitlines()]
        assert events[-1] == "stopped"
        assert "compacts from now on" in events
    assert await owner(connection) is None
    assert await compacted(connection) == 40


async def until_living(connection: asyncpg.Connection, count: int) -> None:
    """Wait until so many have joined."""

    async def are_there() -> bool:
        return bool(await connection.fetchval("SELECT count(*) FROM instances") == count)

    await until(are_there)


async def is_owner(connection: asyncpg.Connection, name: str) -> bool:
    """Whether this one has the store."""
    return await owner(connection) == name


async def test_one_that_is_alone_is_killed(
    tmp_path: Path, database_url: str, device_log: DeviceLog, connection: asyncpg.Connection
) -> None:
    """Without leases the lock of a process that was killed is free, and all is as it was."""
    file = tmp_path / "gateway.toml"
    file.write_text(ALONE, encoding="utf-8")
    async with started(file, database_url) as process:
        await device_log.append(Append("a", 7, [piece(1, 20)]))
        await until(lambda: compacted(connection))
        process.kill()
        await process.wait()
    await device_log.append(Append("a", 7, [piece(21, 20)]))
    async with compacting(config_of(database_url, ALONE)):
        async with asyncio.timeout(PATIENCE_S):
            while await compacted(connection) < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert await compacted(connection) == 40


# -- what is refused -------------------------------------------------------------------------------
@pytest.fixture
def no_database_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever the tests run with."""
    for name in ("TELERIG_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return iter(())


@pytest.mark.usefixtures("no_database_in_the_environment")
@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("", (), "[database] url: an embedded server is its gateway's own, found none"),
        (
            "[database]\nenabled = false\n",
            (),
            "[database] enabled = true, found false: nothing is kept",
        ),
        (
            "[database]\nurl = 'postgresql://x/x'\n",
            (),
            '[store] compactor = "elsewhere", found "gateway": gateways do it',
        ),
        (
            f"[database]\nurl = 'postgresql://x/x'\n{ALONE}",
            ("--name", "c-1"),
            "[instances] where there is a --name, found a gateway alone",
        ),
        (
            f"[database]\nurl = 'postgresql://x/x'\n{SEVERAL}",
            ("--name", "c 1"),
            "1 to 64 letters, digits, '.', '_' or '-', found 'c 1'",
        ),
    ],
)
def test_no_configuration_for_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    """Wrong usage is a line and exit code 2."""
    file = tmp_path / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    parser = argparse.ArgumentParser()
    COMPACT.add_arguments(parser)
    assert COMPACT.run(parser.parse_args(["--config", str(file), *arguments])) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"telerig compact: configuration: expected {expected}"


def test_an_embedded_server_has_nobody_else() -> None:
    """A gateway with an embedded server may not leave it to others."""
    with pytest.raises(ConfigError, match=r"gateway.toml:2: expected \"gateway\" where there is"):
        parse_config(ALONE, "gateway.toml", {})


async def test_no_schema_for_it(empty_database_url: str) -> None:
    """It makes no tables, and says who does; without a server it says that."""
    config = config_of(empty_database_url, ALONE)
    with pytest.raises(MigrationError, match="found step 0: start a gateway of this version"):
        await compact(config, stop=asyncio.Event())
    away = config_of("postgresql:///x?host=/nowhere&user=x", ALONE)
    with pytest.raises(DatabaseUnreachable):
        await compact(away, stop=asyncio.Event())


# -- whether somebody does it ----------------------------------------------------------------------
async def test_a_gateway_says_that_nobody_compacts(
    device_log: DeviceLog, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, when readings have waited for too long; and that somebody does it again."""
    monkeypatch.setattr(watch_module, "LOOK_S", 0.05)
    monkeypatch.setattr(watch_module, "PATIENCE_S", 0.1)
    store = StoreConfig(compactor=ELSEWHERE, compact_after_s=0.05)
    async with asyncpg.create_pool(
        database_url, min_size=0, max_size=1, connection_class=PlainConnection
    ) as pool:
        watch = CompactionWatch(pool, SystemClock(), store)
        watch.committed(1)
        await asyncio.sleep(0.15)
        assert watch.failing == ""
        await device_log.append(Append("a", 7, [piece(1, 20)]))
        watch.committed(1)
        await until(lambda: watch.failing)
        assert watch.failing.startswith("nobody compacts: the hot log has readings of 0 s ago")
        async with compacting(config_of(database_url, ALONE)):
            await until(lambda: not watch.failing)
        await watch.close()


async def test_a_pool_leaves_its_connections_as_they_are(database_url: str) -> None:
    """What a user sets for its transaction is over with it, also where it failed; nothing is
    asked of the server besides."""
    async with asyncpg.create_pool(
        database_url, min_size=1, max_size=1, connection_class=PlainConnection
    ) as pool:
        async with pool.acquire() as connection:
            assert connection.get_reset_query() == ""
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                async with connection.transaction():
                    await connection.execute("SET LOCAL statement_timeout = 1234")
                    await connection.fetchval("SELECT 1 / 0")
            begun = connection.transaction()
            await begun.start()
            await connection.execute("SET LOCAL statement_timeout = 1234")
        assert await pool.fetchval("SHOW statement_timeout") == "0"
        assert await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
