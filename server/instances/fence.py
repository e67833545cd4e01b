"""The fence: what an owner writes is refused once another one has taken the place."""

from __future__ import annotations

import asyncpg

from server.errors import Fenced
from server.instances.shard import STORE

ALONE_TOKEN = 0
"""Of a gateway alone: nobody else is there to be fenced off. Tokens in the database begin above."""
IDLE_MS = 3000
IDLE_STORE_MS = 30_000
"""A transaction that holds a place and stands still so long is ended by the server: its process was
paused, or is gone, and others wait for the place."""

_FENCE = """
    SELECT token, set_config('idle_in_transaction_session_timeout', $2, true)
    FROM leases WHERE place = $1 FOR SHARE
"""


async def fenced(connection: asyncpg.Connection, place: int, token: int) -> None:
    """Make sure that a place is still ours until the transaction ends.

    Call it in the transaction that writes; nobody takes the place before its end. A transaction
    that then stands still for `IDLE_MS` is ended by the server.

    Raises:
        Fenced: another gateway has taken it.
    """
    if token == ALONE_TOKEN:
        return
    idle_ms = IDLE_STORE_MS if place == STORE else IDLE_MS
    row = await connection.fetchrow(_FENCE, place, str(idle_ms))
    if row is None or row["token"] != token:
        what = "the store" if place == STORE else f"shard {place}"
        raise Fenced(f"expected {what} to be ours, found another owner; nothing was written")
