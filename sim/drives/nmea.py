"""Recorded drives as NMEA 0183 logs: RMC for time and speed, GGA for altitude."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable
from functools import reduce
from operator import xor

from sim.drives.samples import DAY_S, Samples

KNOT_KPH = 1.852
LOOKS_LIKE = re.compile(r"\$[A-Z]{2}(RMC|GGA|GLL|GSA|GSV|VTG),")
_SENTENCE = re.compile(r"\$([^$*\r\n]*)\*([0-9A-Fa-f]{2})")


def checksum(body: str) -> int:
    """XOR of the characters between `$` and `*`."""
    return reduce(xor, (ord(char) & 0xFF for char in body), 0)


def parse_sentence(line: str) -> list[str] | None:
    """Return the fields of the sentence in `line`, address first; None if cut or corrupt.

    A logger may have put its own columns before the `$`. A sentence without a checksum counts as
    corrupt: a line that was cut looks just like it.
    """
    match = _SENTENCE.search(line)
    if match is None or checksum(match[1]) != int(match[2], 16):
        return None
    return match[1].split(",")


def degrees(text: str, side: str) -> float | None:
    """Degrees of `ddmm.mmmm` or `dddmm.mmmm` with its hemisphere; None if it is none."""
    point = text.find(".")
    whole = point if point >= 0 else len(text)
    if whole < 3 or side not in ("N", "S", "E", "W"):
        return None
    degree, minute = _number(text[: whole - 2] or "0"), _number(text[whole - 2 :])
    if degree is None or minute is None or not 0.0 <= minute < 60.0:
        return None
    value = degree + minute / 60.0
    return -value if side in ("S", "W") else value


def time_of_day_s(text: str) -> float | None:
    """Seconds since midnight of `hhmmss.sss`; None if it is none."""
    seconds = _number(text[4:])
    if len(text) < 6 or not text[:4].isdecimal() or not text[:4].isascii() or seconds is None:
        return None
    hour, minute = int(text[:2]), int(text[2:4])
    if hour > 23 or minute > 59 or not 0.0 <= seconds < 61.0:
        return None
    return hour * 3600.0 + minute * 60.0 + seconds


def read_nmea(lines: Iterable[str], samples: Samples) -> None:
    """Feed `samples` from the RMC sentences, or from GGA alone where there is no RMC."""
    reader = _Reader(samples)
    for number, line in enumerate(lines, start=1):
        if "$" not in line:
            continue
        fields = parse_sentence(line)
        if fields is None:
            samples.skip(number, "a wrong or missing checksum")
        elif fields[0].endswith("RMC"):
            reader.rmc(number, fields)
        elif fields[0].endswith("GGA"):
            reader.gga(number, fields)
    reader.finish()


class _Reader:
    """Joins the sentences of one epoch."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        self._altitude_m: float | None = None
        self._rmc_count = 0
        # (line, time, speed, latitude, longitude, altitude): added at the end, since the altitude
        # comes with GGA, which may follow RMC
        self._rmc: list[
            tuple[int, float, float | None, float | None, float | None, float | None]
        ] = []
        self._last_s: float | None = None
        self._day_s = 0.0
        self._gga: list[tuple[int, float, tuple[float, float, float]]] = []

    def rmc(self, number: int, fields: list[str]) -> None:
        """$xxRMC,time,status,lat,N,lon,E,knots,course,date,..."""
        if len(fields) < 10:
            self._samples.skip(number, f"RMC with {len(fields)} of at least 10 fields")
            return
        self._rmc_count += 1
        if fields[2] != "A":
            self._samples.skip(number, "RMC without a fix")
            return
        time_s, day_s = time_of_day_s(fields[1]), _day_s(fields[9])
        knots = _number(fields[7])
        if time_s is None or day_s is None:
            self._samples.skip(number, f"RMC with time {fields[1]!r} and date {fields[9]!r}")
            return
        lat, lon = degrees(fields[3], fields[4]), degrees(fields[5], fields[6])
        speed_kph = None if knots is None else knots * KNOT_KPH
        self._rmc.append((number, day_s + time_s, speed_kph, lat, lon, self._altitude_m))

    def gga(self, number: int, fields: list[str]) -> None:
        """$xxGGA,time,lat,N,lon,E,quality,satellites,hdop,altitude,M,..."""
        if len(fields) < 10:
            self._samples.skip(number, f"GGA with {len(fields)} of at least 10 fields")
            return
        time_s = time_of_day_s(fields[1])
        lat, lon = degrees(fields[2], fields[3]), degrees(fields[4], fields[5])
        if fields[6] in ("", "0") or time_s is None or lat is None or lon is None:
            return
        altitude_m = _number(fields[9])
        if altitude_m is not None:
            self._altitude_m = altitude_m
        if self._last_s is not None and time_s < self._last_s - 0.5 * DAY_S:
            self._day_s += DAY_S
        self._last_s = time_s
        self._gga.append((number, self._day_s + time_s, (lat, lon, self._altitude_m or 0.0)))

    def finish(self) -> None:
        """Add the epochs; without any RMC the positions of GGA alone have to do."""
        first_m = self._gga[0][2][2] if self._gga else 0.0
        for number, time_s, speed_kph, lat, lon, altitude_m in self._rmc:
            place = None
            if lat is not None and lon is not None:
                place = (lat, lon, first_m if altitude_m is None else altitude_m)
            self._samples.add(number, time_s, speed_kph, place)
        if self._rmc_count == 0:
            for number, time_s, place in self._gga:
                self._samples.add(number, time_s, None, place)


def _day_s(text: str) -> float | None:
    """Seconds since 2000 of the midnight of `ddmmyy`; None if it is no date."""
    if len(text) != 6 or not text.isdecimal() or not text.isascii():
        return None
    try:
        day = datetime.date(2000 + int(text[4:]), int(text[2:4]), int(text[:2]))
    except ValueError:
        return None
    return (day - datetime.date(2000, 1, 1)).days * DAY_S


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
