"""NMEA 0183 from the GNSS receiver: RMC and GGA as integers, each with the instant of its fix.

Numbers keep the sentences' own steps (1e-5 minutes, 0.001 knots, 0.01 degrees, 0.1 m): no float is
made on the way. Finer digits than a step's are rounded.
"""

from firmware_stubs import signals

MOST_LINE_BYTES = 120  # the standard's 82, and what some receivers send beyond it
_DAY_MS = 86400000
_MONTHS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


class Sentence:
    """What one sentence said.

    Attributes:
        utc_ms: instant of the fix; 0 when it is not known (no date yet).
        values: (signal, raw integer) pairs; none without a fix.
        tick_ms: when its burst began to arrive, on the board's clock.
        dated: whether the sentence itself had the date.
    """

    def __init__(
        self, utc_ms: int, values: list[tuple[int, int]], tick_ms: int, dated: bool
    ) -> None:
        self.utc_ms = utc_ms
        self.dated = dated
        self.values = values
        self.tick_ms = tick_ms


class Receiver:
    """Cuts what comes from the receiver into sentences.

    Attributes:
        bad_lines: with a wrong checksum, too long, or with fields that make no sense.
    """

    def __init__(self) -> None:
        self.bad_lines = 0
        self._line = b""
        self._day_ms = 0  # midnight of the last RMC's date
        self._rmc_ms = 0
        self._burst_ms = 0
        self._last_ms = -1000

    def feed(self, data: bytes, now_ms: int) -> list[Sentence]:
        """Take bytes and give the sentences that they complete."""
        if now_ms - self._last_ms > 30:  # silence: what comes now belongs to a new epoch
            self._burst_ms = now_ms
        self._last_ms = now_ms
        found = []
        lines = (self._line + data).split(b"\n")
        self._line = lines.pop()
        if len(self._line) > MOST_LINE_BYTES:
            self._line = b""
            self.bad_lines += 1
        for line in lines:
            sentence = self._read(line.strip())
            if sentence is not None:
                found.append(sentence)
        return found

    def _read(self, line: bytes) -> Sentence | None:
        if not line:
            return None
        fields = _fields(line)
        if fields is None:
            self.bad_lines += 1
            return None
        kind = fields[0][2:]
        try:
            if kind == "RMC" and len(fields) >= 10:
                return self._rmc(fields)
            if kind == "GGA" and len(fields) >= 10:
                return self._gga(fields)
        except (ValueError, IndexError):
            self.bad_lines += 1
        return None

    def _rmc(self, fields: list[str]) -> Sentence | None:
        if not fields[1] or not fields[9]:
            return None
        day_ms = midnight_ms(fields[9])
        utc_ms = day_ms + time_ms(fields[1])
        self._day_ms = day_ms
        self._rmc_ms = utc_ms
        values = []
        if fields[2] == "A":
            values = _position(fields[3:7])
            if fields[7]:
                values.append((signals.GPS_SPEED, decimal(fields[7], 3)))
            if fields[8]:
                values.append((signals.GPS_HEADING, decimal(fields[8], 2)))
        return Sentence(utc_ms, values, self._burst_ms, True)

    def _gga(self, fields: list[str]) -> Sentence | None:
        if not fields[1] or fields[6] in ("", "0"):
            return None
        utc_ms = self._day_ms + time_ms(fields[1]) if self._day_ms else 0
        if utc_ms and utc_ms < self._rmc_ms - _DAY_MS // 2:
            utc_ms += _DAY_MS  # the first after midnight, and RMC with the new date is yet to come
        values = _position(fields[2:6])
        if fields[7]:
            values.append((signals.SATS, decimal(fields[7], 0)))
        if fields[8]:
            values.append((signals.HDOP, decimal(fields[8], 2)))
        if fields[9]:
            values.append((signals.ALT, decimal(fields[9], 1)))
        return Sentence(utc_ms, values, self._burst_ms, False)


def _fields(line: bytes) -> list[str] | None:
    """Cut a sentence into its fields; None when it is none or was damaged."""
    star = len(line) - 3
    if star < 6 or line[0] != 36 or line[star] != 42 or len(line) > MOST_LINE_BYTES:
        return None
    total = 0
    for byte in line[1:star]:
        if not 32 <= byte < 127:
            return None
        total ^= byte
    try:
        if int(str(line[star + 1 :], "ascii"), 16) != total:
            return None
    except (UnicodeError, ValueError):
        return None
    return str(line[1:star], "ascii").split(",")


def _position(fields: list[str]) -> list[tuple[int, int]]:
    lat, north, lon, east = fields
    if not lat or not lon:
        return []
    if north not in ("N", "S") or east not in ("E", "W"):
        raise ValueError("hemisphere")
    return [
        (signals.LAT, _angle(lat, 2, 90, north == "S")),
        (signals.LON, _angle(lon, 3, 180, east == "W")),
    ]


def _angle(text: str, degree_digits: int, most: int, negative: bool) -> int:
    """Read ddmm.mmmmm as 1e-5 minutes."""
    degrees = _digits(text[:degree_digits])
    minutes = decimal(text[degree_digits:], 5)
    if not 0 <= minutes < 6000000 or degrees * 6000000 + minutes > most * 6000000:
        raise ValueError("angle")
    value = degrees * 6000000 + minutes
    return -value if negative else value


def decimal(text: str, digits: int) -> int:
    """Read a decimal number in steps of 10**-digits, rounded half up; raises ValueError."""
    negative = text.startswith("-")
    if negative:
        text = text[1:]
    whole, _, fraction = text.partition(".")
    value = _digits(whole)
    for place in range(digits):
        value = value * 10 + (_digits(fraction[place]) if place < len(fraction) else 0)
    if len(fraction) > digits and _digits(fraction[digits:]) >= 0 and fraction[digits] >= "5":
        value += 1
    return -value if negative else value


def _digits(text: str) -> int:
    # int() takes signs, blanks and underscores, which a sentence does not have.
    if not text or len(text) > 9:
        raise ValueError("digits")
    for letter in text:
        if not "0" <= letter <= "9":
            raise ValueError("digits")
    return int(text)


def time_ms(text: str) -> int:
    """Read hhmmss.sss as milliseconds since midnight."""
    if len(text) < 6:
        raise ValueError("time")
    hours, minutes, ms = _digits(text[:2]), _digits(text[2:4]), decimal(text[4:], 3)
    if hours > 23 or minutes > 59 or ms > 60999:
        raise ValueError("time")
    return (hours * 60 + minutes) * 60000 + ms


def midnight_ms(text: str) -> int:
    """Read ddmmyy as UTC milliseconds since 1970."""
    if len(text) != 6:
        raise ValueError("date")
    day, month, year = _digits(text[:2]), _digits(text[2:4]), 2000 + _digits(text[4:])
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        raise ValueError("date")
    leap_days = (year - 1969) // 4 + (1 if year % 4 == 0 and month > 2 else 0)
    days = (year - 1970) * 365 + leap_days + _MONTHS[month - 1] + day - 1
    return days * _DAY_MS
