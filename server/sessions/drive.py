"""What a car did over some time: way, fuel, times, tops; from its readings and nothing else.

Way: the integral of the speed; the car's own, or the receiver's where the car says none. Fuel: the
integral of the fuel rate; where the car says none, of the air mass flow by the stoichiometric
ratio, which is close for a petrol engine at lambda 1 and too much while it cuts the fuel off. What
was predicted or lost counts nothing; between readings more than ten seconds apart nothing is
known, and nothing counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from contextlib import aclosing

import asyncpg
import msgspec

from server.catalogue import by_name
from server.history.figures import counted
from server.history.integral import Integral
from server.history.reader import windows
from server.history.wanted import Column, Wanted, merge_boots

SPEED = by_name("SPEED").id
GPS_SPEED = by_name("GPS_SPEED").id
RPM = by_name("RPM").id
FUEL_RATE = by_name("FUEL_RATE").id
MAF = by_name("MAF").id
SIGNALS = frozenset({SPEED, GPS_SPEED, RPM, FUEL_RATE, MAF})

MOVING_KMH = {SPEED: 0.0, GPS_SPEED: 3.0}
"""Above it a car moves: a receiver that stands still says up to this."""
_KMH_PER_MS = 3.6
_S_PER_H = 3600
_AIR_PER_FUEL = 14.7
_PETROL_G_PER_L = 745.0


class DriveFigures(msgspec.Struct, frozen=True):
    """What a car did; None where its readings do not tell.

    Attributes:
        distance_m: way.
        distance_source: "SPEED" or "GPS_SPEED".
        covered_s: time in which the speed is known.
        moving_s: of it, the time in which the car moved.
        engine_s: time in which the engine ran.
        average_kmh: while it moved.
        max_kmh: greatest speed.
        max_rpm: greatest speed of the engine.
        fuel_l: fuel burnt.
        fuel_source: "FUEL_RATE", or "MAF" where it is derived from the air.
        fuel_l_per_100km: over the way; None below a hundred metres.
    """

    distance_m: float | None
    distance_source: str | None
    covered_s: float
    moving_s: float
    engine_s: float
    average_kmh: float | None
    max_kmh: float | None
    max_rpm: float | None
    fuel_l: float | None
    fuel_source: str | None
    fuel_l_per_100km: float | None


class Drive:
    """Adds up columns, in the order of time."""

    def __init__(self) -> None:
        self._sums = {
            SPEED: Integral(MOVING_KMH[SPEED]),
            GPS_SPEED: Integral(MOVING_KMH[GPS_SPEED]),
            RPM: Integral(0.0),
            FUEL_RATE: Integral(),
            MAF: Integral(),
        }
        self._tops: dict[int, float] = {}

    def add(self, columns: Iterable[Column]) -> None:
        """Take the columns of a window, one for each signal."""
        for column in columns:
            total = self._sums.get(column.signal)
            if total is None:
                continue
            times_ns, values = counted(column.times_ns, column.values, column.states)
            if values and sum(values) - sum(values) != 0:  # infinite, or no number: rare
                times_ns, values = _finite(times_ns, values)
            if values:
                total.add(times_ns, values)
                top = max(values)
                self._tops[column.signal] = max(self._tops.get(column.signal, top), top)

    def result(self) -> DriveFigures:
        """Give the figures of all that came."""
        source = next((name for name in (SPEED, GPS_SPEED) if name in self._tops), None)
        distance_m = fuel_l = None
        moving_s = covered_s = 0.0
        if source is not None:
            speed = self._sums[source]
            distance_m = speed.total / _KMH_PER_MS
            moving_s, covered_s = speed.above_ns / 1e9, speed.covered_ns / 1e9
        fuel_source = None
        if FUEL_RATE in self._tops:
            fuel_source, fuel_l = "FUEL_RATE", self._sums[FUEL_RATE].total / _S_PER_H
        elif MAF in self._tops:
            fuel_source, fuel_l = "MAF", self._sums[MAF].total / _AIR_PER_FUEL / _PETROL_G_PER_L
        per_100km = None
        if fuel_l is not None and distance_m is not None and distance_m >= 100:
            per_100km = fuel_l / distance_m * 1e5
        return DriveFigures(
            distance_m,
            {SPEED: "SPEED", GPS_SPEED: "GPS_SPEED", None: None}[source],
            covered_s,
            moving_s,
            self._sums[RPM].above_ns / 1e9,
            distance_m / moving_s * _KMH_PER_MS if distance_m and moving_s else None,
            self._tops.get(source) if source is not None else None,
            self._tops.get(RPM),
            fuel_l,
            fuel_source,
            per_100km,
        )


def _finite(times_ns: array[int], values: array[float]) -> tuple[array[int], array[float]]:
    kept = [place for place, value in enumerate(values) if value - value == 0]
    return (
        array("q", [times_ns[place] for place in kept]),
        array("d", [values[place] for place in kept]),
    )


async def read_drive(connection: asyncpg.Connection, wanted: Wanted) -> DriveFigures:
    """Give what a car did in a time."""
    drive = Drive()
    wanted = msgspec.structs.replace(wanted, signals=SIGNALS)
    async with aclosing(windows(connection, wanted)) as read:  # type: ignore[type-var]
        async for window in read:
            drive.add(merge_boots(window))
    return drive.result()
