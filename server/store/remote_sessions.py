"""Sessions of remote devices: one for each boot, opened by what it sends first."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from server.store.appends import Append

KNOWN_SESSIONS = 10_000
"""Sessions that are remembered; others are looked up again."""

_KNOWN = """
SELECT device, boot, session_id FROM device_boots
JOIN unnest($1::text[], $2::bigint[]) AS asked(device, boot) USING (device, boot)
"""
_CLOSE = """
UPDATE sessions SET closed_how = 'restarted', closed_ns = greatest(opened_ns, coalesce(
    (SELECT last_ns FROM device_boots WHERE device_boots.session_id = sessions.id), $3))
WHERE device = $1 AND remote AND closed_ns IS NULL AND boot NOT IN (0, $2)
"""
_OPEN = """
INSERT INTO sessions (device, boot, vin, opened_ns, remote)
VALUES ($1, $2, nullif($3, ''), $4, true)
ON CONFLICT (device, boot) WHERE remote DO UPDATE SET device = excluded.device RETURNING id
"""
_BOOT = """
INSERT INTO device_boots (device, boot, session_id, vin, first_ns, last_ns)
VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING
"""
_NAME = "UPDATE sessions SET vin = $2 WHERE id = $1"


class RemoteSessions:
    """The sessions that are known to be in the database."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, int], tuple[int, str]] = {}

    def id_of(self, append: Append) -> int:
        """Give the session of an append, which `open` has seen."""
        return self._ids[append.device, append.boot][0]

    def forget(self) -> None:
        """Look everything up again."""
        self._ids.clear()

    async def open(
        self, connection: asyncpg.Connection, appends: Sequence[Append], now_ns: int
    ) -> None:
        """Make sure that each append has its session; name the vehicle where it is new."""
        asked = {
            (append.device, append.boot)
            for append in appends
            if (append.device, append.boot) not in self._ids
        }
        if asked:
            if len(self._ids) > KNOWN_SESSIONS:
                self._ids.clear()
                asked = {(append.device, append.boot) for append in appends}
            await self._look_up(connection, asked)
        for append in appends:
            key = append.device, append.boot
            session = self._ids.get(key)
            if session is None:
                self._ids[key] = await _open(connection, append, now_ns), append.vin
            elif append.vin and append.vin != session[1]:
                await connection.execute(_NAME, session[0], append.vin)
                self._ids[key] = session[0], append.vin

    async def _look_up(self, connection: asyncpg.Connection, asked: set[tuple[str, int]]) -> None:
        rows = await connection.fetch(_KNOWN, [key[0] for key in asked], [key[1] for key in asked])
        for row in rows:
            self._ids[row["device"], row["boot"]] = row["session_id"], ""


async def _open(connection: asyncpg.Connection, append: Append, now_ns: int) -> int:
    async with connection.transaction():
        # Boot 0 is that of devices that count no boots: it begins nothing and ends nothing.
        if append.boot:
            await connection.execute(_CLOSE, append.device, append.boot, now_ns)
        session_id = await connection.fetchval(
            _OPEN, append.device, append.boot, append.vin, now_ns
        )
        await connection.execute(_BOOT, append.device, append.boot, session_id, append.vin, now_ns)
    return int(session_id)
