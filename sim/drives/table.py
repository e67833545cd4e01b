"""Recorded drives as CSV: any delimiter, columns found by their names, units by their headers.

A speed whose header names no unit counts as km/h, the unit of OBD-II. Rows of a name and a value
(`telerig export`, Car Scanner) are made columns first.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from sim.drives.clock_text import UNITS_S, ClockText
from sim.drives.errors import RecordingError
from sim.drives.geodesy import Position
from sim.drives.samples import Samples

HEADER_LINES = 60  # how far down the header may stand (loggers write a preamble)
PROBED_ROWS = 200  # rows in which a time column must show a readable time
KPH_OF = {
    "km/h": 1.0,
    "kmh": 1.0,
    "kph": 1.0,
    "kmph": 1.0,
    "kilometers/hour": 1.0,
    "mph": 1.609344,
    "mi/h": 1.609344,
    "miles/hour": 1.609344,
    "m/s": 3.6,
    "mps": 3.6,
    "meters/second": 3.6,
    "kn": 1.852,
    "knots": 1.852,
    "kts": 1.852,
}
# Names in order of preference, as they read once units and punctuation are gone.
TIME_NAMES = (
    "time", "t", "timestamp", "timestamps", "elapsed time", "elapsed", "seconds", "sec",
    "time since start", "relative time", "datetime", "date time", "device time", "utc time", "utc",
    "gps time", "unix time", "epoch", "time stamp", "zeit", "datum zeit", "zeitstempel",
)  # fmt: skip
SPEED_NAMES = (
    "speed", "vehicle speed", "vehicle speed sensor", "speed obd", "obd speed", "car speed", "vss",
    "wheel speed", "v", "velocity", "geschwindigkeit", "fahrzeuggeschwindigkeit", "speed gps",
    "gps speed", "gpsspeed", "ground speed",
)  # fmt: skip
LAT_NAMES = ("lat", "latitude", "gps latitude", "gps lat")
LON_NAMES = ("lon", "longitude", "lng", "long", "gps longitude", "gps lon", "longtitude")
ALT_NAMES = ("alt", "altitude", "elevation", "ele", "height", "gps altitude", "gps alt")
LONG_COLUMNS = {"speed": SPEED_NAMES, "lat": LAT_NAMES, "lon": LON_NAMES, "alt": ALT_NAMES}
SIGNAL_NAMES = ("signal", "pid", "parameter", "channel", "name")
VALUE_NAMES = ("value", "values")
UNIT_NAMES = ("unit", "units")
_BRACKETED = re.compile(r"[(\[{]([^)\]}]*)[)\]}]")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns hold what; -1 where there is none."""

    times: tuple[int, ...]  # candidates in order of preference
    speed: int
    lat: int
    lon: int
    alt: int
    width: int
    signal: int = -1  # of rows of names and values
    value: int = -1
    unit: int = -1

    @property
    def is_usable(self) -> bool:
        """Whether it has times, and speeds or positions, or names and values."""
        places = self.lat >= 0 and self.lon >= 0
        return bool(self.times) and (self.speed >= 0 or places or self.is_long)

    @property
    def is_long(self) -> bool:
        """Whether each row is a name and a value."""
        return self.signal >= 0 and self.value >= 0


def read_table(text: str, samples: Samples) -> None:
    """Feed `samples` from the rows of a CSV; raises RecordingError without a usable header."""
    lines = text.splitlines()
    number, delimiter, header = _find_header(lines, samples)
    names = [_name(cell) for cell in header]
    layout = _layout(names)
    # csv joins quoted cells that hold a line break, so the rows are read from the lines themselves.
    rows = csv.reader(_clean(lines[number:]), delimiter=delimiter)
    body = []
    while True:
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            samples.skip(number + rows.line_num, f"a broken row ({error})")
            continue
        if row and not (row[0].startswith("#") or row == [""]):
            body.append((number + rows.line_num, row))
    if layout.is_long:
        header, body = _widened(body, layout, samples)
        layout = _layout([_name(cell) for cell in header])
    units = _units_row(body, header, layout)
    _read_rows(body, header, units, layout, delimiter, samples)


