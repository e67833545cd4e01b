"""The audit log: who did what, and what was refused.

Entries wait a second at most and are written together; the same again and again is one entry with
a number. A crash loses that second. While the database is away the newest PENDING_LIMIT kinds of
entries are kept in memory.
"""

from __future__ import annotations

import asyncio

import asyncpg
import msgspec
import structlog
from starlette.requests import Request

from server.clock import Clock
from server.devices.access import address
from server.store.connection import DATABASE_ERRORS, first_line
from server.users.principal import Kind, Principal

log = structlog.get_logger("telerig.users")

WRITE_S = 1.0
RETRY_S = 10.0
PENDING_LIMIT = 1_000
TEXT_LENGTH = 200
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SILENT = frozenset({"/api/v1/auth/ticket"})
"""Changes nothing that anybody would look for, and often."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the log.

    Attributes:
        id: number; counts up.
        time_ns: of the first of them.
        who: name of who asked.
        kind: how that one has shown who it is.
        address: from where.
        action: what was asked.
        object: of what.
        outcome: "done", or why not.
        times: how often in a row.
    """

    id: int
    time_ns: int
    who: str
    kind: str
    address: str
    action: str
    object: str
    outcome: str
    times: int


class Wanted(msgspec.Struct, frozen=True):
    """Which entries to give: the newest first, before number `before`."""

    limit: int
    before: int
    who: str | None = None
    start_ns: int = 0
    end_ns: int = 2**63 - 1


_Key = tuple[str, str, str, str, str, str]


class Audit:
    """Notes what is done.

    Args:
        pool: connections.
        clock: for instants.
        is_kept: False: there is no database, and nothing is noted.
    """

    def __init__(self, pool: asyncpg.Pool, clock: Clock, *, is_kept: bool = True) -> None:
        self._is_kept = is_kept
        self._pool = pool
        self._clock = clock
        self._pending: dict[_Key, tuple[int, int]] = {}
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def note(
        self, who: str, kind: str, address: str, action: str, object: str, outcome: str
    ) -> None:
        """Note one action."""
        if not self._is_kept:
            return
        texts = (who, kind, address, action, object, outcome)
        clean = tuple(_clean(text) for text in texts)
        key: _Key = (clean[0], clean[1], clean[2], clean[3], clean[4], clean[5])
        time_ns, times = self._pending.get(key, (self._clock.now_ns(), 0))
        if times == 0 and len(self._pending) >= PENDING_LIMIT:
            self._pending.pop(next(iter(self._pending)))
            self._dropped += 1
        self._pending[key] = (time_ns, times + 1)
        self._write_in(WRITE_S)

    def changed(self, who: Principal, request: Request, action: str, status: int) -> None:
        """Note a request of a person that may have changed something.

        Args:
            who: asked.
            request: on whatever the path names.
            action: what the endpoint does.
            status: of the answer.
        """
        is_noted = request.method not in SAFE_METHODS and request.url.path not in SILENT
        if not is_noted or who.kind is Kind.DEVICE:
            return
        object = " ".join(str(value) for value in request.path_params.values())
        outcome = "done" if status < 400 else f"refused: {status}"
        self.note(who.name, who.kind, address(request), action, object, outcome)

    async def read(self, wanted: Wanted) -> list[Entry]:
        """Give entries, the newest first; what waits is written before."""
        await self.flush()
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT id, time_ns, who, kind, address, action, object, outcome, times FROM audit"
                " WHERE id < $1 AND ($2::text IS NULL OR who = $2) AND time_ns >= $3"
                " AND time_ns < $4 ORDER BY id DESC LIMIT $5",
                wanted.before,
                wanted.who,
                wanted.start_ns,
                wanted.end_ns,
                wanted.limit,
            )
        return [Entry(*row) for row in rows]

    async def flush(self) -> None:
        """Write what waits."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._write()

    async def close(self) -> None:
        """Write what waits, and write no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.flush()

    def _write_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._start_writing)

    def _start_writing(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self._write(), name="audit log")

    async def _write(self) -> None:
        pending, self._pending = self._pending, {}
        if not pending:
            return
        rows = [(time_ns, *key, times) for key, (time_ns, times) in pending.items()]
        try:
            async with self._pool.acquire() as connection:
                await connection.executemany(
                    "INSERT INTO audit"
                    " (time_ns, who, kind, address, action, object, outcome, times)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    rows,
                )
        except DATABASE_ERRORS as error:
            log.warning("audit log not written", reason=first_line(error), entries=len(pending))
            self._pending = dict(list((pending | self._pending).items())[-PENDING_LIMIT:])
            self._write_in(RETRY_S)
            return
        if self._dropped:
            log.error("audit log lost entries", entries=self._dropped)
            self._dropped = 0


def _clean(text: str) -> str:
    """Give a text that a database takes and a terminal shows."""
    return "".join(c if c.isprintable() else "?" for c in text[:TEXT_LENGTH])
