"""A proxy that loses: it cuts connections in the middle, in both directions, or lets none pass."""

from __future__ import annotations

import asyncio
import contextlib
import random

CHUNK_BYTES = 4096


class LossyProxy:
    """Stands between a gateway and the far one.

    Args:
        port: of the far one.
        seed: of its moods.

    Attributes:
        url: where it listens.
        loss: chance that a chunk is the last of its connection.
        is_down: whether connections are closed at once.
        cut: connections that were cut.
    """

    def __init__(self, port: int, seed: int = 1) -> None:
        self.url = ""
        self.loss = 0.0
        self.is_down = False
        self.cut = 0
        self._port = port
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def lead_to(self, port: int) -> None:
        """Have connections go to another port from now on."""
        self._port = port

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        self.hang_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang_up(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.is_down:
            writer.transport.abort()
            return
        try:
            there, out = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, out}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, out))
                group.create_task(self._pass(there, writer))
        except* (OSError, _Cut):
            pass
        finally:
            for one in (writer, out):
                self._writers.discard(one)
                one.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if self._random.random() < self.loss:
                self.cut += 1
                writer.write(data[: self._random.randrange(len(data))])
                with contextlib.suppress(OSError):
                    await writer.drain()
                raise _Cut
            writer.write(data)
            await writer.drain()
        raise _Cut


class _Cut(Exception):  # noqa: N818
    """The connection ends."""
