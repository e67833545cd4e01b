"""What truly happens at an epoch, and what the receiver says about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Motion:
    """The antenna's true state at one instant.

    Attributes:
        lat_deg: geodetic latitude (WGS84), -90 to 90, north positive.
        lon_deg: longitude, east positive; any multiple of 360 degrees may be added.
        alt_m: height above mean sea level in metres.
        speed_mps: speed over ground in metres per second, not negative.
        course_deg: direction of travel, clockwise from north; any multiple of 360 may be added.
    """

    lat_deg: float
    lon_deg: float
    alt_m: float = 0.0
    speed_mps: float = 0.0
    course_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Fix:
    """The receiver's answer for one epoch, in the steps in which it stands on the wire.

    A fix that is not valid carries its time only: position and speed are NaN.

    Attributes:
        time_ns: UTC of the epoch in nanoseconds since 1970, cut to the digits of the chip.
        lat_deg, lon_deg: position as a parser of the sentence gets it.
        alt_m: height above mean sea level, in tenths of a metre.
        speed_mps: speed over ground, in the chip's steps of a knot.
        course_deg: None where the chip leaves the field empty (u-blox below walking pace).
        hdop: horizontal dilution of precision; the chip's "none" value where invalid.
        satellites: number in GGA.
        valid: True when RMC says 'A'.
    """

    time_ns: int
    lat_deg: float
    lon_deg: float
    alt_m: float
    speed_mps: float
    course_deg: float | None
    hdop: float
    satellites: int
    valid: bool
