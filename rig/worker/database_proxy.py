"""What stands between a gateway process and its databases in a paced run, to be struck by faults.

For each database a Unix socket, on which it listens in a thread with a loop of its own. It
understands nothing of what it passes on: the real server answers the real client. It exists only in
runs whose faults strike the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from rig.faults.strike import End

SOCKET_NAME = ".s.PGSQL.5432"
POSTGRES_PORT = 5432
READ_BYTES = 65536
ORDER_TIMEOUT_S = 10.0
LAST_WORDS_S = 2.0  # from the end of a server's connection to its last bytes at the client


class DatabaseProxy:
    """The doors of a run's databases (`rig.worker.database_control.Door`).

    Args:
        folder: where the sockets lie; made.
        pace: simulated seconds per second.
    """

    def __init__(self, folder: Path, pace: float) -> None:
        self._folder = folder
        self._pace = pace
        self._lags: list[Callable[[], float]] = []
        self._doors: list[_Door] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="database proxy", daemon=True
        )
        self._thread.start()

    def url(self, url: str) -> str:
        """Return the URL at which a gateway finds the database of `url`."""
        place = self._folder / str(len(self._doors))
        place.mkdir(parents=True)
        door = _Door(place / SOCKET_NAME, server_of(url), self._lag_s)
        self._doors.append(door)
        self._do(door.open())
        return url_at(url, place)

    def shut(self, cut: Callable[[], object]) -> None:
        """Refuse new connections, and end those that there are."""
        for door in self._doors:
            self._do(door.refuse())
        cut()  # what the server says last passes through
        for door in self._doors:
            self._do(door.cut(LAST_WORDS_S))

    def open(self) -> None:
        """Let connections through again."""
        for door in self._doors:
            self._do(door.open())

    def slow(self, lag: Callable[[], float]) -> End:
        """Let each request, and each reply, come later."""
        self._lags.append(lag)

        def end() -> None:
            self._lags[:] = [other for other in self._lags if other is not lag]

        return end

    def call(self, action: Callable[[], object]) -> None:
        """Call `action` now: nothing of the run is in this process's hands."""
        action()

    def close(self) -> None:
        """End all of it."""
        for door in self._doors:
            self._do(door.refuse())
            self._do(door.cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ORDER_TIMEOUT_S)
        self._loop.close()

    def _lag_s(self) -> float:
        return sum(lag() for lag in list(self._lags)) / self._pace

    def _do(self, order: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(order, self._loop).result(ORDER_TIMEOUT_S)


class _Door:
    """One database."""

    def __init__(self, place: Path, server: str | tuple[str, int], lag_s: Callable[[], float]):
        self._place = place
        self._server = server
        self._lag_s = lag_s
        self._listener: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], None] = {}

    async def open(self) -> None:
        if self._listener is None:
            self._place.unlink(missing_ok=True)
            self._listener = await asyncio.start_unix_server(self._pass, self._place)

    async def refuse(self) -> None:
        """Stop listening; the socket's file stays: who knocks is refused."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def cut(self, patience_s: float = 0.0) -> None:
        """End what goes through; what has ended at its other side may end by itself before."""
        tasks = list(self._open)
        if tasks and patience_s:
            await asyncio.wait(tasks, timeout=patience_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = None
        writers = [writer]
        try:
            there, back = await self._reach()
            writers.append(back)
            ways = [self._carry(reader, back), self._carry(there, writer)]
            await asyncio.wait(
                [asyncio.ensure_future(way) for way in ways], return_when=asyncio.FIRST_COMPLETED
            )
        except (OSError, asyncio.CancelledError):
            pass  # the server is gone, or this connection is cut
        finally:
            del self._open[task]
            for each in writers:
                each.close()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._server, str):
            return await asyncio.open_unix_connection(self._server)
        return await asyncio.open_connection(*self._server)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on, each later by the lag of the moment at which it came."""
        loop = asyncio.get_running_loop()
        due_s = 0.0
        with contextlib.suppress(OSError):
            while data := await reader.read(READ_BYTES):
                due_s = max(due_s, loop.time() + self._lag_s())
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                writer.write(data)
                await writer.drain()


def server_of(url: str) -> str | tuple[str, int]:
    """Return where the server of a database's URL is: a socket's path, or host and port."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    host = query.get("host") or parts.hostname or "localhost"
    port = int(query.get("port") or parts.port or POSTGRES_PORT)
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)


def url_at(url: str, folder: Path) -> str:
    """Return the URL of the same database behind a socket in `folder`."""
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    query = [(key, value) for key, value in parse_qsl(parts.query)
             if key not in ("host", "port", "sslmode")]  # fmt: skip
    query.append(("host", str(folder)))
    return f"{parts.scheme}://{user}{parts.path}?{urlencode(query, quote_via=quote)}"
