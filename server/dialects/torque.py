"""Uploads of the Torque app (Android): one request for each moment, all in its parameters.

    GET …/torque?eml=ada@example.org&v=8&session=1459259898185&id=8a10…&time=1459262521424
        &kff1005=-121.29&kff1006=38.56&kc=892.0&kd=0.0&kff1202=-8.4

`k<hex>` is a PID of mode 01, or one of the app's own (from ff1000 on); values are in the app's
metric units whatever it shows (`userUnit…`), "Infinity" where it has none. Requests with the
vehicle's profile, names, units and notices come between. Each has to be answered `OK!`, or comes
again. Sources: econpy/torque (upload_data.php, data/torque_keys.csv, recorded requests),
home-assistant/core (components/torque).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from server.catalogue import by_id, by_name
from server.dialects.gathered import Gathered

OK = b"OK!"

_PIDS = (
    *range(0x04, 0x12),
    *(0x1F, 0x21, 0x22, 0x23, 0x2C, 0x2D, 0x2F, 0x31, 0x32, 0x33, 0x3C, 0x3D, 0x3E, 0x3F),
    *(0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x49, 0x4A, 0x4B, 0x52, 0x5A, 0x5B, 0x5C),
)
"""PIDs of mode 01 that the app and the catalogue have in the same unit; they have the same numbers.
Not 5E: the app's own unit of it ("L/m") fits no value of it; ff125d is in litres an hour."""

_OWN: tuple[tuple[int, str, str], ...] = (
    (0xFF1001, "GPS_SPEED", "km/h"),
    (0xFF1005, "LON", "°"),
    (0xFF1006, "LAT", "°"),
    (0xFF1010, "ALT", "m"),
    (0xFF1202, "BOOST", "psi"),
    (0xFF123A, "SATS", ""),
    (0xFF123B, "GPS_HEADING", "°"),
    (0xFF125D, "FUEL_RATE", "l/hr"),
)
_SIGNALS: Mapping[int, int] = {
    **{pid: pid for pid in _PIDS},
    **{key: by_name(name).id for key, name, _ in _OWN},
}
_UNITS: Mapping[int, str] = {
    **{pid: by_id(pid).unit for pid in _PIDS},
    0x44: "",
    **{key: unit for key, _, unit in _OWN},
}
_LON, _LAT = by_name("LON").id, by_name("LAT").id
_KEY = re.compile(r"k([0-9a-fA-F]{1,8})")
_UNIT_KEY = re.compile(r"defaultUnit([0-9a-fA-F]{1,8})")
_BESIDE = re.compile(
    r"(userUnit|userShortName|userFullName|profile)\w{0,40}|eml|v|session|id|time|notice|noticeClass"
    r"|key"
)
_SOUND = re.compile(r"[A-Za-z0-9]")


def read_torque(parameters: Iterable[tuple[str, str]], now_ns: int) -> Gathered:
    """Take the parameters of a request apart; nothing in it refuses it as a whole.

    A request that was refused would come again for ever, and keep all later ones back: what is
    nonsense is left out and counted.
    """
    gathered = Gathered()
    given = dict(parameters)  # the app sends its position twice
    time_ns = _time_ns(given.get("time"), gathered)
    values: list[tuple[int, str, str]] = []
    for name, text in given.items():
        match = _KEY.fullmatch(name)
        if match is not None:
            signal = _SIGNALS.get(int(match[1], 16))
            if signal is None:
                gathered.leave_out("a key that has a signal", name, name, "unknown signal")
            else:
                values.append((signal, text, name))
            continue
        unit = _UNIT_KEY.fullmatch(name)
        if unit is not None:
            _check_unit(int(unit[1], 16), text, gathered)
        elif not _BESIDE.fullmatch(name):
            gathered.leave_out("parameters of the Torque app", name[:60], "query", "unknown field")
    if time_ns is None:
        if values:
            found = repr(given.get("time", "none")[:40])
            gathered.leave_out("time in milliseconds since 1970", found, "time", "time")
        return gathered
    is_fix = not _is_nowhere({signal: text for signal, text, _ in values})
    for signal, text, name in values:
        if is_fix or signal not in (_LON, _LAT):
            gathered.text(signal, time_ns, text, name)
    if not is_fix:
        gathered.leave_out("a position", "0, 0", "kff1005", "no fix")
    return gathered


def _time_ns(text: str | None, gathered: Gathered) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 15):
        return None
    return int(text) * 1_000_000


def _is_nowhere(values: Mapping[int, str]) -> bool:
    """Tell whether the position is the one of a phone without a fix."""
    try:
        return float(values[_LON]) == 0 and float(values[_LAT]) == 0
    except (KeyError, ValueError):
        return False


def _check_unit(key: int, text: str, gathered: Gathered) -> None:
    """Count a unit that is not the one that values are taken for; the app mangles some signs."""
    expected = _UNITS.get(key)
    if expected is None:
        return
    if _letters(text) not in (_letters(expected), ""):
        gathered.leave_out(expected or "no unit", repr(text[:40]), f"defaultUnit{key:x}", "unit")


def _letters(unit: str) -> str:
    return "".join(_SOUND.findall(unit)).casefold()
