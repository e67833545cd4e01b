"""The connection that hears of changes, over networks that go silent or leave something out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from server.instances.changes import CHANNEL, Changes
from tests.server.instances.two import until

NOTIFICATION = ord("A")


class Between:
    """A TCP proxy before PostgreSQL.

    Attributes:
        is_silent: it takes everything and hands nothing on, as a network does that lost its way.
        is_pooler: it leaves notifications out, as a pooler does that lends connections out by
            transactions.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self._path = parts.path
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_silent = False
        self.is_pooler = False

    async def start(self) -> str:
        """Listen; give the URL that leads through it."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql://postgres@127.0.0.1:{port}{self._path}?sslmode=disable"

    async def stop(self) -> None:
        """Cut all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
        try:
            await asyncio.gather(self._up(reader, far_writer), self._down(far_reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            far_writer.close()
            writer.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self.is_silent:
                writer.write(data)
        writer.close()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
            if self.is_silent or (self.is_pooler and head[0] == NOTIFICATION):
                continue
            writer.write(head + body)


@pytest.fixture
async def between(database_url: str) -> AsyncIterator[Between]:
    """A proxy that does no harm yet."""
    proxy = Between(database_url)
    yield proxy
    await proxy.stop()


@contextlib.asynccontextmanager
async def listening(
    url: str, *, is_alone: bool = False
) -> AsyncIterator[tuple[Changes, list[str]]]:
    """Listen to devices around a block."""
    changes, heard = Changes(url, is_alone=is_alone), []
    changes.on("devices", heard.append)
    await changes.start()
    try:
        yield changes, heard
    finally:
        await changes.close()


async def tell(url: str, device: str) -> None:
    """Register a device behind everybody's back."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO devices (id, name, registered_ns) VALUES ($1, '', 1)", device
    )
    await connection.close()


async def test_silence_is_noticed(between: Between, database_url: str) -> None:
    """A connection that nothing comes through any more is given up, and what was said meanwhile
    is taken as "anything"."""
    async with listening(await between.start()) as (changes, heard):
        assert heard == [""]
        await tell(database_url, "one")
        await until(lambda: heard == ["", "one"])
        between.is_silent = True
        await tell(database_url, "two")
        await until(lambda: not changes.is_listening)
        assert changes.failing
        between.is_silent = False
        await until(lambda: changes.is_listening)
        assert heard == ["", "one", ""]
        assert not changes.failing
        await tell(database_url, "three")
        await until(lambda: heard == ["", "one", "", "three"])


async def test_behind_a_pooler(between: Between, database_url: str) -> None:
    """Where notifications do not come through, everything is read again each second, and it is
    said what to do."""
    between.is_pooler = True
    async with listening(await between.start()) as (changes, heard):
        assert not changes.is_listening
        assert "pooler" in changes.failing
        await tell(database_url, "one")
        await until(lambda: len(heard) >= 2)
        assert set(heard) == {""}


async def test_a_database_that_is_away(between: Between) -> None:
    """The start does not fail, and the reason is there to be shown."""
    url = await between.start()
    between.is_silent = True
    async with listening(url, is_alone=True) as (changes, heard):
        assert changes.failing
        assert heard == []
        assert not await changes.tell("reload", "a")
        between.is_silent = False
        await until(lambda: changes.is_listening)
        assert heard == [""]
        assert await changes.tell("devices", "esp 1")
        await until(lambda: heard == ["", "esp 1"])


async def test_a_transaction_tells_once(database_url: str) -> None:
    """A thousand changes of a device in a transaction are one notification; a use of a key is
    none, and neither is what is rolled back."""
    connection = await asyncpg.connect(database_url)
    heard: list[str] = []
    await connection.add_listener(CHANNEL, lambda *found: heard.append(found[3]))
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO devices (id, name, registered_ns) VALUES ('d', '', 1)"
        )
        await connection.executemany(
            "INSERT INTO device_keys (device, sha256, made_ns) VALUES ('d', sha256($1::bytea), $2)",
            [(str(n).encode(), n) for n in range(1000)],
        )
    await connection.execute("UPDATE device_keys SET last_used_ns = 5")
    await connection.execute("UPDATE device_keys SET revoked_ns = NULL")
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("UPDATE devices SET active = false")
    await transaction.rollback()
    await connection.execute("UPDATE devices SET active = false")
    await until(lambda: len(heard) >= 2)
    await connection.close()
    assert heard == ["devices d", "devices d"]
