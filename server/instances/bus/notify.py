"""The bus over PostgreSQL's NOTIFY: nothing more to run, references only.

Two connections of its own, one to listen and one to tell. What is published within a tick goes out
as few notifications in one transaction, because committing a notification is something that
PostgreSQL does for one transaction at a time; it waits for no disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets

import asyncpg

from server.clock import Clock
from server.errors import StoreError
from server.instances.bus import framing
from server.instances.bus.server import ServerBus
from server.store.connection import SETTINGS, STORE_ERRORS, first_line
from server.store.shown_url import shown

CHANNEL = "telerig_live"
ALIVE_S = 1.0
"""So often the listening connection is asked whether it is there."""
ANSWER_S = 2.0
_TELL = "SELECT pg_notify($1, text) FROM unnest($2::text[]) AS text"
_DEAF = (
    "notifications do not come through: a pooler in transaction mode stands before PostgreSQL? "
    "Lead [database] url around it, or let it pool sessions"
)


class NotifyBus(ServerBus):
    """Tells through the database.

    Args:
        url: of the database.
        clock: for the tick.
        live_s: what is published is gathered so long; the first after a pause goes at once.
    """

    kind = "notify"
    carries_bodies = False
    limit_bytes = framing.LIMIT_BYTES
    waiting_limit_bytes = 1 << 20
    close_s = ANSWER_S
    errors = STORE_ERRORS

    def __init__(self, url: str, clock: Clock, live_s: float = 0.02) -> None:
        super().__init__(shown(url))
        self._url = url
        self._clock = clock
        self._live_s = live_s
        self._number = 0
        self._own_pid = 0
        self._echo = ""
        self._heard = asyncio.Event()

    async def _serve(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            listening, telling = await self._connect(stack)
            self._connected()
            await self._work(listening, telling)

    def _why(self, error: Exception) -> str:
        is_silent = isinstance(error, TimeoutError) and not str(error)
        return "no answer" if is_silent else first_line(error)

    async def _connect(
        self, stack: contextlib.AsyncExitStack
    ) -> tuple[asyncpg.Connection, asyncpg.Connection]:
        listening = await self._open("telerig bus, listens")
        stack.callback(listening.terminate)
        telling = await self._open("telerig bus, tells")
        stack.callback(telling.terminate)
        # Not what the client knows: a pooler in between makes up one of its own.
        self._own_pid = await telling.fetchval("SELECT pg_backend_pid()")
        async with asyncio.timeout(ANSWER_S):
            await listening.add_listener(CHANNEL, self._hear)
        await self._check_echo(telling)
        return listening, telling

    async def _open(self, name: str) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._url,
            timeout=ANSWER_S,
            command_timeout=ANSWER_S,
            server_settings={**SETTINGS, "application_name": name, "synchronous_commit": "off"},
        )

    async def _check_echo(self, telling: asyncpg.Connection) -> None:
        """Find out whether notifications come through.

        Raises:
            StoreError: they do not.
        """
        self._echo = framing.ECHO + secrets.token_hex(8)
        self._heard.clear()
        await telling.execute("SELECT pg_notify($1, $2)", CHANNEL, self._echo)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._heard.wait()
        except TimeoutError:
            raise StoreError(_DEAF) from None

    async def _work(self, listening: asyncpg.Connection, telling: asyncpg.Connection) -> None:
        """Listen and tell until one of both connections is lost.

        Raises:
            DATABASE_ERRORS: one is.
        """
        tasks = [
            asyncio.create_task(self._keep(listening), name="bus listens"),
            asyncio.create_task(self._tell_forever(telling), name="bus tells"),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, listening: asyncpg.Connection) -> None:
        lost = asyncio.Event()
        listening.add_termination_listener(lambda _: lost.set())
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ALIVE_S):
                    await lost.wait()
                    raise ConnectionResetError("the connection was cut")
            await listening.execute("SELECT 1")

    async def _tell_forever(self, telling: asyncpg.Connection) -> None:
        if not self._is_complete:
            self._wanted.set()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            began_s = self._clock.monotonic_s()
            await self._tell(telling)
            took_s = self._clock.monotonic_s() - began_s
            await asyncio.sleep(max(0.0, self._live_s - took_s))

    async def _tell(self, telling: asyncpg.Connection) -> None:
        messages = list(self._waiting)
        size = self._waiting_bytes
        self._waiting.clear()
        self._waiting_bytes = 0
        frames = list(framing.packed(messages)) or [b""]
        texts = []
        is_complete, self._is_complete = self._is_complete, True
        for frame in frames:
            self._number += 1
            texts.append(framing.as_text(frame, self._number, is_complete=is_complete))
            is_complete = True
        try:
            await telling.execute(_TELL, CHANNEL, texts)
        except BaseException:
            self.counts.dropped += len(messages)
            self._is_complete = False
            raise
        self.counts.sent += len(messages)
        self.counts.sent_bytes += size
        if not self._waiting:
            self._drained.set()

    def _hear(self, connection: object, pid: int, channel: str, payload: object) -> None:
        text = str(payload)
        if text == self._echo:
            # Its number as PostgreSQL has it: a pooler in between says another one at the start.
            self._own_pid = pid
            self._heard.set()
            return
        if pid == self._own_pid:
            return
        if text.startswith(framing.ECHO):
            return
        try:
            frame, is_complete = framing.from_text(text)
            messages = framing.unpacked(frame)
        except ValueError:
            self.counts.malformed += 1
            return
        for subject, data in messages:
            self._deliver(subject, data)
        if not is_complete:
            self.gap("another gateway could not tell everything")
