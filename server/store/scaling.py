"""Values of a signal as whole numbers of its own steps, bit for bit, or as what differs.

Sensors deliver whole numbers, and a value is one of a few formulas of such a number: a rounded
k * a / b (steps, decimals, percent of 255), k times a step, degrees and minutes. The formula that
gives all values of a column back exactly is looked for, first the one that the signal had before,
then those that the catalogue's step suggests. Where none does, the bits that change from value to
value are kept.
"""

from __future__ import annotations

import contextlib
import functools
import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import accumulate, repeat
from operator import mul, sub, truediv, xor
from typing import NamedTuple

import msgspec

from server.errors import BodyError
from server.store.packing import (
    MISFITS,
    Packed,
    deflate,
    inflate,
    pack,
    pack_bytes,
    unpack,
    unpack_bytes,
)

VERSION = 1
KNOWN_SIGNALS = 10_000
MOST_READINGS = 1 << 22
_PROBED = 24
_FEW = 512

CONSTANT, RATIO, STEP, MINUTES, CHANGES, CHANGES_32 = range(6)
FLAT, SLOPE = 0, 1
"""Whole numbers as they are, or the difference to the one before."""


class Formula(NamedTuple):
    """How a value follows from a whole number: RATIO k * a / b, STEP k * a, MINUTES of 1/a."""

    kind: int
    a: float
    b: float = 1.0

    def numbers(self, values: Iterable[float]) -> list[int]:
        """Give the nearest whole numbers."""
        if self.kind == MINUTES:
            return [_minutes(value, int(self.a)) for value in values]
        factor = self.b / self.a if self.kind == RATIO else 1.0 / self.a
        return list(map(round, map(mul, values, repeat(factor))))

    def values(self, numbers: Iterable[int]) -> array[float]:
        """Give the values."""
        if self.kind == MINUTES:
            return array("d", [_degrees(number, int(self.a)) for number in numbers])
        if self.kind == STEP:
            return array("d", map(mul, numbers, repeat(self.a)))
        if self.a == 1.0:
            return array("d", map(truediv, numbers, repeat(self.b)))
        return array("d", map(truediv, map(mul, numbers, repeat(self.a)), repeat(self.b)))


class _Values(msgspec.Struct, array_like=True, gc=False):
    """A stream of values and states.

    Attributes:
        version: of the stream.
        count: readings.
        states: one for all, or all of them, compressed.
        kind: how values follow.
        a, b: of the formula; of CONSTANT, `a` is the bits of the value.
        order: FLAT or SLOPE.
        first: number of the first value, which is not among `numbers`.
        numbers: of the others; None: none differs.
    """

    version: int
    count: int
    states: int | bytes
    kind: int
    a: int | float
    b: float
    order: int
    first: int
    numbers: Packed | None


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(_Values)


class Scaler:
    """Encodes values; remembers the formula of each signal."""

    def __init__(self) -> None:
        self._known: dict[int, Formula] = {}

    def encode(
        self,
        signal: int,
        step: float | None,
        values: array[float],
        states: bytes,
        *,
        has_steps: bool = True,
    ) -> bytes:
        """Give the stream of one or more values with their states.

        Args:
            signal: whose formula is remembered.
            step: of its values, where that is known.
            values: at least one.
            states: as many.
            has_steps: False: these values have none, means for example.
        """
        count = len(values)
        kept_states = states[0] if states.count(states[0]) == count else deflate(states)
        bits = _bits(values)
        if bits.count(bits[0]) == count:
            return _encode(
                _Values(VERSION, count, kept_states, CONSTANT, bits[0], 1.0, FLAT, 0, None)
            )
        scaled = self._scaled(signal, step, values, bits) if has_steps else None
        if scaled is not None:
            (kind, a, b), numbers = scaled
            with contextlib.suppress(OverflowError):  # whole numbers of more than 64 bits
                order, packed = _packed(numbers)
                return _encode(
                    _Values(VERSION, count, kept_states, kind, a, b, order, numbers[0], packed)
                )
        return _encode(_changes(values, bits, kept_states))

    def _scaled(
        self, signal: int, step: float | None, values: array[float], bits: array[int]
    ) -> tuple[Formula, list[int]] | None:
        # Most columns have few different values: then the work is done for those alone.
        distinct: dict[int, None] = {}
        if 4 * len(set(bits[:_FEW])) <= min(_FEW, len(bits)):
            distinct = dict.fromkeys(bits)
        is_small = 0 < 4 * len(distinct) <= len(values)
        unique = _floats(array("Q", distinct)) if is_small else values
        formula = self._known.get(signal)
        numbers = _fitting(formula, unique) if formula is not None else None
        if numbers is None:
            for formula in _candidates(step):
                numbers = _fitting(formula, unique)
                if numbers is not None:
                    break
            else:
                return None
            if len(self._known) >= KNOWN_SIGNALS:
                self._known.clear()
            self._known[signal] = formula
        assert formula is not None
        if is_small:
            table = dict(zip(distinct, numbers, strict=True))
            numbers = list(map(table.__getitem__, bits))
        return formula, numbers


