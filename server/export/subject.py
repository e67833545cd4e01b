"""What a session covers, for exports."""

from __future__ import annotations

import asyncpg

from server.export.job import Subject
from server.history.wanted import INT64_MAX


async def find_session(connection: asyncpg.Connection, session: int) -> Subject | None:
    """Give what a session covers; None where there is none of that id.

    An automatic session is one boot of a device, whenever its readings came; one that somebody
    started is the time from its start to its stop.
    """
    row = await connection.fetchrow("SELECT * FROM sessions WHERE id = $1", session)
    if row is None:
        return None
    known = dict(row)
    is_manual = known.get("kind") == "manual"
    opened_ns: int | None = known["opened_ns"]
    closed_ns: int | None = known["closed_ns"]
    begin_ns = INT64_MAX if opened_ns is None else opened_ns  # one that was not started has nothing
    return Subject(
        known["device"],
        None if is_manual else known["boot"],
        begin_ns if is_manual else 0,
        closed_ns if is_manual and closed_ns is not None else INT64_MAX,
        session,
        known.get("name") or "",
        known.get("vin") or "",
        known.get("driver") or "",
        opened_ns,
        closed_ns,
    )
