"""What one NMEA sentence says, in units, with everything that did not convert left out.

pynmea2 1.19.0 splits and names the fields; the traps below are closed here (each has a test):

* `RMC.is_valid` is False for every fix with NMEA 4.1 navigational status 'V', which u-blox M8 and
  M9 always send (pynmea2#162): validity is read from status and mode instead;
* no fix reads as latitude and longitude 0.0: a position counts only if its fields are there;
* a field that does not convert stays a raw string (`235960.00`, date `000000`, speed `xx`), and
  `num_sats` and `horizontal_dil` are always strings: each is converted here or is None;
* its time truncates to microseconds through a float (`.29` may become 289999): time is read as
  digits.
"""

from __future__ import annotations

import datetime
import functools
import math
from dataclasses import dataclass

import pynmea2  # type: ignore[import-untyped]

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
KPH_PER_KNOT = 1.852

KINDS = frozenset({b"RMC", b"GGA", b"GNS", b"VTG", b"ZDA"})
"""Sentences that are read. Of the rest (GSA, GSV, GLL, GST, P...) only the checksum is checked."""

# NMEA 0183 4.11: A autonomous, D differential, F float RTK, P precise, R RTK. E (dead reckoning),
# M (manual) and S (simulator) are no measurements, N is no fix. Absent before NMEA 2.3.
_MODES_MEASURED = frozenset("ADFPR")
# GGA quality: 1 GPS, 2 differential, 3 PPS, 4 RTK, 5 float RTK, 9 SBAS (NovAtel). 6 is dead
# reckoning, 7 manual, 8 simulator, 0 no fix.
_QUALITIES_MEASURED = frozenset((1, 2, 3, 4, 5, 9))
_DOP_UNKNOWN = 99.0  # 99.99 and 99.9 stand for "no dilution known"
# The combined solution (GN) wins where a receiver sends one GGA per constellation (SiRFstarV).
_TALKER_RANK = {"GN": 0, "GP": 1}


@dataclass(frozen=True, slots=True)
class Sentence:
    """The content of one sentence; None stands for absent or not convertible.

    Attributes:
        kind: "RMC", "GGA", "GNS", "VTG" or "ZDA".
        rank: 0 is preferred if an epoch has several sentences of the kind (talker).
        time_of_day_ns: UTC since midnight; 86400e9 and more within a leap second; None without
            time.
        date: UTC date.
        fix: True measured, False none (or not measured), None if the kind doesn't tell.
    """

    kind: str
    rank: int = 0
    time_of_day_ns: int | None = None
    date: datetime.date | None = None
    fix: bool | None = None
    lat_deg: float | None = None
    lon_deg: float | None = None
    alt_m: float | None = None
    speed_kph: float | None = None
    heading_deg: float | None = None
    hdop: float | None = None
    satellites: int | None = None


class SentenceError(ValueError):
    """A sentence with a good checksum that cannot be read: time, date or syntax is impossible."""


def read_sentence(raw: bytes) -> Sentence | None:
    """Read `$...*hh`; None for a kind that is not needed.

    Raises:
        SentenceError: expected a time `hhmmss[.s]`, a date `ddmmyy` or fields, found something
            else.
    """
    if raw[3:6] not in KINDS or raw[1:2] == b"P":  # Garmin's `$PGRMC` is a setting
        return None
    try:
        parsed = pynmea2.parse(raw.decode("ascii"), check=True)
    except (pynmea2.ParseError, UnicodeDecodeError) as error:
        raise SentenceError(f"expected an NMEA sentence, found {raw!r}: {error}") from error
    sentence: Sentence = _READERS[parsed.sentence_type](parsed, _TALKER_RANK.get(parsed.talker, 2))
    return sentence


def _rmc(parsed: pynmea2.RMC, rank: int) -> Sentence:
    mode = parsed.mode_indicator
    fix = parsed.status == "A" and (not mode or mode in _MODES_MEASURED)
    lat_deg, lon_deg = _position(parsed)
    knots = _number(parsed.data, 6)
    return Sentence(
        kind="RMC",
        rank=rank,
        time_of_day_ns=read_time(_field(parsed.data, 0)),
        date=read_date(_field(parsed.data, 8)),
        fix=fix,
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        speed_kph=None if knots is None else knots * KPH_PER_KNOT,
        heading_deg=_heading(_number(parsed.data, 7)),
    )


def _gga(parsed: pynmea2.GGA, rank: int) -> Sentence:
    lat_deg, lon_deg = _position(parsed)
    in_metres = _field(parsed.data, 9) in ("M", "")
    return Sentence(
        kind="GGA",
        rank=rank,
        time_of_day_ns=read_time(_field(parsed.data, 0)),
        fix=_count(parsed.data, 5) in _QUALITIES_MEASURED,
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        alt_m=_number(parsed.data, 8) if in_metres else None,
        hdop=_dop(_number(parsed.data, 7)),
        satellites=_count(parsed.data, 6),
    )


