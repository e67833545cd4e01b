"""Sessions that begin and end with the gateway: from its start for a device to its stop.

A session that a crash left open is closed by the next start, with the instant of its last reading,
and with it the manual ones that the gateway looked after (`server.sessions`). The session of a
remote device begins with its first committed readings of a boot and ends when the device is heard
with another one (`server.store.devicelog`).
"""

from __future__ import annotations

import asyncpg
import msgspec


class Session(msgspec.Struct, frozen=True):
    """One session; `closed_ns` None while it is open."""

    id: int
    device: str
    boot: int
    vin: str | None
    opened_ns: int
    closed_ns: int | None
    closed_how: str | None


async def recover_sessions(connection: asyncpg.Connection, device: str) -> int:
    """Close the sessions of a device that a crash left open; give their number."""
    rows = await connection.fetch(
        """
        UPDATE sessions SET
            closed_ns = greatest(opened_ns, (
                SELECT max(written_ns) FROM hot
                WHERE hot.device = sessions.device
                  AND (sessions.boot IS NULL OR hot.boot = sessions.boot)
            ), (
                SELECT t1_ns FROM segments
                WHERE segments.device = sessions.device
                  AND (sessions.boot IS NULL OR segments.boot = sessions.boot)
                ORDER BY t0_ns DESC LIMIT 1
            )),
            closed_how = 'recovered'
        WHERE closed_ns IS NULL AND (
            kind = 'automatic' AND device = $1 AND NOT remote
            OR kind = 'manual' AND keeper = $1 AND opened_ns IS NOT NULL
        )
        RETURNING id
        """,
        device,
    )
    return len(rows)


async def open_session(
    connection: asyncpg.Connection, device: str, boot: int, vin: str | None, opened_ns: int
) -> int:
    """Open a session and give its id."""
    session_id = await connection.fetchval(
        "INSERT INTO sessions (device, boot, vin, opened_ns) VALUES ($1, $2, $3, $4) RETURNING id",
        device,
        boot,
        vin,
        opened_ns,
    )
    return int(session_id)


async def earlier_session(
    connection: asyncpg.Connection, device: str, boot: int, vin: str, first_ns: int, last_ns: int
) -> int:
    """Give the session of an earlier run whose readings come now; it ends no earlier than they."""
    session_id = await connection.fetchval(
        """
        UPDATE sessions SET closed_ns = greatest(closed_ns, $3)
        WHERE device = $1 AND boot = $2 AND kind = 'automatic' AND NOT remote
        RETURNING id
        """,
        device,
        boot,
        last_ns,
    )
    if session_id is None:
        session_id = await connection.fetchval(
            """
            INSERT INTO sessions (device, boot, vin, opened_ns, closed_ns, closed_how)
            VALUES ($1, $2, $3, $4, $5, 'recovered') RETURNING id
            """,
            device,
            boot,
            vin or None,
            first_ns,
            last_ns,
        )
    return int(session_id)


async def name_vehicle(connection: asyncpg.Connection, session_id: int, vin: str) -> None:
    """Store the vehicle of a session."""
    await connection.execute("UPDATE sessions SET vin = $2 WHERE id = $1", session_id, vin)


async def close_session(connection: asyncpg.Connection, session_id: int, closed_ns: int) -> None:
    """Close a session, and the manual ones that the same gateway looks after."""
    await connection.execute(
        """
        UPDATE sessions SET closed_ns = greatest(opened_ns, $2), closed_how = 'stopped'
        WHERE closed_ns IS NULL AND (
            id = $1 OR kind = 'manual' AND opened_ns IS NOT NULL
            AND keeper = (SELECT device FROM sessions WHERE id = $1)
        )
        """,
        session_id,
        closed_ns,
    )


async def list_sessions(connection: asyncpg.Connection, limit: int) -> list[Session]:
    """Give the newest automatic sessions, newest first."""
    rows = await connection.fetch(
        "SELECT id, device, boot, vin, opened_ns, closed_ns, closed_how FROM sessions"
        " WHERE kind = 'automatic' ORDER BY opened_ns DESC, id DESC LIMIT $1",
        limit,
    )
    return [Session(*row) for row in rows]
