"""Whether a vehicle stands, from its newest readings."""

from __future__ import annotations

import asyncpg

from server.catalogue import by_name
from server.readings import State
from server.store.body import decode_body

FRESH_S = 30.0
"""Readings that are older say nothing about now."""
ROWS_LIMIT = 100
STANDING_KPH = {"SPEED": 0.0, "GPS_SPEED": 1.5}
"""Greatest speed at which a vehicle counts as standing; a receiver's speed has noise. The wheels'
speed decides where it is known."""

_ROWS = """
    SELECT body FROM hot
    WHERE device = $1 AND written_ns >= $2 AND time_max_ns >= $2
    ORDER BY written_ns DESC LIMIT $3
"""


async def why_not_standing(connection: asyncpg.Connection, device: str, now_ns: int) -> str:
    """Give the reason why a vehicle cannot be said to stand; empty when it stands."""
    since_ns = now_ns - round(FRESH_S * 1e9)
    ids = {by_name(name).id: name for name in STANDING_KPH}
    newest: dict[str, tuple[int, float]] = {}
    for row in await connection.fetch(_ROWS, device, since_ns, ROWS_LIMIT):
        for reading in decode_body(row["body"]):
            name = ids.get(reading.signal)
            if (
                name is not None
                and reading.state in (State.MEASURED, State.BOUNDED)
                and since_ns <= reading.time_ns
                and newest.get(name, (0, 0.0))[0] < reading.time_ns
            ):
                newest[name] = (reading.time_ns, reading.value)
        if "SPEED" in newest:
            break
    for name, limit_kph in STANDING_KPH.items():
        if name in newest:
            speed_kph = newest[name][1]
            return "" if speed_kph <= limit_kph else f"{speed_kph:.0f} km/h ({name})"
    return f"no speed read in the last {FRESH_S:g} s"
