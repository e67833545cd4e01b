"""NMEA fields from integers, so that no float ever prints as `60.0000` minutes or `-0.0`."""

from __future__ import annotations

import datetime
import functools

NS_PER_S = 1_000_000_000
S_PER_DAY = 86_400
UNIX_EPOCH_ORDINAL = datetime.date(1970, 1, 1).toordinal()

_TAILS = tuple(f"*{value:02X}\r\n" for value in range(256))


def checksum(body: bytes) -> int:
    """Return the XOR of all bytes, 0-255.

    The bytes are read as one integer that is folded onto itself in halves: six shifts instead of a
    loop over 70 bytes. Bits above the folded part stay dirty and never reach the lowest byte.
    """
    value = int.from_bytes(body, "big")
    half_bits = 512
    while half_bits * 2 < len(body) * 8:
        half_bits *= 2
    while half_bits >= 8:
        value ^= value >> half_bits
        half_bits >>= 1
    return value & 0xFF


def sentence(body: str) -> bytes:
    """Wrap what stands between `$` and `*` into a complete sentence with checksum and CR LF."""
    # checksum() written out: this is the hottest line of the package, and all bodies are short.
    raw = body.encode("ascii")
    if len(raw) > 128:
        return f"${body}{_TAILS[checksum(raw)]}".encode("ascii")
    value = int.from_bytes(raw, "big")
    value ^= value >> 512
    value ^= value >> 256
    value ^= value >> 128
    value ^= value >> 64
    value ^= value >> 32
    value ^= value >> 16
    value ^= value >> 8
    return f"${body}{_TAILS[value & 0xFF]}".encode("ascii")


def angle(units: int, units_per_degree: int, degree_digits: int, minute_digits: int) -> str:
    """Return |units| as degrees and minutes, e.g. `4404.13387`.

    Args:
        units: the angle in the last digit's steps of a minute.
        units_per_degree: 60 * 10**minute_digits.
    """
    degrees, rest = divmod(abs(units), units_per_degree)
    minutes, fraction = divmod(rest, units_per_degree // 60)
    return f"{degrees:0{degree_digits}d}{minutes:02d}.{fraction:0{minute_digits}d}"


def position(lat_units: int, lon_units: int, minute_digits: int) -> str:
    """Return the four fields of a position, e.g. `4404.13387,N,12118.85628,W`."""
    per_degree = 60 * 10**minute_digits
    lat = angle(lat_units, per_degree, 2, minute_digits)
    lon = angle(lon_units, per_degree, 3, minute_digits)
    return f"{lat},{'S' if lat_units < 0 else 'N'},{lon},{'W' if lon_units < 0 else 'E'}"


def decimal(units: int, digits: int) -> str:
    """Return `units` steps of 10**-digits, e.g. decimal(-5, 1) is `-0.5`; zero has no sign."""
    if units < 0:
        return "-" + decimal(-units, digits)
    if not digits:
        return str(units)
    whole, fraction = divmod(units, 10**digits)
    return f"{whole}.{fraction:0{digits}d}"


def cut_to_digits(time_ns: int, digits: int) -> int:
    """Return the instant cut (not rounded: a clock never runs ahead) to decimals of a second."""
    step_ns = int(10 ** (9 - digits))
    return time_ns // step_ns * step_ns


def time_of_day(time_ns: int, digits: int) -> str:
    """Return `hhmmss.ss` with `digits` decimals, 00-59 seconds."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    return f"{_whole_seconds(seconds % S_PER_DAY)}.{rest_ns // int(10 ** (9 - digits)):0{digits}d}"


@functools.lru_cache(maxsize=4)
def _whole_seconds(second_of_day: int) -> str:
    minutes, seconds = divmod(second_of_day, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}{minutes:02d}{seconds:02d}"


def date(time_ns: int) -> str:
    """Return `ddmmyy`."""
    return _dates(time_ns // (NS_PER_S * S_PER_DAY))[0]


def date_fields(time_ns: int) -> str:
    """Return `dd,mm,yyyy`, the date of ZDA."""
    return _dates(time_ns // (NS_PER_S * S_PER_DAY))[1]


@functools.lru_cache(maxsize=4)
def _dates(day: int) -> tuple[str, str]:
    today = datetime.date.fromordinal(UNIX_EPOCH_ORDINAL + day)
    day_month = f"{today.day:02d}", f"{today.month:02d}"
    return f"{day_month[0]}{day_month[1]}{today.year % 100:02d}", (
        f"{day_month[0]},{day_month[1]},{today.year:04d}"
    )
