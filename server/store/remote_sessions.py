"""Sessions of remote devices: one for each boot, opened by what it sends first."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from server.instances.shard import shard_of
from server.store.appends import Append

KNOWN_SESSIONS = 50_000
"""Sessions that are remembered; others are looked up again."""
OPENED_AT_ONCE = 100
"""Sessions that are opened in one statement: other gateways wait for it."""

_KNOWN = """
SELECT asked.device, asked.boot, found.session_id
FROM unnest($1::text[], $2::bigint[]) AS asked(device, boot), LATERAL (
    SELECT session_id FROM device_boots boots
    WHERE boots.device = asked.device AND boots.boot = asked.boot OFFSET 0
) AS found
"""
_OPEN = """
SELECT device, boot, open_remote_session(device, boot, vin, $4) AS session_id
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS asked(device, boot, vin)
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

    def forget_boot(self, device: str, boot: int) -> None:
        """Look a boot up again."""
        self._ids.pop((device, boot), None)

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
            await self._open(connection, appends, now_ns)
        for append in appends:
            key = append.device, append.boot
            session = self._ids[key]
            if append.vin and append.vin != session[1]:
                await connection.execute(_NAME, session[0], append.vin)
                self._ids[key] = session[0], append.vin

    async def _look_up(self, connection: asyncpg.Connection, asked: set[tuple[str, int]]) -> None:
        rows = await connection.fetch(_KNOWN, [key[0] for key in asked], [key[1] for key in asked])
        for row in rows:
            self._ids[row["device"], row["boot"]] = row["session_id"], ""

    async def _open(
        self, connection: asyncpg.Connection, appends: Sequence[Append], now_ns: int
    ) -> None:
        vins: dict[tuple[str, int], str] = {}
        for append in appends:
            if (append.device, append.boot) not in self._ids:
                vins.setdefault((append.device, append.boot), append.vin)
        # There is a lock for each shard, and all gateways take them in this order.
        fresh = sorted(vins, key=lambda key: shard_of(key[0]))
        for begin in range(0, len(fresh), OPENED_AT_ONCE):
            keys = fresh[begin : begin + OPENED_AT_ONCE]
            rows = await connection.fetch(
                _OPEN,
                [key[0] for key in keys],
                [key[1] for key in keys],
                [vins[key] for key in keys],
                now_ns,
            )
            for row in rows:
                key = row["device"], row["boot"]
                self._ids[key] = row["session_id"], vins[key]
