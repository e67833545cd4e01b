"""What stands between the antenna and the sky: tunnels and urban canyons, as windows of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from sim.gnss.errors import GnssError
from sim.gnss.sky import Satellite, SkyView

Kind = Literal["tunnel", "canyon"]

CANYON_ROOF_DEG = 48.0  # assumed: houses as high as the street is wide
CANYON_END_DEG = 12.0  # what is seen along the street
CANYON_HALF_WIDTH_DEG = 20.0  # of the gap at each end of the street
CANYON_LOSS_DB = 5.0  # assumed: diffraction and foliage
CANYON_ERROR_FACTOR = 3.5  # assumed: multipath of 5-10 m


@dataclass(frozen=True, slots=True)
class Outage:
    """The sky is covered from `start_s` up to, not including, `end_s` (virtual seconds)."""

    start_s: float
    end_s: float
    kind: Kind

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise GnssError(f"kind of outage: expected one of {get_args(Kind)}, got {self.kind!r}")
        if not self.start_s <= self.end_s:
            raise GnssError(f"outage: expected start <= end, got {self.start_s} to {self.end_s} s")


class Obstructions:
    """The outages of one receiver; windows may overlap, a tunnel wins over a canyon."""

    def __init__(self) -> None:
        self._outages: list[Outage] = []

    def add(self, outage: Outage) -> None:
        """Add a window; windows that have begun already count from now on."""
        self._outages.append(outage)

    def kind_at(self, t_s: float) -> Kind | None:
        """Return what covers the sky at `t_s`; past windows are forgotten: time only moves on."""
        kind: Kind | None = None
        ended = False
        for outage in self._outages:
            if t_s >= outage.end_s:
                ended = True
            elif t_s >= outage.start_s and kind != "tunnel":
                kind = outage.kind
        if ended:
            self._outages = [outage for outage in self._outages if t_s < outage.end_s]
        return kind


def obstruct(view: SkyView, kind: Kind | None, course_deg: float) -> SkyView:
    """Return what is left of `view`; in a canyon the street runs along `course_deg`."""
    if kind is None:
        return view
    if kind == "tunnel":
        return SkyView(tuple(replace(s, snr_dbhz=None) for s in view.satellites))
    return SkyView(
        tuple(_between_houses(s, course_deg) for s in view.satellites),
        view.error_factor * CANYON_ERROR_FACTOR,
    )


def _between_houses(satellite: Satellite, course_deg: float) -> Satellite:
    if satellite.snr_dbhz is None:
        return satellite
    # 0 along the street (either way), 90 across it.
    off_deg = abs(math.remainder(satellite.azimuth_deg - course_deg, 180.0))
    roof_deg = CANYON_END_DEG if off_deg < CANYON_HALF_WIDTH_DEG else CANYON_ROOF_DEG
    if satellite.elevation_deg < roof_deg:
        return replace(satellite, snr_dbhz=None)
    return replace(satellite, snr_dbhz=max(0.0, satellite.snr_dbhz - CANYON_LOSS_DB))
