"""Which shard a device belongs to: the same on every gateway, for ever."""

from __future__ import annotations

from binascii import crc32

SHARDS = 64
"""So many shards of devices. A number in the database's rows: it never changes."""
STORE = -1
"""The place of what is done once for the whole store: compaction and retention."""
PLACES = (STORE, *range(SHARDS))
"""Everything that can be owned."""


def shard_of(device: str) -> int:
    """Give the shard of a device, 0 to 63: CRC-32 of its id as UTF-8."""
    return crc32(device.encode()) % SHARDS
