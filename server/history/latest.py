"""The newest reading of each signal, of a device or of a vehicle."""

from __future__ import annotations

import asyncpg
import msgspec

from server.answers import iso
from server.catalogue import by_id
from server.errors import CatalogueError

_OF_DEVICE = """
    SELECT device, boot, signal, time_ns, value, state FROM latest
    WHERE device = $1 ORDER BY signal
"""
# A device may have moved from car to car: what counts is which car it was in when it took the
# reading, and its session of that boot says so.
_OF_VEHICLE = """
    SELECT latest.device, latest.boot, signal, time_ns, value, state FROM latest
    JOIN sessions ON sessions.device = latest.device AND sessions.boot = latest.boot
        AND sessions.kind = 'automatic'
    WHERE sessions.vin = $1 AND ($2::text[] IS NULL OR latest.device = ANY ($2))
    ORDER BY signal, time_ns DESC, latest.device
"""


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest reading of a signal of a device.

    Attributes:
        signal: short name, or the id where it has none.
        id: of the signal.
        unit: of the value.
        device: whose.
        boot: run of the gateway, or of the remote device, that took it.
        time_ns: instant measured.
        time: the same in ISO 8601.
        age_s: how long ago that was.
        value: null where it is no number.
        state: 0 measured, 1 bounded, 2 held (predicted), 3 lost.
    """

    signal: str
    id: int
    unit: str
    device: str
    boot: int
    time_ns: int
    time: str
    age_s: float
    value: float
    state: int


async def latest_of_device(
    connection: asyncpg.Connection, device: str, now_ns: int
) -> list[Newest]:
    """Give the newest reading of each signal of a device, by signal id."""
    return [_newest(row, now_ns) for row in await connection.fetch(_OF_DEVICE, device)]


async def latest_of_vehicle(
    connection: asyncpg.Connection, vin: str, devices: frozenset[str] | None, now_ns: int
) -> list[Newest]:
    """Give the newest readings of a vehicle, by signal id, the newest device first.

    Args:
        devices: those that may be seen; None for all.
    """
    asked = None if devices is None else sorted(devices)
    return [_newest(row, now_ns) for row in await connection.fetch(_OF_VEHICLE, vin, asked)]


def _newest(row: asyncpg.Record, now_ns: int) -> Newest:
    try:
        known = by_id(row["signal"])
        name, unit = known.name, known.unit
    except CatalogueError:
        name, unit = str(row["signal"]), ""
    return Newest(
        signal=name,
        id=row["signal"],
        unit=unit,
        device=row["device"],
        boot=row["boot"],
        time_ns=row["time_ns"],
        time=iso(row["time_ns"]),
        age_s=(now_ns - row["time_ns"]) / 1e9,
        value=row["value"],
        state=row["state"],
    )
