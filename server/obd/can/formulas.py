"""What the bytes of a mode 01 PID mean (SAE J1979): for each PID of the catalogue, one formula.

Every formula is a whole number out of the bytes, a factor and an offset. Both back ends store the
same, so what python-OBD rounds (44) or counts from elsewhere (54) is so here too. One exception: of
PID 32 it takes each byte for a signed one, and is 64 Pa too low for half of the values.
"""

from __future__ import annotations

from typing import NamedTuple


class Formula(NamedTuple):
    """How a PID's bytes become a value in the catalogue's unit.

    Attributes:
        n_bytes: length of its data.
        factor: value of one step, as numerator ...
        divisor: ... and denominator.
        offset: value of zero.
        is_signed: whether the number is a two's complement.
        used_bytes: the leading bytes that make the number; the rest means something else.
    """

    n_bytes: int
    factor: float = 1.0
    divisor: float = 1.0
    offset: float = 0.0
    is_signed: bool = False
    used_bytes: int = 4

    def value(self, data: bytes) -> float:
        """Return the value of the first `n_bytes` of `data`."""
        raw = int.from_bytes(
            data[: min(self.n_bytes, self.used_bytes)], "big", signed=self.is_signed
        )
        return raw * self.factor / self.divisor + self.offset


_PERCENT = Formula(1, 100, 255)
_TRIM = Formula(1, 100, 128, -100)
_TEMPERATURE = Formula(1, offset=-40)
_CATALYST = Formula(2, 1, 10, -40)
_BYTE = Formula(1)
_WORD = Formula(2)
_TENS = Formula(2, 10)

FORMULAS: dict[int, Formula] = {
    0x04: _PERCENT,
    0x05: _TEMPERATURE,
    0x06: _TRIM,
    0x07: _TRIM,
    0x08: _TRIM,
    0x09: _TRIM,
    0x0A: Formula(1, 3),
    0x0B: _BYTE,
    0x0C: Formula(2, 1, 4),
    0x0D: _BYTE,
    0x0E: Formula(1, 1, 2, -64),
    0x0F: _TEMPERATURE,
    0x10: Formula(2, 1, 100),
    0x11: _PERCENT,
    0x1F: _WORD,
    0x21: _WORD,
    0x22: Formula(2, 79, 1000),
    0x23: _TENS,
    0x2C: _PERCENT,
    0x2D: _TRIM,
    0x2E: _PERCENT,
    0x2F: _PERCENT,
    0x30: _BYTE,
    0x31: _WORD,
    0x32: Formula(2, 1, 4, is_signed=True),
    0x33: _BYTE,
    0x3C: _CATALYST,
    0x3D: _CATALYST,
    0x3E: _CATALYST,
    0x3F: _CATALYST,
    0x42: Formula(2, 1, 1000),
    0x43: Formula(2, 100, 255),
    0x44: Formula(2, 305, 10_000_000),  # python-OBD rounds 2/65536 so
    0x45: _PERCENT,
    0x46: _TEMPERATURE,
    0x47: _PERCENT,
    0x48: _PERCENT,
    0x49: _PERCENT,
    0x4A: _PERCENT,
    0x4B: _PERCENT,
    0x4C: _PERCENT,
    0x4D: _WORD,
    0x4E: _WORD,
    0x50: Formula(4, 10, used_bytes=1),
    0x52: _PERCENT,
    0x53: Formula(2, 1, 200),
    0x54: Formula(2, offset=-32767),
    0x59: _TENS,
    0x5A: _PERCENT,
    0x5B: _PERCENT,
    0x5C: _TEMPERATURE,
    0x5D: Formula(2, 1, 128, -210),
    0x5E: Formula(2, 1, 20),
}
"""By PID."""
