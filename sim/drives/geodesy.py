"""Distances on the Earth, good enough for the speed of a car."""

from __future__ import annotations

import math

EARTH_RADIUS_M = 6_371_008.8  # mean radius, IUGG

Position = tuple[float, float, float]  # latitude and longitude in degrees, altitude in metres


def distance_m(here: Position, there: Position) -> float:
    """Great-circle distance in metres (haversine), altitude left out."""
    lat_a, lat_b = math.radians(here[0]), math.radians(there[0])
    half_lat = 0.5 * (lat_b - lat_a)
    half_lon = 0.5 * math.radians(there[1] - here[1])
    square = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2.0 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(square)))


def speeds_kph(times_s: list[float], positions: list[Position]) -> list[float]:
    """Speeds between the neighbours of each position (central differences, but at the ends)."""
    last = len(times_s) - 1
    speeds = []
    for index in range(last + 1):
        before, after = max(0, index - 1), min(last, index + 1)
        way_m = sum(distance_m(positions[i], positions[i + 1]) for i in range(before, after))
        speeds.append(3.6 * way_m / (times_s[after] - times_s[before]))
    return speeds


def is_position(lat_deg: float, lon_deg: float) -> bool:
    """Whether the pair is on the Earth and not null island, which means that there was no fix."""
    on_earth = -90.0 <= lat_deg <= 90.0 and -180.0 <= lon_deg <= 180.0
    return on_earth and not (abs(lat_deg) < 1e-6 and abs(lon_deg) < 1e-6)
