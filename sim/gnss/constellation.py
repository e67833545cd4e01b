"""A synthetic constellation: circular orbits with the real planes, heights and inclinations.

Which satellite stands where on its orbit is drawn from the seed, so the sky is not that of a given
date, but it moves, rises and sets as the real one does, and its geometry is real.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.gnss.sky import Satellite, SkyView, System

EARTH_RADIUS_M = 6_371_000.0  # mean sphere; the ellipsoid moves an elevation by less than 0.2 deg
EARTH_RATE_RADPS = 7.2921159e-5  # WGS84 rotation rate
EARTH_GM = 3.986004418e14  # WGS84, m^3/s^2

HORIZON_MASK_DEG = 2.0  # receivers list little below this
ZENITH_SNR_DBHZ = 46.0  # assumed: patch antenna on a roof (logs show 30-48 high in the sky)
HORIZON_SNR_DBHZ = 24.0  # assumed from the same logs
SNR_SIGMA_DB = 1.0


@dataclass(frozen=True, slots=True)
class Walker:
    """Satellites spread evenly over equally spaced circular planes."""

    system: System
    satellites: int
    planes: int
    radius_m: float
    inclination_deg: float


# Nominal: GPS SPS performance standard, GLONASS ICD, Galileo OS SDD, BDS-3 (its MEO satellites).
WALKERS = {
    System.GPS: Walker(System.GPS, 31, 6, 26_559_700.0, 55.0),
    System.GLONASS: Walker(System.GLONASS, 24, 3, 25_508_000.0, 64.8),
    System.GALILEO: Walker(System.GALILEO, 24, 3, 29_600_000.0, 56.0),
    System.BEIDOU: Walker(System.BEIDOU, 24, 3, 27_906_000.0, 55.0),
}


@dataclass(frozen=True, slots=True)
class _Orbit:
    system: System
    svid: int
    radius_m: float
    rate_radps: float
    cos_inclination: float
    sin_inclination: float
    node_rad: float
    phase_rad: float
    snr_bias_db: float


class Constellation:
    """Moves the satellites of some systems over the sky of a place.

    Args:
        systems: which systems the receiver tracks.
        rng: draws the orbits once, and the signal noise with every view.
    """

    def __init__(self, systems: Sequence[System], rng: random.Random) -> None:
        self._rng = rng
        self._orbits = [orbit for system in systems for orbit in _orbits(WALKERS[system], rng)]

    def view(self, utc_s: float, lat_deg: float, lon_deg: float) -> SkyView:
        """Return the satellites over (lat, lon) at `utc_s` seconds since 1970."""
        lat, lon = math.radians(lat_deg), math.radians(lon_deg)
        place = _Place(math.sin(lat), math.cos(lat), math.sin(lon), math.cos(lon))
        noise = self._rng.gauss
        seen = []
        for orbit in self._orbits:
            direction = place.direction(*_position(orbit, utc_s))
            if direction is None:
                continue
            elevation_deg, azimuth_deg = direction
            snr = HORIZON_SNR_DBHZ + orbit.snr_bias_db + noise(0.0, SNR_SIGMA_DB)
            snr += (ZENITH_SNR_DBHZ - HORIZON_SNR_DBHZ) * math.sin(math.radians(elevation_deg))
            tracked = min(99.0, snr) if snr > 18.0 else None
            seen.append(Satellite(orbit.system, orbit.svid, elevation_deg, azimuth_deg, tracked))
        return SkyView(tuple(seen))


def _orbits(walker: Walker, rng: random.Random) -> Iterator[_Orbit]:
    node = rng.uniform(0.0, math.tau)
    phase = rng.uniform(0.0, math.tau)
    inclination = math.radians(walker.inclination_deg)
    rate = math.sqrt(EARTH_GM / walker.radius_m**3)
    per_plane = math.ceil(walker.satellites / walker.planes)
    for index in range(walker.satellites):
        plane, slot = index % walker.planes, index // walker.planes
        yield _Orbit(
            walker.system,
            index + 1,
            walker.radius_m,
            rate,
            math.cos(inclination),
            math.sin(inclination),
            node + plane * math.tau / walker.planes,
            phase + (slot + plane / walker.planes) * math.tau / per_plane,
            rng.gauss(0.0, 2.0),
        )


def _position(orbit: _Orbit, utc_s: float) -> tuple[float, float, float]:
    """Return the satellite's place in metres on axes that turn with the earth."""
    argument = orbit.phase_rad + orbit.rate_radps * utc_s
    node = orbit.node_rad - EARTH_RATE_RADPS * utc_s
    along = orbit.radius_m * math.cos(argument)
    across = orbit.radius_m * math.sin(argument)
    flat = across * orbit.cos_inclination
    cos_node, sin_node = math.cos(node), math.sin(node)
    return (
        along * cos_node - flat * sin_node,
        along * sin_node + flat * cos_node,
        across * orbit.sin_inclination,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    sin_lat: float
    cos_lat: float
    sin_lon: float
    cos_lon: float

    def direction(self, x: float, y: float, z: float) -> tuple[float, float] | None:
        """Return (elevation, azimuth) in degrees; None below the horizon mask."""
        outward = x * self.cos_lon + y * self.sin_lon
        up = outward * self.cos_lat + z * self.sin_lat - EARTH_RADIUS_M
        if up <= 0.0:
            return None
        east = y * self.cos_lon - x * self.sin_lon
        north = z * self.cos_lat - outward * self.sin_lat
        elevation_deg = math.degrees(math.atan2(up, math.hypot(east, north)))
        if elevation_deg < HORIZON_MASK_DEG:
            return None
        return elevation_deg, math.degrees(math.atan2(east, north)) % 360.0
