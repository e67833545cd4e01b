"""UBX-NAV messages: id and layout of each, as tables, and what goes where.

Layouts: u-blox M8 protocol specification (UBX-13003221), chapter UBX-NAV, and u-blox M9 SPG 4.04
interface description (UBX-21022436). All little-endian. Residuals of the ranges are not modelled
and stand as 0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

from sim.gnss.acquisition import Stage
from sim.gnss.commands import ubx_frame
from sim.gnss.fields import NS_PER_S
from sim.gnss.sky import Satellite, System
from sim.gnss.ubx_chip import UbxChip
from sim.gnss.ubx_epoch import GPS_EPOCH_S, LAST_LEAP_S, UNKNOWN, NavEpoch

NAV_CLASS = 0x01

GNSS_IDS = {System.GPS: 0, System.GALILEO: 2, System.BEIDOU: 3, System.GLONASS: 6}
# First number of a system in NAV-SVINFO, which counts all systems in one row.
SVINFO_OFFSETS = {System.GPS: 0, System.GALILEO: 210, System.BEIDOU: 32, System.GLONASS: 64}
MAX_SVINFO = 255

NO_FIX, FIX_3D = 0, 3
SEARCHING, CODE_LOCKED, CARRIER_LOCKED = 1, 4, 7  # qualityInd
CARRIER_FROM_DBHZ = 28.0  # assumed: above, code and carrier are locked
M8_CHIP_GENERATION = 4  # globalFlags of NAV-SVINFO

Build = Callable[[NavEpoch, UbxChip], bytes]


def _pvt(epoch: NavEpoch, chip: UbxChip) -> bytes:
    utc = epoch.utc
    stage = epoch.stage
    valid = (stage >= Stage.DATE) | (stage >= Stage.TIME) << 1 | (stage >= Stage.DATE) << 2
    newer = chip.generation >= 9
    # Confirmed date and time (from protocol 19); the position is invalid (from protocol 27).
    confirmed = 0x20 | (stage >= Stage.DATE) << 6 | (stage >= Stage.TIME) << 7 if newer else 0
    return struct.pack(
        "<IHBBBBBBIiBBBBiiiiIIiiiiiIIHHIihH",
        epoch.itow_ms, utc.year, utc.month, utc.day, utc.hour, utc.minute, epoch.second, valid,
        epoch.t_acc_ns, epoch.time_ns % NS_PER_S, FIX_3D if epoch.fixed else NO_FIX,
        int(epoch.fixed), confirmed, len(epoch.used),
        epoch.lon, epoch.lat, epoch.height_mm, epoch.hmsl_mm, epoch.h_acc_mm, epoch.v_acc_mm,
        *epoch.velocity_mmps, epoch.ground_speed_mmps, epoch.heading, epoch.s_acc_mmps,
        epoch.head_acc, epoch.dop.p, int(newer and not epoch.fixed), 0, epoch.heading, 0, 0,
    )  # fmt: skip


def _posllh(epoch: NavEpoch, _: UbxChip) -> bytes:
    return struct.pack(
        "<IiiiiII",
        epoch.itow_ms, epoch.lon, epoch.lat, epoch.height_mm, epoch.hmsl_mm,
        epoch.h_acc_mm, epoch.v_acc_mm,
    )  # fmt: skip


def _posecef(epoch: NavEpoch, _: UbxChip) -> bytes:
    return struct.pack("<IiiiI", epoch.itow_ms, *epoch.ecef_cm, _cm(epoch.p_acc_mm))


def _velecef(epoch: NavEpoch, _: UbxChip) -> bytes:
    return struct.pack("<IiiiI", epoch.itow_ms, *epoch.ecef_cmps, _cm(epoch.s_acc_mmps))


def _velned(epoch: NavEpoch, _: UbxChip) -> bytes:
    north, east, down = epoch.velocity_mmps
    speed_mmps = round((north * north + east * east + down * down) ** 0.5)
    return struct.pack(
        "<IiiiIIiII",
        epoch.itow_ms, round(north / 10), round(east / 10), round(down / 10),
        round(speed_mmps / 10), round(epoch.ground_speed_mmps / 10), epoch.heading,
        _cm(epoch.s_acc_mmps), epoch.head_acc,
    )  # fmt: skip


def _status(epoch: NavEpoch, _: UbxChip) -> bytes:
    return struct.pack(
        "<IBBBBII",
        epoch.itow_ms, FIX_3D if epoch.fixed else NO_FIX, _fix_flags(epoch), 0, 0,
        epoch.first_fix_ms, epoch.uptime_ms & UNKNOWN,
    )  # fmt: skip


def _sol(epoch: NavEpoch, _: UbxChip) -> bytes:
    return struct.pack(
        "<IihBBiiiIiiiIHBBI",
        epoch.itow_ms, epoch.ftow_ns, epoch.week, FIX_3D if epoch.fixed else NO_FIX,
        _fix_flags(epoch), *epoch.ecef_cm, _cm(epoch.p_acc_mm), *epoch.ecef_cmps,
        _cm(epoch.s_acc_mmps), epoch.dop.p, 0, len(epoch.used), 0,
    )  # fmt: skip


def _dop(epoch: NavEpoch, _: UbxChip) -> bytes:
    dop = epoch.dop
    return struct.pack("<I7H", epoch.itow_ms, dop.g, dop.p, dop.t, dop.v, dop.h, dop.n, dop.e)


def _timegps(epoch: NavEpoch, _: UbxChip) -> bytes:
    stage = epoch.stage
    valid = (stage >= Stage.TIME) | (stage >= Stage.DATE) << 1 | (stage >= Stage.DATE) << 2
    return struct.pack(
        "<IihbBI",
        epoch.itow_ms, epoch.ftow_ns, epoch.week, epoch.leap_seconds, valid, epoch.t_acc_ns,
    )  # fmt: skip


def _timeutc(epoch: NavEpoch, _: UbxChip) -> bytes:
    utc, stage = epoch.utc, epoch.stage
    gps_utc = 3 << 4  # the standard: as GPS steers it (USNO)
    valid = (stage >= Stage.TIME) | (stage >= Stage.DATE) << 1 | (stage >= Stage.DATE) << 2
    return struct.pack(
        "<IIiHBBBBBB",
        epoch.itow_ms, epoch.t_acc_ns, epoch.time_ns % NS_PER_S,
        utc.year, utc.month, utc.day, utc.hour, utc.minute, epoch.second, gps_utc | valid,
    )  # fmt: skip


def _timels(epoch: NavEpoch, _: UbxChip) -> bytes:
    known = epoch.stage >= Stage.DATE
    from_gps = 2 if known else 0  # 0: firmware's default
    week, rest_s = divmod(LAST_LEAP_S - GPS_EPOCH_S - 1, 7 * 86_400)
    return struct.pack(
        "<IB3xBbBbiHH3xB",
        epoch.itow_ms, 0, from_gps, epoch.leap_seconds, from_gps, 0,
        LAST_LEAP_S - epoch.time_ns // NS_PER_S, week, rest_s // 86_400 + 1, 3 if known else 0,
    )  # fmt: skip


def _sat(epoch: NavEpoch, _: UbxChip) -> bytes:
    blocks = [
        struct.pack(
            "<BBBbhhI",
            GNSS_IDS[satellite.system], satellite.svid, _cno(satellite),
            int(satellite.elevation_deg), int(satellite.azimuth_deg) % 360, 0,
            _sat_flags(satellite, satellite in epoch.used),
        )
        for satellite in epoch.seen
    ]  # fmt: skip
    return struct.pack("<IBBH", epoch.itow_ms, 1, len(blocks), 0) + b"".join(blocks)


def _svinfo(epoch: NavEpoch, _: UbxChip) -> bytes:
    blocks: list[bytes] = []
    for satellite in epoch.seen:
        number = SVINFO_OFFSETS[satellite.system] + satellite.svid
        if number > MAX_SVINFO:
            continue
        used = satellite in epoch.used
        flags = used | 1 << 2 | 1 << 3  # used, orbit known, by ephemeris
        blocks.append(
            struct.pack(
                "<BBBBBbhi",
                len(blocks), number, flags, _quality(satellite), _cno(satellite),
                int(satellite.elevation_deg), int(satellite.azimuth_deg) % 360, 0,
            )
        )  # fmt: skip
    head = struct.pack("<IBBH", epoch.itow_ms, len(blocks), M8_CHIP_GENERATION, 0)
    return head + b"".join(blocks)


def _eoe(epoch: NavEpoch, _: UbxChip) -> bytes:
    return struct.pack("<I", epoch.itow_ms)


def _cm(millimetres: int) -> int:
    return UNKNOWN if millimetres == UNKNOWN else round(millimetres / 10)


def _fix_flags(epoch: NavEpoch) -> int:
    """Fix is good, week number and time of week are known: flags of NAV-SOL and NAV-STATUS."""
    return epoch.fixed | (epoch.stage >= Stage.DATE) << 2 | (epoch.stage >= Stage.TIME) << 3


def _cno(satellite: Satellite) -> int:
    return 0 if satellite.snr_dbhz is None else min(99, max(0, int(satellite.snr_dbhz)))


def _quality(satellite: Satellite) -> int:
    if satellite.snr_dbhz is None:
        return SEARCHING
    return CARRIER_LOCKED if satellite.snr_dbhz >= CARRIER_FROM_DBHZ else CODE_LOCKED


def _sat_flags(satellite: Satellite, used: bool) -> int:
    healthy, ephemeris, ephemeris_here, almanac_here = 1 << 4, 1 << 8, 1 << 11, 1 << 12
    flags = _quality(satellite) | used << 3 | healthy
    return flags | ephemeris | ephemeris_here | almanac_here


_MESSAGES: Mapping[str, tuple[int, Build]] = MappingProxyType({
    "NAV-POSECEF": (0x01, _posecef),
    "NAV-POSLLH": (0x02, _posllh),
    "NAV-STATUS": (0x03, _status),
    "NAV-DOP": (0x04, _dop),
    "NAV-SOL": (0x06, _sol),
    "NAV-PVT": (0x07, _pvt),
    "NAV-VELECEF": (0x11, _velecef),
    "NAV-VELNED": (0x12, _velned),
    "NAV-TIMEGPS": (0x20, _timegps),
    "NAV-TIMEUTC": (0x21, _timeutc),
    "NAV-TIMELS": (0x26, _timels),
    "NAV-SVINFO": (0x30, _svinfo),
    "NAV-SAT": (0x35, _sat),
    "NAV-EOE": (0x61, _eoe),
})  # fmt: skip

NAV_IDS: Mapping[int, str] = MappingProxyType({id_: name for name, (id_, _) in _MESSAGES.items()})


def nav_frame(name: str, epoch: NavEpoch, chip: UbxChip) -> bytes:
    """Return the message of that name as a complete frame."""
    message_id, build = _MESSAGES[name]
    return ubx_frame(NAV_CLASS, message_id, build(epoch, chip))
