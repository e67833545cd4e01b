"""What happens to sessions, on the live stream of every gateway.

A gateway that is alone publishes what it did itself. One of many publishes what the database says
has been committed, its own work too: each of them the same, in the same order, once.
"""

from __future__ import annotations

import asyncpg

from server.instances.changes import Changes
from server.live.hub import Hub
from server.rereading import Rereading
from server.sessions.model import Session

_OVER = """
    SELECT number FROM unnest($1::bigint[]) AS number LEFT JOIN sessions ON id = number
    WHERE id IS NULL OR closed_ns IS NOT NULL
"""


class SessionNews:
    """Publishes changes of sessions.

    Args:
        hub: the live stream.
        pool: connections.
        changes: what the database says.
        is_alone: no other gateway is configured.
    """

    def __init__(self, hub: Hub, pool: asyncpg.Pool, changes: Changes, *, is_alone: bool) -> None:
        self._hub = hub
        self._pool = pool
        self._changes = changes
        self._is_alone = is_alone
        self._again = Rereading("sessions", self._read_again)
        if not is_alone:
            changes.on("sessions", self._heard)

    def told(self, session: Session) -> None:
        """Publish what this gateway has done to a session, unless the database will say it."""
        if self._is_alone or not self._changes.is_listening:
            self._publish(session.id, session.state, session.device, session.name)

    async def close(self) -> None:
        """Read nothing more."""
        await self._again.close()

    def _heard(self, key: str) -> None:
        if key:
            number, state, device, name = key.split(" ", 3)
            self._publish(int(number), state, device, name)
        elif self._hub.sessions:
            self._again.ask("")

    async def _read_again(self, _: frozenset[str] | None) -> None:
        """End the streams of sessions whose end was not heard."""
        async with self._pool.acquire() as connection:
            for row in await connection.fetch(_OVER, list(self._hub.sessions)):
                self._hub.end("the session has ended", row["number"])

    def _publish(self, number: int, state: str, device: str, name: str) -> None:
        self._hub.event(
            {"type": "session", "device": device, "id": number, "state": state, "name": name}
        )
