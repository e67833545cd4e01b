"""Stored positions against the truth, in metres on a plane that touches the earth nearby."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rig.measures.arrays import Floats, Ints
from rig.measures.matching import Matched

# WGS 84
_SEMI_MAJOR_M = 6_378_137.0
_ECCENTRICITY_SQUARED = 6.694_379_990_14e-3


@dataclass(frozen=True, slots=True)
class Track:
    """Positions at instants.

    Attributes:
        time_ns: the world's epochs.
        lat_deg, lon_deg: as stored.
        true_lat_deg, true_lon_deg: as they truly were.
    """

    time_ns: Ints
    lat_deg: Floats
    lon_deg: Floats
    true_lat_deg: Floats
    true_lon_deg: Floats

    @property
    def errors_m(self) -> Floats:
        """The horizontal distance of each stored position from the truth."""
        if not len(self.time_ns):
            return self.lat_deg
        north_m, east_m = metres_per_degree(float(np.mean(self.true_lat_deg)))
        north = (self.lat_deg - self.true_lat_deg) * north_m
        east = ((self.lon_deg - self.true_lon_deg + 180.0) % 360.0 - 180.0) * east_m
        return np.hypot(north, east)


def metres_per_degree(lat_deg: float) -> tuple[float, float]:
    """Return the metres in one degree of latitude and of longitude at `lat_deg` (WGS 84)."""
    lat = np.radians(lat_deg)
    curvature = 1.0 - _ECCENTRICITY_SQUARED * np.sin(lat) ** 2
    meridian_m = _SEMI_MAJOR_M * (1.0 - _ECCENTRICITY_SQUARED) / curvature**1.5
    normal_m = _SEMI_MAJOR_M / np.sqrt(curvature)
    return float(np.radians(meridian_m)), float(np.radians(normal_m * np.cos(lat)))


def stored_track(stored: Mapping[str, Matched]) -> Track | None:
    """Return the stored positions for whose epochs the truth is known; None without positions."""
    lat, lon = stored.get("LAT"), stored.get("LON")
    if lat is None or lon is None:
        return None
    lat_ns, lat_deg, true_lat_deg = _sampled(lat)
    lon_ns, lon_deg, true_lon_deg = _sampled(lon)
    time_ns, i, j = np.intersect1d(lat_ns, lon_ns, return_indices=True)
    return Track(time_ns, lat_deg[i], lon_deg[j], true_lat_deg[i], true_lon_deg[j])


def _sampled(matched: Matched) -> tuple[Ints, Floats, Floats]:
    chosen = matched.has_sample
    chosen[chosen] = ~np.isnan(matched.samples.true[matched.sample[chosen]])  # a real receiver
    return (
        matched.measured_ns[chosen],
        matched.readings.value[chosen],
        matched.samples.true[matched.sample[chosen]],
    )