def _gns(parsed: pynmea2.GNS, rank: int) -> Sentence:
    lat_deg, lon_deg = _position(parsed)
    return Sentence(
        kind="GNS",
        rank=rank,
        time_of_day_ns=read_time(_field(parsed.data, 0)),
        fix=not _MODES_MEASURED.isdisjoint(parsed.mode_indicator),
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        alt_m=_number(parsed.data, 8),
        hdop=_dop(_number(parsed.data, 7)),
        satellites=_count(parsed.data, 6),
    )


def _vtg(parsed: pynmea2.VTG, rank: int) -> Sentence:
    mode = parsed.faa_mode
    return Sentence(
        kind="VTG",
        rank=rank,
        fix=None if not mode else mode in _MODES_MEASURED,
        speed_kph=_number(parsed.data, 6),
        heading_deg=_heading(_number(parsed.data, 0)),
    )


def _zda(parsed: pynmea2.ZDA, rank: int) -> Sentence:
    day, month, year = (_count(parsed.data, index) for index in (1, 2, 3))
    date = None
    if day and month and year:
        date = _calendar(year, month, day)
    return Sentence(
        kind="ZDA", rank=rank, time_of_day_ns=read_time(_field(parsed.data, 0)), date=date
    )


_READERS = {"RMC": _rmc, "GGA": _gga, "GNS": _gns, "VTG": _vtg, "ZDA": _zda}


def read_time(text: str) -> int | None:
    """Return `hhmmss[.s]` as nanoseconds since midnight UTC; None if empty.

    A second of 60 is a leap second and only possible in 23:59: it gives 86400e9 and more, which
    POSIX time maps on the first second of the next day.

    Raises:
        SentenceError: the text is no time of day, `240000.00` included.
    """
    if not text:
        return None
    whole, _, fraction = text.partition(".")
    if len(whole) == 6 and whole.isdecimal() and (not fraction or fraction.isdecimal()):
        hour, minute, second = int(whole[:2]), int(whole[2:4]), int(whole[4:])
        leap = second == 60 and hour == 23 and minute == 59
        if hour < 24 and minute < 60 and (second < 60 or leap):
            nanoseconds = int(fraction[:9].ljust(9, "0")) if fraction else 0
            return ((hour * 60 + minute) * 60 + second) * NS_PER_S + nanoseconds
    raise SentenceError(f"expected a time hhmmss.ss, found {text!r}")


@functools.lru_cache(maxsize=8)
def read_date(text: str) -> datetime.date | None:
    """Return `ddmmyy` as a date; None if empty. Years 80 to 99 are 19yy (GPS time begins in 1980).

    Raises:
        SentenceError: the text is no date (`000000`, `290226`).
    """
    if not text:
        return None
    if len(text) == 6 and text.isdecimal():
        year = int(text[4:])
        return _calendar(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[:2]))
    raise SentenceError(f"expected a date ddmmyy, found {text!r}")


def _calendar(year: int, month: int, day: int) -> datetime.date:
    try:
        return datetime.date(year, month, day)
    except ValueError as error:
        raise SentenceError(
            f"expected a calendar date, found year {year}, month {month}, day {day}"
        ) from error


def _position(parsed: pynmea2.RMC | pynmea2.GGA | pynmea2.GNS) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees, or (None, None) unless both are there and possible."""
    lat, lon = parsed.lat, parsed.lon
    if not lat or not lon or parsed.lat_dir not in ("N", "S") or parsed.lon_dir not in ("E", "W"):
        return None, None
    try:
        lat_deg, lon_deg = parsed.latitude, parsed.longitude
    except ValueError:  # not [d]ddmm.mmm
        return None, None
    # Minutes of 60 and more convert without complaint; a position of exactly 0, 0 is what
    # receivers send that have none (it lies in the Gulf of Guinea, where nobody drives).
    minutes_possible = lat[lat.index(".") - 2] < "6" and lon[lon.index(".") - 2] < "6"
    if not minutes_possible or abs(lat_deg) > 90.0 or abs(lon_deg) > 180.0:
        return None, None
    if lat_deg == 0.0 and lon_deg == 0.0:
        return None, None
    return lat_deg, lon_deg


def _field(data: list[str], index: int) -> str:
    return data[index] if index < len(data) else ""


def _number(data: list[str], index: int) -> float | None:
    text = _field(data, index)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None  # float() takes "nan" and "inf"


def _count(data: list[str], index: int) -> int | None:
    text = _field(data, index)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _heading(heading_deg: float | None) -> float | None:
    if heading_deg is None or not 0.0 <= heading_deg <= 360.0:
        return None
    return heading_deg % 360.0


def _dop(value: float | None) -> float | None:
    return value if value is not None and value < _DOP_UNKNOWN else None