def decode_values(stream: bytes) -> tuple[array[float], bytes]:
    """Give the values and states of a stream.

    Raises:
        BodyError: damaged, or of another version.
    """
    try:
        found = _decoder.decode(stream)
        if found.version != VERSION:
            raise BodyError(f"expected a stream of version {VERSION}, got {found.version}")
        count = found.count
        if not 0 < count <= MOST_READINGS:
            raise BodyError(f"expected 1 to {MOST_READINGS} readings in a column, got {count}")
        return _decoded(found), _states(found)
    except MISFITS as error:
        raise BodyError(f"expected a stream of values, version {VERSION}: {error}") from error


def _states(found: _Values) -> bytes:
    if isinstance(found.states, int):
        return bytes((found.states,)) * found.count
    states = inflate(found.states, found.count)
    if len(states) != found.count:
        raise BodyError(f"expected {found.count} states, got {len(states)}")
    return states


def _decoded(found: _Values) -> array[float]:
    count = found.count
    if found.kind == CONSTANT:
        return _floats(array("Q", (int(found.a),))) * count
    if found.kind in (CHANGES, CHANGES_32):
        if found.numbers is None:
            raise BodyError("expected the changes of values, got none")
        code = "Q" if found.kind == CHANGES else "I"
        changes = array(code, unpack_bytes(found.numbers, count))
        if sys.byteorder == "big":
            changes.byteswap()
        bits = array(code, accumulate(changes, xor))
        return _floats(bits) if found.kind == CHANGES else array("d", array("f", bits.tobytes()))
    if found.kind not in (RATIO, STEP, MINUTES) or not found.a or not found.b:
        raise BodyError(f"expected a formula of values, got number {found.kind}")
    formula = Formula(found.kind, float(found.a), found.b)
    if found.numbers is None:
        return formula.values(repeat(found.first, count))
    rest = unpack(found.numbers, count - 1)
    if found.order == SLOPE:
        return formula.values(accumulate(rest, initial=found.first))
    return formula.values([found.first, *rest])


# -- formulas --------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=256)
def _candidates(step: float | None) -> tuple[Formula, ...]:
    """Give the formulas to try, those of coarse steps first."""
    found: dict[Formula, None] = {}
    if step is not None and step > 0:
        for most in (255, 1000, 65_536):
            ratio = Fraction(step).limit_denominator(most)
            if ratio and abs(float(ratio) / step - 1) < 1e-6:
                found[Formula(RATIO, float(ratio.numerator), float(ratio.denominator))] = None
        found[Formula(STEP, step)] = None
    for power in range(8):
        found[Formula(RATIO, 1.0, float(10**power))] = None
    for power in (1, 2, 3, 4, 7, 8, 10, 12, 14, 16):
        found[Formula(RATIO, 1.0, float(2**power))] = None
    found[Formula(RATIO, 20.0, 51.0)] = None  # percent of 255
    for decimals in (4, 5, 6, 7):
        found[Formula(MINUTES, float(10**decimals))] = None
    return tuple(found)


def _fitting(formula: Formula, values: Sequence[float]) -> list[int] | None:
    """Give the whole numbers of values, None where one of them would not come back."""
    if len(values) > 2 * _PROBED:
        probe = array("d", values[:: len(values) // _PROBED])
        if _exact(formula, probe) is None:
            return None
    return _exact(formula, array("d", values))


def _exact(formula: Formula, values: array[float]) -> list[int] | None:
    try:
        numbers = formula.numbers(values)
        # Compared as bytes: -0.0 is not 0.0 here, and no NaN comes this far.
        if formula.values(numbers).tobytes() != values.tobytes():
            return None
    except (ValueError, OverflowError):  # NaN and infinities are no whole numbers
        return None
    return numbers


def _minutes(value: float, parts: int) -> int:
    """Give degrees as parts of a minute, as a receiver's text had them."""
    size = abs(value)
    degrees = math.floor(size)
    whole = degrees * 60 * parts + round((size - degrees) * 60 * parts)
    return -whole if value < 0 else whole


def _degrees(number: int, parts: int) -> float:
    degrees, rest = divmod(abs(number), 60 * parts)
    value = degrees + rest / parts / 60
    return -value if number < 0 else value


# -- numbers ---------------------------------------------------------------------------------------
def _packed(numbers: Sequence[int]) -> tuple[int, Packed]:
    """Pack all but the first, as they are or as differences, whatever is less."""
    differences = list(map(sub, numbers[1:], numbers))
    slope = pack(differences)
    if len(set(differences[:_FEW])) * 2 <= len(set(numbers[:_FEW])):
        return SLOPE, slope
    flat = pack(numbers[1:])
    return (SLOPE, slope) if len(slope.data) <= len(flat.data) else (FLAT, flat)


def _changes(values: array[float], bits: array[int], states: int | bytes) -> _Values:
    kind = CHANGES
    if not any(map(math.isnan, values)):
        # Rounding is all that float32 may do here; what does not fit becomes infinite.
        short = array("f", [value if abs(value) < 3e38 else 0.0 for value in values])
        if array("d", short).tobytes() == values.tobytes():
            kind, bits = CHANGES_32, array("I", short.tobytes())
    changes = array(bits.typecode, map(xor, bits, [0, *memoryview(bits)[:-1]]))
    return _Values(VERSION, len(values), states, kind, 0, 1.0, FLAT, 0, pack_bytes(changes))


def _bits(values: array[float]) -> array[int]:
    return array("Q", values.tobytes())


def _floats(bits: array[int]) -> array[float]:
    return array("d", bits.tobytes())
