"""Times as loggers write them: seconds, epochs, times of day, dates with and without a zone."""

from __future__ import annotations

import datetime
import math
import re

from sim.drives.samples import DAY_S

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2}):(\d{2}(?:[.,]\d+)?)\s*([AaPp][Mm])?")
_DATED = re.compile(
    r"(\d{1,4})[-./](\d{1,2}|[A-Za-z]{3})[-./](\d{1,4})[ T]+(\d{1,2}:\d{2}:\d{2}.*)"
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        start=1,
    )
}
# A bare number this large is no count of seconds since the start but an epoch in ms, us or ns.
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))
UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}


class ClockText:
    """Reads one column of times; remembers the last one to see midnight pass.

    Args:
        unit_s: seconds per unit where the header names one, else None.
    """

    def __init__(self, unit_s: float | None = None) -> None:
        self._unit_s = unit_s
        self._day_s = 0.0
        self._last_s: float | None = None

    def seconds(self, text: str) -> float:
        """Seconds on some scale that rises with time; raises ValueError saying what came."""
        text = text.strip()
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            pass
        else:
            return self._past_midnight(self._scaled(value))
        match = _TIME_OF_DAY.fullmatch(text)
        if match is not None:
            return self._past_midnight(_day_seconds(match))
        moment = _moment(text)
        if moment is None:
            raise ValueError(f"the time {text!r}")
        return moment

    def _scaled(self, value: float) -> float:
        if not math.isfinite(value):
            raise ValueError(f"the time {value}")
        if self._unit_s is not None and not (self._unit_s == 1.0 and value > _EPOCHS[-1][0]):
            return value * self._unit_s
        for least, unit_s in _EPOCHS:
            if value > least:
                return value * unit_s
        return value

    def _past_midnight(self, time_s: float) -> float:
        """Go on into the next day; Car Scanner counts the seconds of the day, too."""
        last_s = self._last_s
        if last_s is not None and last_s <= DAY_S and time_s < last_s - 0.5 * DAY_S:
            self._day_s += DAY_S
        self._last_s = time_s
        return self._day_s + time_s


def _day_seconds(match: re.Match[str]) -> float:
    hour, minute, second = int(match[1]), int(match[2]), float(match[3].replace(",", "."))
    if match[4]:
        hour = hour % 12 + (12 if match[4].lower() == "pm" else 0)
    if hour > 23 or minute > 59 or second >= 61.0:
        raise ValueError(f"the time {match[0]!r}")
    return hour * 3600.0 + minute * 60.0 + second


def _moment(text: str) -> float | None:
    """Seconds since 1970 of a date with a time; without a zone it counts as UTC."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return _dated(text)
    if len(text) <= len("2021-06-30"):  # a date alone tells no time
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def _dated(text: str) -> float | None:
    """30-Jun-2021 13:30:32.5 (Torque), 30.06.2021 13:30:32, 06/30/2021 1:30:32 PM."""
    match = _DATED.fullmatch(text)
    clock = _TIME_OF_DAY.fullmatch(match[4].strip()) if match is not None else None
    if match is None or clock is None:
        return None
    first, middle, last = match[1], match[2].lower(), match[3]
    if not middle.isdecimal():
        if middle not in _MONTHS:
            return None
        middle = str(_MONTHS[middle])
    day, month, year = int(first), int(middle), int(last)
    if len(first) == 4:
        year, day = day, year
    elif month > 12 or ("/" in text and day <= 12):  # slashes: month first, as in the USA
        day, month = month, day
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        return None
    return date.toordinal() * DAY_S + _day_seconds(clock)
