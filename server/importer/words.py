"""Words of older systems for signals and units."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from server.catalogue import Signal, all_signals, by_id

_ALIASES: Mapping[str, str] = {
    "enginerpm": "RPM",
    "enginespeed": "RPM",
    "vehiclespeed": "SPEED",
    "wheelspeed": "SPEED",
    "coolant": "COOLANT_TEMP",
    "coolanttemperature": "COOLANT_TEMP",
    "enginecoolanttemp": "COOLANT_TEMP",
    "enginecoolanttemperature": "COOLANT_TEMP",
    "oil": "OIL_TEMP",
    "oiltemperature": "OIL_TEMP",
    "engineoiltemp": "OIL_TEMP",
    "engineoiltemperature": "OIL_TEMP",
    "intakeairtemp": "INTAKE_TEMP",
    "intakeairtemperature": "INTAKE_TEMP",
    "iat": "INTAKE_TEMP",
    "ambienttemp": "AMBIANT_AIR_TEMP",
    "ambientairtemp": "AMBIANT_AIR_TEMP",
    "ambienttemperature": "AMBIANT_AIR_TEMP",
    "outsidetemp": "AMBIANT_AIR_TEMP",
    "throttle": "THROTTLE_POS",
    "throttleposition": "THROTTLE_POS",
    "tps": "THROTTLE_POS",
    "load": "ENGINE_LOAD",
    "calculatedload": "ENGINE_LOAD",
    "massairflow": "MAF",
    "map": "INTAKE_PRESSURE",
    "manifoldpressure": "INTAKE_PRESSURE",
    "intakemanifoldpressure": "INTAKE_PRESSURE",
    "boostpressure": "BOOST",
    "fuel": "FUEL_LEVEL",
    "fuellevelpercent": "FUEL_LEVEL",
    "ignitiontiming": "TIMING_ADVANCE",
    "timing": "TIMING_ADVANCE",
    "baro": "BAROMETRIC_PRESSURE",
    "voltage": "CONTROL_MODULE_VOLTAGE",
    "batteryvoltage": "CONTROL_MODULE_VOLTAGE",
    "stft": "SHORT_FUEL_TRIM_1",
    "shorttermfueltrim": "SHORT_FUEL_TRIM_1",
    "ltft": "LONG_FUEL_TRIM_1",
    "longtermfueltrim": "LONG_FUEL_TRIM_1",
    "lambda": "COMMANDED_EQUIV_RATIO",
    "latitude": "LAT",
    "longitude": "LON",
    "lng": "LON",
    "long": "LON",
    "altitude": "ALT",
    "elevation": "ALT",
    "heading": "GPS_HEADING",
    "course": "GPS_HEADING",
    "bearing": "GPS_HEADING",
    "satellites": "SATS",
    "numsats": "SATS",
    "soc": "BATTERY_LEVEL",
    "stateofcharge": "BATTERY_LEVEL",
    "power": "BATTERY_POWER",
    "snr": "MESH_SNR",
    "rssi": "MESH_RSSI",
    "temperature": "ENV_TEMPERATURE",
    "humidity": "ENV_HUMIDITY",
    "pressure": "ENV_PRESSURE",
    "light": "ENV_LUX",
    "lux": "ENV_LUX",
}
_OF_SOURCE: Mapping[tuple[str, str], str] = {
    ("gps", "speed"): "GPS_SPEED",
    ("mesh", "speed"): "GPS_SPEED",
    ("meshtastic", "battery"): "NODE_BATTERY",
}
_SUFFIXES: Mapping[str, str] = {
    "kph": "km/h",
    "kmh": "km/h",
    "mph": "mph",
    "mps": "m/s",
    "knots": "kn",
    "kts": "kn",
    "c": "°C",
    "f": "°F",
    "k": "K",
    "kpa": "kPa",
    "psi": "psi",
    "bar": "bar",
    "hpa": "hPa",
    "pct": "%",
    "percent": "%",
    "v": "V",
    "m": "m",
    "ft": "ft",
    "deg": "°",
    "rpm": "rpm",
    "kw": "kW",
}
_UNIT_WORDS: Mapping[str, str] = {
    "kmh": "km/h",
    "kph": "km/h",
    "km/hr": "km/h",
    "mi/h": "mph",
    "mps": "m/s",
    "kt": "kn",
    "knot": "kn",
    "knots": "kn",
    "c": "°C",
    "degc": "°C",
    "celsius": "°C",
    "f": "°F",
    "degf": "°F",
    "fahrenheit": "°F",
    "kelvin": "K",
    "percent": "%",
    "pct": "%",
    "deg": "°",
    "degree": "°",
    "degrees": "°",
    "volt": "V",
    "volts": "V",
    "rev/min": "rpm",
    "1/min": "rpm",
    "gram/sec": "g/s",
    "gramspersecond": "g/s",
    "meter": "m",
    "meters": "m",
    "metre": "m",
    "metres": "m",
    "feet": "ft",
    "lph": "l/h",
    "seconds": "s",
    "second": "s",
    "sec": "s",
    "count": "",
    "none": "",
    "lambda": "ratio",
    "mbar": "hPa",
    "kilometer": "km",
}
# (from, to): value * factor + offset
_CONVERSIONS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("mph", "km/h"): (1.609344, 0.0),
    ("m/s", "km/h"): (3.6, 0.0),
    ("kn", "km/h"): (1.852, 0.0),
    ("°F", "°C"): (5 / 9, -160 / 9),
    ("K", "°C"): (1.0, -273.15),
    ("psi", "kPa"): (6.894757293, 0.0),
    ("bar", "kPa"): (100.0, 0.0),
    ("hPa", "kPa"): (0.1, 0.0),
    ("kPa", "psi"): (1 / 6.894757293, 0.0),
    ("bar", "psi"): (14.503773773, 0.0),
    ("kPa", "hPa"): (10.0, 0.0),
    ("Pa", "hPa"): (0.01, 0.0),
    ("ft", "m"): (0.3048, 0.0),
    ("mi", "km"): (1.609344, 0.0),
    ("mV", "V"): (0.001, 0.0),
    ("W", "kW"): (0.001, 0.0),
    ("min", "s"): (60.0, 0.0),
    ("gal/h", "l/h"): (3.785411784, 0.0),
}
_PID = re.compile(r"(?:0x)?(?:01)?([0-9A-Fa-f]{2})")
_PLAIN = re.compile(r"[^a-z0-9]")
_UNITS = {signal.unit.casefold(): signal.unit for signal in all_signals()}


class Meaning(msgspec.Struct, frozen=True):
    """What a word stands for; `unit` is what its ending says, empty where it says nothing."""

    signal: Signal
    unit: str = ""


def meaning_of(word: object, source: str = "") -> Meaning | None:
    """Give the signal that a word of an older system stands for; None where that is not known.

    Args:
        word: `rpm`, `Engine RPM`, `coolant_temp_c`, `0C`, `010C`, the number 12, a VSS path.
        source: `gps`, `obd`, … where the system kept one beside it.
    """
    if isinstance(word, int):
        return _of_number(word)
    text = str(word).strip()
    by_text = {key: signal for signal in _signals() for key in (signal.name, signal.path)}
    if text in by_text:
        return Meaning(by_text[text])
    source = source.casefold()
    for part in (".", ":", "/"):  # gps.latitude
        head, found, tail = text.partition(part)
        if found and not source and head.casefold() in ("gps", "obd", "mesh", "meshtastic"):
            source, text = head.casefold(), tail
            break
    match = _PID.fullmatch(text)
    if match is not None:
        return _of_number(int(match[1], 16))
    plain = _PLAIN.sub("", text.casefold())
    found_signal = _of_plain(plain, source)
    if found_signal is not None:
        return Meaning(found_signal)
    stem, _, suffix = text.casefold().rpartition("_")
    if stem and suffix in _SUFFIXES:
        found_signal = _of_plain(_PLAIN.sub("", stem), source)
        if found_signal is not None:
            return Meaning(found_signal, _SUFFIXES[suffix])
    return None


def conversion(unit: str, signal: Signal) -> tuple[float, float] | None:
    """Give factor and offset from a unit to the signal's own; None where that is not known.

    No unit counts as the signal's own.
    """
    plain = unit_of(unit)
    if plain in ("", signal.unit):
        return 1.0, 0.0
    return _CONVERSIONS.get((plain, signal.unit))


def unit_of(text: str) -> str:
    """Give a unit as the catalogue writes it; what is not known stays as it is."""
    plain = text.strip().replace("º", "°").replace(" ", "")
    small = plain.casefold()
    if small in _UNIT_WORDS:
        return _UNIT_WORDS[small]
    for known in ("K", "mV", "W", "Pa", "bar", "psi", "mph", "m/s", "kn", "ft", "mi", "°F"):
        if small == known.casefold():
            return known
    return _UNITS.get(small, plain)


def _signals() -> Iterable[Signal]:
    """Give all signals, the built-in ones last: of two with one word they are meant."""
    return reversed(all_signals())


def _of_number(number: int) -> Meaning | None:
    signal = {one.id: one for one in all_signals()}.get(number)
    return None if signal is None else Meaning(signal)


def _of_plain(plain: str, source: str) -> Signal | None:
    by_plain = {_PLAIN.sub("", signal.name.casefold()): signal for signal in _signals()}
    name = _OF_SOURCE.get((source, plain)) or _ALIASES.get(plain)
    if name is not None:
        return by_plain[_PLAIN.sub("", name.casefold())]
    return by_plain.get(plain)


def signal_name(signal_id: int) -> str:
    """Give the short name of a signal."""
    return by_id(signal_id).name
