"""Vehicles: what sessions and people say of them."""

from __future__ import annotations

from typing import Annotated

import asyncpg
import msgspec
from msgspec import Meta

from server.sessions.model import Name, Notes

# A vehicle is there where a session was in it, a device is registered for it, or it was told of.
_LIST = """
    SELECT vin, coalesce(name, ''), coalesce(model, ''), year, coalesce(notes, ''), devices,
           sessions, last_ns
    FROM (
        SELECT vin, array_agg(DISTINCT device ORDER BY device) AS devices,
               count(*) FILTER (WHERE session) AS sessions, max(last_ns) AS last_ns
        FROM (
            SELECT vin, device, true AS session, coalesce(closed_ns, opened_ns) AS last_ns
            FROM sessions WHERE vin IS NOT NULL AND kind = 'automatic'
            UNION ALL SELECT vin, id, false, NULL FROM devices WHERE vin IS NOT NULL AND active
        ) AS named
        WHERE $1::text[] IS NULL OR device = ANY ($1)
        GROUP BY vin
    ) AS used
    FULL JOIN (SELECT * FROM vehicles WHERE $1::text[] IS NULL OR vin IN (
        SELECT vin FROM sessions WHERE device = ANY ($1)
        UNION SELECT vin FROM devices WHERE id = ANY ($1)
    )) AS told USING (vin)
    WHERE $2::text IS NULL OR vin = $2
    ORDER BY last_ns DESC NULLS LAST, vin LIMIT $3 OFFSET $4
"""
_KEEP = """
    INSERT INTO vehicles (vin, name, model, year, notes, changed_ns)
    VALUES ($1, coalesce($2, ''), coalesce($3, ''), $4, coalesce($5, ''), $6)
    ON CONFLICT (vin) DO UPDATE SET
        name = coalesce($2, vehicles.name), model = coalesce($3, vehicles.model),
        year = coalesce($4, vehicles.year), notes = coalesce($5, vehicles.notes),
        changed_ns = $6
"""

Year = Annotated[int, Meta(ge=1886, le=2200)]


class Vehicle(msgspec.Struct, frozen=True):
    """A vehicle.

    Attributes:
        vin: its number (ISO 3779).
        name: for people.
        model: as somebody told.
        year: of the model.
        notes: as somebody told.
        devices: that were in it, or are registered for it.
        sessions: how many automatic sessions were in it.
        last_ns: when the newest of them ended, or started where it runs.
    """

    vin: str
    name: str
    model: str
    year: int | None
    notes: str
    devices: list[str]
    sessions: int
    last_ns: int | None


class VehicleChanged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody tells of a vehicle; what is left out stays."""

    name: Name | None = None
    model: Name | None = None
    year: Year | None = None
    notes: Notes | None = None


async def list_vehicles(
    connection: asyncpg.Connection,
    devices: frozenset[str] | None,
    *,
    vin: str | None = None,
    limit: int = 1000,
    offset: int = 0,
) -> list[Vehicle]:
    """Give the vehicles of devices (None: of all), the one that was heard last first."""
    asked = None if devices is None else sorted(devices)
    rows = await connection.fetch(_LIST, asked, vin, limit, offset)
    return [
        Vehicle(vin, name, model, year, notes, devices or [], sessions or 0, last_ns)
        for vin, name, model, year, notes, devices, sessions, last_ns in rows
    ]


async def keep_vehicle(
    connection: asyncpg.Connection, vin: str, changed: VehicleChanged, now_ns: int
) -> None:
    """Keep what somebody tells of a vehicle."""
    await connection.execute(
        _KEEP, vin, changed.name, changed.model, changed.year, changed.notes, now_ns
    )
