"""What a device, or a vehicle, has sent and left out, and what of it was refused.

Two ratios, never mixed: `suppression_ratio` is readings left out / readings, `compression_ratio`
is bytes of the same readings as plain records / bytes sent.
"""

from __future__ import annotations

import asyncpg
import msgspec

BOOTS_SHOWN = 20
DAYS_SHOWN = 366

_SUMS = "readings, transmitted, suppressed, bytes_plain, bytes_sent"
_OF_DEVICE = f"""
    SELECT day, vin, {_SUMS} FROM device_days WHERE device = $1 ORDER BY day DESC, vin LIMIT $2
"""
_OF_VEHICLE = f"""
    SELECT day, device, {_SUMS} FROM device_days WHERE vin = $1
    AND ($3::text[] IS NULL OR device = ANY($3)) ORDER BY day DESC, device LIMIT $2
"""
_BOOTS = f"""
    SELECT boot, session_id, vin, first_ns, last_ns, {_SUMS} FROM device_boots
    WHERE device = $1 ORDER BY last_ns DESC LIMIT $2
"""
_TOTAL = """
    SELECT coalesce(sum(readings), 0)::bigint, coalesce(sum(transmitted), 0)::bigint,
           coalesce(sum(suppressed), 0)::bigint, coalesce(sum(bytes_plain), 0)::bigint,
           coalesce(sum(bytes_sent), 0)::bigint
    FROM device_days WHERE {} = $1 AND ($2::text[] IS NULL OR device = ANY($2))
"""


class Sums(msgspec.Struct, frozen=True):
    """Readings and bytes over some time; ratios null where there is nothing to divide by."""

    readings: int
    transmitted: int
    suppressed: int
    bytes_plain: int
    bytes_sent: int
    suppression_ratio: float | None
    compression_ratio: float | None


class Day(msgspec.Struct, frozen=True):
    """One UTC day of arrival; `of` is the vehicle, or of a vehicle the device."""

    day: str
    of: str
    sums: Sums


class Boot(msgspec.Struct, frozen=True):
    """One start of a device; boot 0: a device that counts none."""

    boot: int
    session_id: int
    vin: str
    first_ns: int
    last_ns: int
    sums: Sums


class Refused(msgspec.Struct, frozen=True):
    """What was refused for one reason, with the newest examples."""

    reason: str
    count: int
    first_ns: int
    last_ns: int
    examples: list[str]


class DeviceStatistics(msgspec.Struct, frozen=True):
    """Everything that is counted of a device; days and boots, the newest first."""

    total: Sums
    days: list[Day]
    boots: list[Boot]
    refused: list[Refused]


class VehicleStatistics(msgspec.Struct, frozen=True):
    """Everything that is counted of a vehicle, over all devices that were in it."""

    total: Sums
    days: list[Day]


async def last_heard(connection: asyncpg.Connection) -> dict[str, int]:
    """Give when something of each device was stored last, UTC nanoseconds."""
    rows = await connection.fetch("SELECT device, max(last_ns) FROM device_boots GROUP BY device")
    return dict(map(tuple, rows))


async def of_device(connection: asyncpg.Connection, device: str) -> DeviceStatistics:
    """Give the statistics of a device."""
    total = await connection.fetchrow(_TOTAL.format("device"), device, None)
    days = await connection.fetch(_OF_DEVICE, device, DAYS_SHOWN)
    boots = await connection.fetch(_BOOTS, device, BOOTS_SHOWN)
    refused = await connection.fetch(
        "SELECT reason, count, first_ns, last_ns, examples FROM device_refusals"
        " WHERE device = $1 ORDER BY last_ns DESC",
        device,
    )
    return DeviceStatistics(
        _sums(*total),
        [Day(row[0].isoformat(), row[1], _sums(*row[2:])) for row in map(tuple, days)],
        [
            Boot(row[0], row[1], row[2], row[3], row[4], _sums(*row[5:]))
            for row in map(tuple, boots)
        ],
        [Refused(*row) for row in refused],
    )


async def of_vehicle(
    connection: asyncpg.Connection, vin: str, devices: frozenset[str] | None = None
) -> VehicleStatistics:
    """Give the statistics of a vehicle, over some devices (None: all)."""
    names = None if devices is None else sorted(devices)
    total = await connection.fetchrow(_TOTAL.format("vin"), vin, names)
    days = await connection.fetch(_OF_VEHICLE, vin, DAYS_SHOWN, names)
    return VehicleStatistics(
        _sums(*total),
        [Day(row[0].isoformat(), row[1], _sums(*row[2:])) for row in map(tuple, days)],
    )


def _sums(
    readings: int, transmitted: int, suppressed: int, bytes_plain: int, bytes_sent: int
) -> Sums:
    taken = transmitted + suppressed
    return Sums(
        readings,
        transmitted,
        suppressed,
        bytes_plain,
        bytes_sent,
        round(suppressed / taken, 6) if taken else None,
        round(bytes_plain / bytes_sent, 6) if bytes_sent else None,
    )
