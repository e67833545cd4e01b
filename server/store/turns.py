"""Heads: the last commit of each boot, by which a gateway sees what it has missed of others.

Commits of a boot have numbers, 1, 2, 3 … (turns), which stand with their rows in the hot log. A
turn without rows changed the state of an uplink alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from server.instances.shard import SHARDS

_HEADS = """
    SELECT device, boot, turn FROM device_boots
    WHERE shard = ANY($1::smallint[]) AND last_ns >= $2 AND turn > 0
    UNION ALL
    SELECT device, boot, turn FROM link_turns
    WHERE shard = ANY($1::smallint[]) AND last_ns >= $2
    ORDER BY device, boot
"""
_ALL_SHARDS = range(SHARDS)


class Head(msgspec.Struct, frozen=True):
    """The last commit of a boot of a device, or of the gateway whose links they are."""

    device: str
    boot: int
    turn: int


async def heads(
    connection: asyncpg.Connection, shards: Sequence[int] | None, since_ns: int
) -> list[Head]:
    """Give the last commits of the boots of these shards (None: all) that were heard since then.

    `since_ns` is compared with the clocks of the gateways that wrote: take it earlier by as much as
    clocks may differ.

    Raises:
        DATABASE_ERRORS: they cannot be read.
    """
    wanted = list(_ALL_SHARDS if shards is None else shards)
    return [Head(*row) for row in await connection.fetch(_HEADS, wanted, since_ns)]
