"""Finds the steps of a sensor in printed values: 0.25, 100/255, 0.01 psi in kPa, ...

What a file prints is rarely what the sensor measures: an Accessport prints kPa with two decimals
and measures hundredths of a psi. The codec works on the sensor's own steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SHARE = 0.995  # of the values lie on the lattice
_DISTINCT_LEAST = 8  # fewer values prove no unusual step
_DECIMALS_MOST = 9

# Steps that printed decimals hide, with the offsets they come with.
_KNOWN: tuple[tuple[Fraction, Fraction], ...] = (
    (Fraction(100, 255), Fraction(0)),
    (Fraction(100, 128), Fraction(-100)),
    (Fraction(1, 128), Fraction(0)),
    (Fraction(1, 32768), Fraction(0)),
    (Fraction(2, 65536), Fraction(0)),
    (Fraction(1, 200), Fraction(0)),
    (Fraction(6894757, 10**8), Fraction(0)),  # 0.01 psi in kPa
    (Fraction(6894757, 10**7), Fraction(0)),
    (Fraction(6894757, 10**6), Fraction(0)),
    (Fraction(1609344, 10**6), Fraction(0)),  # 1 mile/h in km/h
    (Fraction(1852, 10**6), Fraction(0)),  # 0.001 knot in km/h
    (Fraction(1852, 10**5), Fraction(0)),
    (Fraction(5, 9), Fraction(-160, 9)),  # 1 degree Fahrenheit in Celsius
    (Fraction(36, 10), Fraction(0)),  # 1 m/s in km/h
    (Fraction(36, 1000), Fraction(0)),
    (Fraction(1, 600), Fraction(0)),
)


@dataclass(frozen=True, slots=True)
class Lattice:
    """Values are `offset` + k * `step`, with whole k.

    Attributes:
        step: in units of the values.
        offset: the value at k = 0.
        off_share: share of values that lie beside it (by more than they were rounded).
    """

    step: Fraction
    offset: Fraction
    off_share: float

    def steps(self, values: Floats) -> npt.NDArray[np.int64]:
        """Give k of each value."""
        return np.rint((values - float(self.offset)) / float(self.step)).astype(np.int64)


def decimals(texts: Sequence[str]) -> int:
    """Give the most decimals that are printed and are not zeros at the end."""
    most = 0
    for text in texts:
        if "e" in text or "E" in text:
            return _DECIMALS_MOST
        most = max(most, len(text.partition(".")[2].rstrip("0")))
    return min(most, _DECIMALS_MOST)


def find(values: Floats, places: int) -> Lattice:
    """Find the coarsest lattice on which the values lie.

    Args:
        values: finite values of one column.
        places: decimals to which they were rounded.
    """
    unit = Fraction(1, 10**places)
    found = _by_divisor(values, unit)
    distinct = np.unique(values)
    if len(distinct) < _DISTINCT_LEAST:
        return found
    rounding = _rounding(values, unit)
    for step, offset in _KNOWN:
        if step <= found.step or float(step) < 3 * rounding or step == unit:
            continue
        lattice = Lattice(step, offset, 0.0)
        off = _off(values, lattice, rounding)
        if off <= 1 - _SHARE:
            found = Lattice(step, offset, off)
    return found


def on(values: Floats, places: int, step: Fraction, offset: Fraction) -> Lattice:
    """Give a known lattice, with the share of the values that lie beside it."""
    rounding = _rounding(values, Fraction(1, 10**places))
    return Lattice(step, offset, _off(values, Lattice(step, offset, 0.0), rounding))


def _rounding(values: Floats, unit: Fraction) -> float:
    return float(unit) / 2 + 1e-9 * max(1.0, float(np.abs(values).max()))


def _off(values: Floats, lattice: Lattice, rounding: float) -> float:
    nearest = lattice.steps(values) * float(lattice.step) + float(lattice.offset)
    return float(np.mean(np.abs(values - nearest) > rounding * 1.02))


def _by_divisor(values: Floats, unit: Fraction) -> Lattice:
    """Take the greatest common divisor of the values, in printed units."""
    whole = np.unique(np.rint(values / float(unit)).astype(np.int64))
    divisor = 0
    for difference in np.diff(whole):
        divisor = math.gcd(divisor, int(difference))
    divisor = divisor or 1
    return Lattice(divisor * unit, int(whole[0]) % divisor * unit, 0.0)
