"""Trips: derived from a device's readings, and found again from them at any time.

A trip begins with the first movement and ends with the last one before five minutes without any, be
it that the car stands or that nobody knows. Nothing opens or closes it: no crash leaves one open,
and readings that come late change what they must. The table `trips` keeps what was found;
`refresh` looks again from the first reading that is new, `refresh(..., whole=True)` from the
beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from heapq import merge
from itertools import compress

import asyncpg
import msgspec

from server.answers import iso
from server.catalogue import by_name
from server.history.figures import counted
from server.history.reader import stored_extent, windows
from server.history.wanted import INT64_MAX, Column, Wanted, merge_boots
from server.sessions.drive import MOVING_KMH, SIGNALS, Drive

STOP_NS = 300 * 10**9
LEAST_M = 50.0
"""What is less than that was no trip: a receiver that wanders, a car that was pushed."""
LOOK_BACK_NS = 60 * 10**9
"""A row may be seen so much later than it says that it was written."""
_LOCK = 0x7E1E_0004
_LAT, _LON = by_name("LAT").id, by_name("LON").id

_MARK = "SELECT written_ns, segment_id FROM trip_marks WHERE device = $1"
_CHANGED = """
    SELECT least(
        (SELECT min(time_min_ns) FROM hot WHERE device = $1 AND written_ns > $2),
        (SELECT min(t0_ns) FROM segments WHERE device = $1 AND id > $3)
    ) AS first_ns, (SELECT max(id) FROM segments WHERE device = $1 AND id > $3) AS segment_id
"""
_BEFORE = """
    SELECT start_ns FROM trips WHERE device = $1 AND start_ns < $2 AND end_ns >= $2 - $3::bigint
    ORDER BY start_ns LIMIT 1
"""
_DROPPED = "SELECT max(end_ns) FROM trips WHERE device = $1 AND start_ns < $2 AND end_ns >= $2"
_KEEP = """
    INSERT INTO trips (device, vin, start_ns, end_ns, distance_m, distance_source, moving_ns,
        max_speed_kmh, start_lat, start_lon, end_lat, end_lon)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (device, start_ns) DO UPDATE SET
        vin = excluded.vin, end_ns = excluded.end_ns, distance_m = excluded.distance_m,
        distance_source = excluded.distance_source, moving_ns = excluded.moving_ns,
        max_speed_kmh = excluded.max_speed_kmh, start_lat = excluded.start_lat,
        start_lon = excluded.start_lon, end_lat = excluded.end_lat, end_lon = excluded.end_lon
"""
_SET_MARK = """
    INSERT INTO trip_marks (device, written_ns, segment_id) VALUES ($1, $2, $3)
    ON CONFLICT (device) DO UPDATE SET
        written_ns = excluded.written_ns, segment_id = excluded.segment_id
"""
_VIN = """
    SELECT coalesce(
        (SELECT vin FROM sessions WHERE device = $1 AND boot = $2 AND kind = 'automatic'
         ORDER BY opened_ns DESC LIMIT 1),
        (SELECT vin FROM devices WHERE id = $1)
    )
"""
_COLUMNS = """
    SELECT id, device, vin, start_ns, end_ns, distance_m, distance_source, moving_ns,
           max_speed_kmh, start_lat, start_lon, end_lat, end_lon
    FROM trips
"""
_FIND = f"{_COLUMNS} WHERE id = $1"
_LIST = f"""
    {_COLUMNS}
    WHERE ($1::text[] IS NULL OR device = ANY ($1)) AND ($2::text IS NULL OR vin = $2)
      AND end_ns >= $3 AND start_ns < $4
    ORDER BY start_ns DESC, id DESC LIMIT $5 OFFSET $6
"""
_DEVICES = """
    SELECT DISTINCT device FROM sessions
    WHERE kind = 'automatic' AND ($1::text[] IS NULL OR device = ANY ($1))
      AND ($2::text IS NULL OR vin = $2)
    ORDER BY device
"""


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """A trip.

    Attributes:
        id: number; stays as long as the trip begins at the same reading.
        device: whose readings.
        vin: vehicle, where it is known.
        start_ns: first movement.
        end_ns: last movement.
        started: `start_ns` in ISO 8601.
        ended: `end_ns` in ISO 8601.
        is_over: nothing can be added to it but what comes late.
        duration_s: from start to end.
        moving_s: of it, in movement.
        distance_m: way.
        distance_source: "SPEED" or "GPS_SPEED".
        average_kmh: while it moved.
        max_kmh: greatest speed.
        start_lat, start_lon, end_lat, end_lon: where, if it is known.
    """

    id: int
    device: str
    vin: str | None
    start_ns: int
    end_ns: int
    started: str
    ended: str
    is_over: bool
    duration_s: float
    moving_s: float
    distance_m: float
    distance_source: str
    average_kmh: float | None
    max_kmh: float
    start_lat: float | None
    start_lon: float | None
    end_lat: float | None
    end_lon: float | None


class Movements:
    """Finds the times of movement, no two closer than `STOP_NS`."""

    def __init__(self) -> None:
        self.found: list[list[int]] = []

    def add(self, columns: Iterable[Column]) -> None:
        """Take the columns of a window, one for each signal."""
        moving = []
        for column in columns:
            threshold = MOVING_KMH.get(column.signal)
            if threshold is None:
                continue
            times_ns, values = counted(column.times_ns, column.values, column.states)
            moving.append(compress(times_ns, [value > threshold for value in values]))
        for time_ns in merge(*moving):
            if self.found and time_ns - self.found[-1][1] <= STOP_NS:
                self.found[-1][1] = time_ns
            else:
                self.found.append([time_ns, time_ns])


async def refresh(
    connection: asyncpg.Connection, device: str, now_ns: int, *, whole: bool = False
) -> None:
    """Bring a device's trips up to what is stored."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK, device)
        mark = None if whole else await connection.fetchrow(_MARK, device)
        written_ns, segment_id = (-1, -1) if mark is None else mark
        changed = await connection.fetchrow(_CHANGED, device, written_ns, segment_id)
        first_ns = changed["first_ns"]
        if first_ns is None and mark is not None:
            return
        await _look(connection, device, 0 if mark is None else first_ns)
        looked_id = changed["segment_id"]
        await connection.execute(
            _SET_MARK,
            device,
            max(written_ns, now_ns - LOOK_BACK_NS),
            segment_id if looked_id is None else looked_id,
        )