def _find_header(lines: list[str], samples: Samples) -> tuple[int, str, list[str]]:
    """The number of the header line (from 1), the delimiter, and the header's cells."""
    for number, line in enumerate(lines[:HEADER_LINES], start=1):
        if line.startswith("#"):
            continue
        for delimiter in (",", ";", "\t"):
            if delimiter not in line:
                continue
            header = next(csv.reader([line.replace("\0", "")], delimiter=delimiter), [])
            layout = _layout([_name(cell) for cell in header])
            if layout.is_usable:
                return number, delimiter, header
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    got = repr(first[:80]) if first else "an empty file"
    if "\0" in first or "\ufffd" in first:
        got = "binary data"
    raise RecordingError(
        samples.path,
        lines.index(first) + 1 if first else None,
        "CSV with a header line that names a time and a speed (or latitude and longitude), "
        "an NMEA log, or GPX",
        got,
    )


def _layout(names: list[str]) -> Layout:
    times = sorted(
        (TIME_NAMES.index(name), place) for place, name in enumerate(names) if name in TIME_NAMES
    )
    return Layout(
        times=tuple(place for _, place in times),
        speed=_best(names, SPEED_NAMES),
        lat=_best(names, LAT_NAMES),
        lon=_best(names, LON_NAMES),
        alt=_best(names, ALT_NAMES),
        width=len(names),
        signal=_best(names, SIGNAL_NAMES),
        value=_best(names, VALUE_NAMES),
        unit=_best(names, UNIT_NAMES),
    )


def _widened(
    body: list[tuple[int, list[str]]], layout: Layout, samples: Samples
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and rows with a column for each of the speed and the position of a long table."""
    found = [
        (number, row, _name(row[layout.signal])) for number, row in body if len(row) >= layout.width
    ]
    present = [name for _, _, name in found]
    kinds: dict[str, str] = {}
    for column, wanted in LONG_COLUMNS.items():
        best = _best(present, wanted)
        if best >= 0:
            kinds[present[best]] = column
    unit = lat = alt = ""
    wide: list[tuple[int, list[str]]] = []
    for number, row, name in found:
        kind, value, time = kinds.get(name), row[layout.value], row[layout.times[0]]
        place = _place(row, layout, comma=True) if kind == "speed" else None
        if kind == "lat":
            lat = value
        elif kind == "alt":
            alt = value
        elif kind is not None:
            if not wide or wide[-1][1][0] != time:
                wide.append((number, [time, "", "", "", ""]))
            if kind == "lon":  # follows its latitude
                wide[-1][1][2:] = lat, value, alt
            else:
                unit = row[layout.unit] if layout.unit >= 0 else ""
                wide[-1][1][1] = value
                if place is not None:  # columns beside the value: Car Scanner
                    wide[-1][1][2:] = map(str, place)
    if not wide:
        names = ", ".join(sorted(set(present)))[:80]
        raise RecordingError(samples.path, None, "a signal that is a speed or a position", names)
    return ["time", f"speed ({unit})", "lat", "lon", "alt"], wide


def _best(names: list[str], wanted: tuple[str, ...]) -> int:
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    return next((places[name] for name in wanted if name in places), -1)


def _name(cell: str) -> str:
    """A header's cell without its unit: "Speed (OBD)(km/h)" -> "speed obd", "t_s" -> "t"."""
    cell = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cell.strip()).lower().lstrip("\ufeff")
    for inside in _BRACKETED.findall(cell):
        if _is_unit(inside):
            cell = cell.replace(inside, " ")
    words = re.sub(r"[^a-z0-9/]+", " ", cell).split()
    if len(words) > 1 and _is_unit(words[-1]):
        words.pop()
    return " ".join(words)


def _is_unit(text: str) -> bool:
    text = text.strip().lower()
    return text in KPH_OF or text in UNITS_S or text in ("sec", "seconds", "deg", "°", "m")


