"""Numbers with units as people write them: "5 min", "110 km/h", "2 %", "50000/s".

A `Dimension` knows the units that it accepts and the one unit in which values are kept. The unit
belongs to the text, and the field that takes the value carries the unit in its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rig.errors import RigError

# At most 40 digits: longer ones are typing accidents, and float() need not be asked about them.
_NUMBER = re.compile(
    r"\s*([-+]?(?:\d[\d_]{0,39}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,3})?)\s*(.*?)\s*",
    re.DOTALL,
)


class QuantityError(RigError, ValueError):
    """A text that is no number of the dimension that was asked for.

    Attributes:
        expected: what would have been right, with the accepted units.
        found: what stood there.
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


@dataclass(frozen=True, slots=True)
class Dimension:
    """A kind of quantity.

    Attributes:
        name: as it stands in messages ("duration").
        unit: the unit in which parsed values are kept.
        factors: accepted unit -> value of one such unit, in `unit`.
        example: a text that parses.
        bare: True where a number without a unit is right.
    """

    name: str
    unit: str
    factors: Mapping[str, float] = field(default_factory=dict)
    example: str = "1"
    bare: bool = False

    @property
    def accepted(self) -> str:
        """The accepted units as they stand in messages and in the reference."""
        units = list(self.factors)
        if self.bare:
            units.insert(0, "no unit")
        return ", ".join(units)

    @property
    def expectation(self) -> str:
        """What a message says was expected: name, example, accepted units."""
        if not self.factors:
            return f"a {self.name} such as {self.example!r}, without a unit"
        return f"a {self.name} such as {self.example!r} (units: {self.accepted})"

    def parse(self, text: str) -> float:
        """Return `text` as a number in this dimension's `unit`.

        Raises:
            QuantityError: no number, no unit, a unit of another dimension, or not finite.
        """
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise QuantityError(self.expectation, repr(text))
        number, unit = match.groups()
        if unit == "" and self.bare:
            factor = 1.0
        elif unit in self.factors:
            factor = self.factors[unit]
        else:
            found = f"{text!r} without a unit" if unit == "" else f"{text!r} with unit {unit!r}"
            raise QuantityError(self.expectation, found)
        # In decimal: "7 ms" is then the float nearest to 0.007 and no product of two floats.
        value = float(Decimal(number) * Decimal(str(factor)))
        if not math.isfinite(value):
            raise QuantityError(self.expectation, f"{text!r}, which is not finite")
        return value


DURATION = Dimension(
    "duration",
    "s",
    {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    "30 s",
)
SPEED = Dimension("speed", "km/h", {"km/h": 1.0, "mph": 1.609344, "m/s": 3.6}, "110 km/h")
RATE = Dimension("rate", "/s", {"Hz": 1.0, "/s": 1.0, "/min": 1.0 / 60.0}, "5 Hz")
SIZE = Dimension(
    "size",
    "B",
    {"B": 1.0, "byte": 1.0, "bytes": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
    | {"KiB": 1024.0, "MiB": 1048576.0, "GiB": 1073741824.0},
    "70 MB",
)
BYTE_RATE = Dimension("byte rate", "B/s", {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6}, "200 B/s")
BIT_RATE = Dimension(
    "bit rate", "bit/s", {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6}, "250 kbit/s"
)
PERCENTAGE = Dimension("percentage", "%", {"%": 1.0}, "2 %")
DRIFT = Dimension("drift", "ppm", {"ppm": 1.0}, "20 ppm")
TEMPERATURE = Dimension("temperature", "°C", {"°C": 1.0, "C": 1.0}, "5 °C")
DISTANCE = Dimension("distance", "m", {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3}, "3 m")
PRESSURE = Dimension("pressure", "kPa", {"kPa": 1.0, "hPa": 0.1, "bar": 100.0}, "101.3 kPa")
LEVEL = Dimension("difference of levels", "dB", {"dB": 1.0}, "20 dB")
POWER = Dimension("power", "dBm", {"dBm": 1.0}, "20 dBm")
BAUD = Dimension("baud rate", "baud", {"baud": 1.0, "Bd": 1.0, "kBd": 1e3}, "38400", bare=True)
STEPS = Dimension("number of steps", "step", {"step": 1.0, "steps": 1.0}, "1 step")
BITS = Dimension("number of bits", "bit", {"bit": 1.0, "bits": 1.0}, "1 bit")
COUNT = Dimension("number", "", {}, "0", bare=True)
RATIO = Dimension("ratio", "x", {"x": 1.0}, "20", bare=True)

DIMENSIONS: tuple[Dimension, ...] = (
    DURATION,
    SPEED,
    RATE,
    SIZE,
    BYTE_RATE,
    BIT_RATE,
    PERCENTAGE,
    DRIFT,
    TEMPERATURE,
    DISTANCE,
    PRESSURE,
    LEVEL,
    POWER,
    BAUD,
    STEPS,
    BITS,
    COUNT,
    RATIO,
)


def convert(value: float, unit: str, to_unit: str) -> float:
    """Return `value`, given in `unit`, in `to_unit`.

    Raises:
        QuantityError: the two units are not of one dimension.
    """
    if unit == to_unit:
        return value
    for dimension in DIMENSIONS:
        factors = dict(dimension.factors)
        if dimension.bare:
            factors[""] = 1.0
        if unit in factors and to_unit in factors:
            return value * factors[unit] / factors[to_unit]
    raise QuantityError(f"a unit that converts to {to_unit!r}", repr(unit))


def show(value: float, unit: str) -> str:
    """Return `value` with its unit as a scenario file would have it: "60 ms", "0", "98.5 %"."""
    number = f"{value:.6g}"
    if unit in ("", "x") or unit.startswith("/"):
        return number + unit
    return f"{number} {unit}"