async def _look(connection: asyncpg.Connection, device: str, first_ns: int) -> None:
    """Find the trips again that a reading at `first_ns`, or a later one, may have changed."""
    before = await connection.fetchval(_BEFORE, device, first_ns, STOP_NS)
    start_ns = first_ns if before is None else before
    # A trip whose readings were dropped, be it in part, stays as it was found.
    kept_ns, _ = await stored_extent(connection, Wanted(device))
    dropped = await connection.fetchval(_DROPPED, device, kept_ns)
    start_ns = max(start_ns, kept_ns if dropped is None else dropped + 1)
    movements = Movements()
    wanted = Wanted(device, start_ns, signals=frozenset(MOVING_KMH))
    async with aclosing(windows(connection, wanted)) as read:  # type: ignore[type-var]
        async for window in read:
            movements.add(merge_boots(window))
    kept: list[int] = []
    for begin_ns, end_ns in movements.found:
        row = await _row(connection, device, begin_ns, end_ns)
        if row is not None:
            await connection.execute(_KEEP, *row)
            kept.append(begin_ns)
    await connection.execute(
        "DELETE FROM trips WHERE device = $1 AND end_ns >= $2 AND start_ns <> ALL ($3::bigint[])",
        device,
        start_ns,
        kept,
    )


async def _row(
    connection: asyncpg.Connection, device: str, begin_ns: int, end_ns: int
) -> Sequence[object] | None:
    """Give the trip's row; None where it was none."""
    drive, track = Drive(), _Track()
    boot = None
    wanted = Wanted(device, begin_ns, end_ns + 1, SIGNALS | {_LAT, _LON})
    async with aclosing(windows(connection, wanted)) as read:  # type: ignore[type-var]
        async for window in read:
            if boot is None:
                moving = [column for column in window if column.signal in MOVING_KMH]
                boot = min(moving, key=lambda column: column.times_ns[0]).boot
            columns = merge_boots(window)
            drive.add(columns)
            track.add(columns)
    figures = drive.result()
    if figures.distance_m is None or figures.distance_m < LEAST_M:
        return None
    vin = await connection.fetchval(_VIN, device, boot)
    return (
        device,
        vin,
        begin_ns,
        end_ns,
        figures.distance_m,
        figures.distance_source,
        round(figures.moving_s * 1e9),
        figures.max_kmh,
        *track.start,
        *track.end,
    )


class _Track:
    """Where a trip began and ended."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}

    def add(self, columns: Iterable[Column]) -> None:
        for column in columns:
            if column.signal in (_LAT, _LON):
                _, values = counted(column.times_ns, column.values, column.states)
                if values:
                    self._first.setdefault(column.signal, values[0])
                    self._last[column.signal] = values[-1]

    @property
    def start(self) -> tuple[float | None, float | None]:
        return self._first.get(_LAT), self._first.get(_LON)

    @property
    def end(self) -> tuple[float | None, float | None]:
        return self._last.get(_LAT), self._last.get(_LON)


async def devices_of(
    connection: asyncpg.Connection, devices: frozenset[str] | None, vin: str | None
) -> list[str]:
    """Give the devices that have ever sent (from that vehicle), of those."""
    asked = None if devices is None else sorted(devices)
    return [row[0] for row in await connection.fetch(_DEVICES, asked, vin)]


async def list_trips(
    connection: asyncpg.Connection,
    now_ns: int,
    *,
    devices: frozenset[str] | None = None,
    vin: str | None = None,
    start_ns: int = 0,
    end_ns: int = INT64_MAX,
    limit: int = 1000,
    offset: int = 0,
) -> list[Trip]:
    """Give the trips that were found, the newest first."""
    asked = None if devices is None else sorted(devices)
    rows = await connection.fetch(_LIST, asked, vin, start_ns, end_ns, limit, offset)
    return [_trip(row, now_ns) for row in rows]


async def find_trip(connection: asyncpg.Connection, trip_id: int, now_ns: int) -> Trip | None:
    """Give a trip; None where there is none of that number."""
    row = await connection.fetchrow(_FIND, trip_id)
    return None if row is None else _trip(row, now_ns)


def _trip(row: asyncpg.Record, now_ns: int) -> Trip:
    moving_s = row["moving_ns"] / 1e9
    return Trip(
        id=row["id"],
        device=row["device"],
        vin=row["vin"],
        start_ns=row["start_ns"],
        end_ns=row["end_ns"],
        started=iso(row["start_ns"]),
        ended=iso(row["end_ns"]),
        is_over=now_ns - row["end_ns"] > STOP_NS,
        duration_s=(row["end_ns"] - row["start_ns"]) / 1e9,
        moving_s=moving_s,
        distance_m=row["distance_m"],
        distance_source=row["distance_source"],
        average_kmh=row["distance_m"] / moving_s * 3.6 if moving_s else None,
        max_kmh=row["max_speed_kmh"],
        start_lat=row["start_lat"],
        start_lon=row["start_lon"],
        end_lat=row["end_lat"],
        end_lon=row["end_lon"],
    )