def _speed_unit(cell: str) -> float | None:
    """km/h per unit of the column, None if its header names no unit."""
    cell = cell.lower()
    for inside in reversed(_BRACKETED.findall(cell)):
        if inside.strip() in KPH_OF:
            return KPH_OF[inside.strip()]
    words = re.sub(r"[^a-z0-9/]+", " ", cell).split()
    return KPH_OF.get(words[-1]) if words else None


def _time_unit(cell: str) -> float | None:
    cell = cell.lower()
    words = re.sub(r"[^a-z]+", " ", cell).split()
    if len(words) < 2:
        return None
    return 1.0 if words[-1] in ("sec", "seconds") else UNITS_S.get(words[-1])


def _units_row(
    body: list[tuple[int, list[str]]], header: list[str], layout: Layout
) -> list[str] | None:
    """Some loggers put the units in a row of their own, below the header: take it out."""
    if not body:
        return None
    row = body[0][1]
    column = layout.speed if layout.speed >= 0 else layout.lat
    if column >= len(row) or len(row) != len(header) or not _is_unit(row[column].strip('[]() "')):
        return None
    del body[0]
    return [cell.strip('[]() "') for cell in row]


def _clean(lines: list[str]) -> list[str]:
    """NUL bytes, which a logger that lost power leaves behind, would stop the csv module."""
    return [line.replace("\0", "") for line in lines]


def _read_rows(
    body: list[tuple[int, list[str]]],
    header: list[str],
    units: list[str] | None,
    layout: Layout,
    delimiter: str,
    samples: Samples,
) -> None:
    time_column, clock = _choose_clock(body, header, units, layout)
    scale = 1.0
    if layout.speed >= 0:
        named = f"({units[layout.speed]})" if units is not None else ""
        scale = _speed_unit(named) or _speed_unit(header[layout.speed]) or 1.0
    comma = delimiter != ","
    for number, row in body:
        # A trailing delimiter or a cut tail is harmless as long as the needed cells are there.
        try:
            time_s = clock.seconds(row[time_column])
            speed = _cell(row, layout.speed, comma)
            place = _place(row, layout, comma)
        except IndexError:
            samples.skip(number, f"{len(row)} cells instead of {layout.width}")
        except ValueError as error:
            samples.skip(number, str(error))
        else:
            if speed is not None or place is not None:  # else another signal's turn
                samples.add(number, time_s, None if speed is None else speed * scale, place)


def _choose_clock(
    body: list[tuple[int, list[str]]],
    header: list[str],
    units: list[str] | None,
    layout: Layout,
) -> tuple[int, ClockText]:
    """The first time column that holds readable times."""
    for column in layout.times:
        unit_s = _time_unit(header[column])
        if unit_s is None and units is not None:
            unit_s = UNITS_S.get(units[column].lower())
        clock = ClockText(unit_s)
        for _, row in body[:PROBED_ROWS]:
            try:
                clock.seconds(row[column])
            except (ValueError, IndexError):
                continue
            return column, ClockText(unit_s)
    return layout.times[0], ClockText(_time_unit(header[layout.times[0]]))


def _place(row: list[str], layout: Layout, comma: bool) -> Position | None:
    if layout.lat < 0 or layout.lon < 0:
        return None
    lat, lon = _cell(row, layout.lat, comma), _cell(row, layout.lon, comma)
    if lat is None or lon is None:
        return None
    alt = _cell(row, layout.alt, comma) if layout.alt < len(row) else None
    return lat, lon, alt if alt is not None else 0.0


def _cell(row: list[str], column: int, comma: bool) -> float | None:
    """Number in a cell, None if it is empty; `comma` allows for a decimal comma."""
    if column < 0:
        return None
    text = row[column].strip()
    if text in ("", "-", "null", "None", "NaN", "nan"):
        return None
    try:
        return float(text.replace(",", ".") if comma else text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} where a number belongs") from None
