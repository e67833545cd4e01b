"""A door before a server: it lets bytes pass, keeps them, or shuts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

CHUNK_BYTES = 65_536


class Door:
    """Listens on loopback and leads to a server.

    Args:
        where: path of a socket, or (host, port).

    Attributes:
        port: where it listens.
    """

    def __init__(self, where: str | tuple[str, int]) -> None:
        self.port = 0
        self._where = where
        self._is_shut = False
        self._passes = asyncio.Event()
        self._passes.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def shut(self) -> None:
        """Cut all connections and take no more."""
        self._is_shut = True
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Let nothing pass and cut nothing: as a network that swallows everything."""
        self._passes.clear()

    def open(self) -> None:
        """Let everything pass again."""
        self._is_shut = False
        self._passes.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.shut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            if self._is_shut:
                return
            await self._lead(reader, writer)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._where, str):
            far_reader, far_writer = await asyncio.open_unix_connection(self._where)
        else:
            far_reader, far_writer = await asyncio.open_connection(*self._where)
        self._writers.add(far_writer)
        try:
            ways = [
                asyncio.create_task(self._pass(reader, far_writer)),
                asyncio.create_task(self._pass(far_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._writers.discard(far_writer)
            far_writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await self._passes.wait()
                writer.write(chunk)
                await writer.drain()


def socket_of(url: str) -> str:
    """Give the path of the socket of a database's server."""
    return f"{parse_qs(urlsplit(url).query)['host'][0]}/.s.PGSQL.5432"


async def until(condition: Callable[[], object], patience_s: float = 15.0) -> None:
    """Return when a condition holds.

    Raises:
        AssertionError: it does not, in so many seconds.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + patience_s
    while not condition():
        assert loop.time() < due_s, "waited in vain"
        await asyncio.sleep(0.01)
