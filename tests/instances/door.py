"""A TCP door before a server: what goes through can be held up, as by a network that stalls."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

READ_BYTES = 65_536


class Door:
    """Passes on everything between its own port and a server's.

    Args:
        url: of the server, with host and port.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._listener: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The server's URL through this door."""
        assert self._listener is not None
        port = self._listener.sockets[0].getsockname()[1]
        user, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))

    def hold(self) -> None:
        """Let nothing through, in either direction; nobody is told."""
        self._is_open.clear()

    def release(self) -> None:
        """Let through what has waited, and all that comes."""
        self._is_open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        writers = [writer]
        try:
            there, back = await asyncio.open_connection(self._parts.hostname, self._parts.port)
            writers.append(back)
            ways = [self._carry(reader, back), self._carry(there, writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in tasks:
                    one.cancel()
        except (OSError, asyncio.CancelledError):
            pass  # the server is gone, or the door is taken away
        finally:
            for end in writers:
                end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._is_open.wait()
                writer.write(data)
                await writer.drain()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
