"""What stands in the hot log of a test's database, reading by reading."""

from __future__ import annotations

import msgspec

from server.readings import State
from server.store.body import decode_places
from server.store.connection import connect


class StoredReading(msgspec.Struct, frozen=True):
    """A reading of the hot log with its key."""

    device: str
    boot: int
    seq: int
    signal: int
    time_ns: int
    value: float
    received_ns: int
    state: State
    written_ns: int


async def fetch_readings(url: str, device: str | None = None) -> list[StoredReading]:
    """Give the readings of a device, or of all by their names, in the order of writing."""
    connection = await connect(url)
    rows = await connection.fetch(
        "SELECT device, boot, seq_first, written_ns, body FROM hot"
        " WHERE device = $1 OR $1 IS NULL ORDER BY device, written_ns, boot, seq_first",
        device,
    )
    await connection.close()
    return [
        StoredReading(
            row["device"],
            row["boot"],
            row["seq_first"] + place,
            *msgspec.structs.astuple(reading),
            row["written_ns"],
        )
        for row in rows
        for place, reading in decode_places(row["body"])
    ]
