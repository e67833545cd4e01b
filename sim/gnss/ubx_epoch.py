"""One epoch in the units of UBX-NAV messages: the fix of the NMEA sentences, with more digits."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass

from sim.gnss.acquisition import Stage
from sim.gnss.clock import Said
from sim.gnss.dop import NO_DOP
from sim.gnss.fields import NS_PER_S, S_PER_DAY
from sim.gnss.position_error import VELOCITY_SIGMA_MPS
from sim.gnss.sky import Satellite, SkyView
from sim.gnss.solution import Solution

GPS_EPOCH_S = 315_964_800  # 1980-01-06 in Unix seconds
S_PER_WEEK = 7 * S_PER_DAY
LEAP_SECONDS = 18  # GPS - UTC since the last one
LAST_LEAP_S = 1_483_228_800  # 2017-01-01, Unix seconds (IERS bulletin C 52)

# What the clock shows before the sky has told the date: a date of the firmware (assumed).
CLOCK_START_NS = 1_445_126_400 * NS_PER_S  # 2015-10-18

EARTH_A_M = 6_378_137.0  # WGS84
EARTH_E2 = 6.694_379_990_14e-3
LIGHT_M_PER_NS = 0.299_792_458

UNKNOWN = 0xFFFF_FFFF  # an accuracy without a fix
MAX_HEAD_ACC = 18_000_000  # 180 degrees
MILLIMETRES, CENTIMETRES = 1000.0, 100.0


@dataclass(frozen=True, slots=True)
class UbxDop:
    """Dilutions of precision in hundredths."""

    g: int
    p: int
    t: int
    v: int
    h: int
    n: int
    e: int


NO_UBX_DOP = UbxDop(*[round(NO_DOP * 100)] * 7)


@dataclass(frozen=True, slots=True)
class NavEpoch:
    """What all NAV messages of one epoch are made of. Without a fix, the last position stands.

    Attributes:
        stage: what the receiver knows.
        time_ns: UTC as the receiver's clock has it, nanoseconds since 1970.
        week, itow_ms, ftow_ns: GPS time: week, time of week, and what is left of a millisecond.
        lat, lon: 1e-7 degrees.
        height_mm, hmsl_mm: over the ellipsoid and over mean sea level.
        h_acc_mm, v_acc_mm, p_acc_mm: one sigma: horizontal, vertical, 3D; UNKNOWN without a fix.
        velocity_mmps: north, east, down.
        ground_speed_mmps: over ground.
        heading: of motion, 1e-5 degrees, held below walking pace.
        s_acc_mmps, head_acc: one sigma of speed and heading.
        t_acc_ns: one sigma of the clock.
        ecef_cm, ecef_cmps: position and velocity, earth-centred, earth-fixed.
        dop: dilutions of precision.
        seen: satellites above the horizon, empty before the time is known.
        used: those of the position.
        uptime_ms: since power-up.
        first_fix_ms: from power-up to the first fix; 0 before.
        leap_seconds: GPS - UTC as the receiver has it.
        is_leap: within a leap second.
    """

    stage: Stage
    time_ns: int
    week: int
    itow_ms: int
    ftow_ns: int
    lat: int
    lon: int
    height_mm: int
    hmsl_mm: int
    h_acc_mm: int
    v_acc_mm: int
    p_acc_mm: int
    velocity_mmps: tuple[int, int, int]
    ground_speed_mmps: int
    heading: int
    s_acc_mmps: int
    head_acc: int
    t_acc_ns: int
    ecef_cm: tuple[int, int, int]
    ecef_cmps: tuple[int, int, int]
    dop: UbxDop
    seen: tuple[Satellite, ...]
    used: frozenset[Satellite]
    uptime_ms: int
    first_fix_ms: int
    leap_seconds: int
    is_leap: bool

    @property
    def fixed(self) -> bool:
        """True where there is a position."""
        return self.stage == Stage.POSITION

    @property
    def second(self) -> int:
        """Of the minute; 60 in a leap second."""
        return self.utc.second + self.is_leap

    @property
    def utc(self) -> datetime.datetime:
        """Calendar of `time_ns`, without its fraction."""
        return datetime.datetime.fromtimestamp(self.time_ns // NS_PER_S, datetime.UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """The last position, in units of the chip and as the messages need it."""

    solution: Solution
    lat: int
    lon: int
    ecef_cm: tuple[int, int, int]


def place_of(solution: Solution, units_per_degree: int, geoid_mm: int) -> Place:
    """Return where a solution is; what stands in NMEA is the same to a 1e-7th of a degree."""
    lat = round(solution.lat_units * 10_000_000 / units_per_degree)
    lon = round(solution.lon_units * 10_000_000 / units_per_degree)
    height_m = (solution.alt_mm + geoid_mm) / MILLIMETRES
    return Place(solution, lat, lon, _ecef_cm(lat / 1e7, lon / 1e7, height_m))


NOWHERE = Place(Solution(0, Stage.NOTHING), 0, 0, (0, 0, 0))


def nav_epoch(
    utc_ns: int,
    said: Said,
    stage: Stage,
    place: Place,
    view: SkyView,
    *,
    geoid_mm: int,
    ranging_error_m: float,
    held_course_units: int,
    power_up_ns: int,
    first_fix_ms: int,
) -> NavEpoch:
    """Return the epoch at `utc_ns`, called `said`, whose last known place is `place`."""
    solution = place.solution
    fixed = stage == Stage.POSITION
    time_ns = said.time_ns if stage >= Stage.DATE else _clock_ns(utc_ns, stage, power_up_ns)
    leap_seconds = LEAP_SECONDS + said.leaps
    gps_ns = time_ns - (GPS_EPOCH_S - leap_seconds - said.is_leap) * NS_PER_S
    week, tow_ns = divmod(gps_ns, S_PER_WEEK * NS_PER_S)
    itow_ms = round(tow_ns / 1e6)
    dop = _dop(view) if fixed else NO_UBX_DOP
    north, east, down = velocity = _velocity(solution) if fixed else (0.0, 0.0, 0.0)
    speed_mmps = round(math.hypot(north, east) * MILLIMETRES)
    lat_m, lon_m, alt_m = solution.sigma_m
    head_acc = MAX_HEAD_ACC
    if fixed and speed_mmps:
        ratio = VELOCITY_SIGMA_MPS * MILLIMETRES / speed_mmps
        head_acc = min(MAX_HEAD_ACC, round(math.degrees(math.atan(ratio)) * 1e5))
    heading = held_course_units * 1000
    if solution.course_units is not None:
        heading = round(solution.course_deg * 1e5) % 36_000_000
    return NavEpoch(
        stage=stage,
        time_ns=time_ns,
        week=week,
        itow_ms=itow_ms,
        ftow_ns=tow_ns - itow_ms * 1_000_000,
        lat=place.lat,
        lon=place.lon,
        height_mm=solution.alt_mm + geoid_mm if place is not NOWHERE else 0,
        hmsl_mm=solution.alt_mm,
        h_acc_mm=round(math.hypot(lat_m, lon_m) * MILLIMETRES) if fixed else UNKNOWN,
        v_acc_mm=round(alt_m * MILLIMETRES) if fixed else UNKNOWN,
        p_acc_mm=round(math.hypot(lat_m, lon_m, alt_m) * MILLIMETRES) if fixed else UNKNOWN,
        velocity_mmps=(
            round(north * MILLIMETRES),
            round(east * MILLIMETRES),
            round(down * MILLIMETRES),
        ),
        ground_speed_mmps=speed_mmps,
        heading=heading,
        s_acc_mmps=round(math.sqrt(3.0) * VELOCITY_SIGMA_MPS * MILLIMETRES) if fixed else UNKNOWN,
        head_acc=head_acc,
        t_acc_ns=round(ranging_error_m * dop.t / 100 / LIGHT_M_PER_NS) if fixed else UNKNOWN,
        ecef_cm=place.ecef_cm,
        ecef_cmps=_ecef_cmps(place.lat / 1e7, place.lon / 1e7, velocity),
        dop=dop,
        seen=view.satellites if stage >= Stage.TIME else (),
        used=frozenset(view.used if fixed else ()),
        uptime_ms=(utc_ns - power_up_ns) // 1_000_000,
        first_fix_ms=first_fix_ms,
        leap_seconds=leap_seconds,
        is_leap=said.is_leap,
    )


def _clock_ns(utc_ns: int, stage: Stage, power_up_ns: int) -> int:
    if stage == Stage.TIME:
        return CLOCK_START_NS + utc_ns % (S_PER_DAY * NS_PER_S)
    return CLOCK_START_NS + utc_ns - power_up_ns


def _velocity(solution: Solution) -> tuple[float, float, float]:
    course = math.radians(solution.course_deg)
    speed_mps = solution.speed_mps
    return speed_mps * math.cos(course), speed_mps * math.sin(course), -solution.climb_mps


def _ecef_cm(lat_deg: float, lon_deg: float, height_m: float) -> tuple[int, int, int]:
    lat, lon = math.radians(lat_deg), math.radians(lon_deg)
    curvature_m = EARTH_A_M / math.sqrt(1.0 - EARTH_E2 * math.sin(lat) ** 2)
    flat_m = (curvature_m + height_m) * math.cos(lat)
    return (
        round(flat_m * math.cos(lon) * CENTIMETRES),
        round(flat_m * math.sin(lon) * CENTIMETRES),
        round((curvature_m * (1.0 - EARTH_E2) + height_m) * math.sin(lat) * CENTIMETRES),
    )


def _ecef_cmps(
    lat_deg: float, lon_deg: float, velocity_mps: tuple[float, float, float]
) -> tuple[int, int, int]:
    lat, lon = math.radians(lat_deg), math.radians(lon_deg)
    north, east, down = velocity_mps
    outward = -north * math.sin(lat) - down * math.cos(lat)
    return (
        round((outward * math.cos(lon) - east * math.sin(lon)) * CENTIMETRES),
        round((outward * math.sin(lon) + east * math.cos(lon)) * CENTIMETRES),
        round((north * math.cos(lat) - down * math.sin(lat)) * CENTIMETRES),
    )


def _dop(view: SkyView) -> UbxDop:
    """Return all seven; P, V and H are those of NMEA, the others from the same geometry."""
    north, east, time = view.shares()
    g = math.hypot(view.dop.pdop, time)
    values = (g, view.dop.pdop, time, view.dop.vdop, view.dop.hdop, north, east)
    return UbxDop(*(round(min(NO_DOP, value) * 100) for value in values))
