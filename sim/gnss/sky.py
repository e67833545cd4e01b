"""The sky as a receiver sees it: satellites with direction and signal, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from sim.gnss.dop import Dop, dop, dop_shares


class System(IntEnum):
    """Satellite systems; the number is the NMEA 4.1 system id of GSA."""

    GPS = 1
    GLONASS = 2
    GALILEO = 3
    BEIDOU = 4


MIN_ELEVATION_DEG = 5.0  # u-blox default elevation mask of the navigation engine
MIN_SNR_DBHZ = 22.0  # assumed: weaker signals are tracked but not used


@dataclass(frozen=True, slots=True)
class Satellite:
    """One satellite above the horizon.

    Attributes:
        system: the satellite system.
        svid: number within the system, from 1 (as NMEA 4.1 numbers them; GLONASS slot 1-24).
        elevation_deg: 0-90.
        azimuth_deg: 0-360, clockwise from north.
        snr_dbhz: carrier to noise density 0-99; None while the satellite is not tracked.
    """

    system: System
    svid: int
    elevation_deg: float
    azimuth_deg: float
    snr_dbhz: float | None

    @property
    def usable(self) -> bool:
        """True when the signal is good enough for the position."""
        return (
            self.snr_dbhz is not None
            and self.snr_dbhz >= MIN_SNR_DBHZ
            and self.elevation_deg >= MIN_ELEVATION_DEG
        )


@dataclass(frozen=True)
class SkyView:
    """Satellites above the horizon at one instant.

    Attributes:
        satellites: any order.
        error_factor: multiplies the ranging error (1 under an open sky, more with multipath).
        used: the satellites that the position is made of.
        dop: dilution of precision of `used`.
    """

    satellites: tuple[Satellite, ...]
    error_factor: float = 1.0
    used: tuple[Satellite, ...] = field(init=False)
    dop: Dop = field(init=False)

    def __post_init__(self) -> None:
        used = tuple(satellite for satellite in self.satellites if satellite.usable)
        object.__setattr__(self, "used", used)
        object.__setattr__(self, "dop", dop([(s.elevation_deg, s.azimuth_deg) for s in used]))

    def shares(self) -> tuple[float, float, float]:
        """Return the dilutions of precision of north, east and time of `used`."""
        return dop_shares([(s.elevation_deg, s.azimuth_deg) for s in self.used])


Sky = Callable[[float], SkyView]
"""Returns the sky at a virtual instant in seconds."""
