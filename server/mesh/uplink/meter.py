"""An encoder that tells what each signal costs: the bits by which its decisions narrow the code."""

from __future__ import annotations

import math

from server.wire.codec.coder import TOP, CodeReader, CodeWriter
from server.wire.codec.encoder import Encoder
from server.wire.codec.model import Model
from server.wire.codec.profile import Profile

_TOP_BITS = math.log2(TOP)
_WEIGHT = 0.1
"""Of the newest reading in the running mean."""


class MeteredEncoder(Encoder):
    """An `Encoder` with the same packets.

    Attributes:
        bits: for each signal of the profile, about what its next reading costs.
    """

    def __init__(self, profile: Profile, boot: int, limit_bytes: int) -> None:
        super().__init__(profile, boot, limit_bytes)
        writer = _Writer(limit_bytes)
        model = _Model(profile, writer)
        self._coder = writer
        self._model = model
        self.bits = model.bits

    @property
    def open_rows(self) -> int:
        """Rows in the packet that is being filled."""
        return self._rows

    @property
    def open_bytes(self) -> int:
        """About what the packet would have if it ended here."""
        return self._coder.position + 12 if self._rows else 0


class _Writer(CodeWriter):
    def spent_bits(self) -> float:
        return 8.0 * self.position + _TOP_BITS - math.log2(self._range)


class _Model(Model):
    def __init__(self, profile: Profile, writer: _Writer) -> None:
        self._writer = writer
        super().__init__(profile)
        # Before anything was sent: half of what the range would take, a guess on the safe side.
        self.bits = [1.0 + plan.key_digits / 2 for plan in self._plans]

    def _code_next(self, coder: CodeReader | CodeWriter, index: int, given: int | None) -> int:
        before = self._writer.spent_bits()
        value = super()._code_next(coder, index, given)
        self._count_bits(index, self._writer.spent_bits() - before)
        return value

    def _code_first(self, coder: CodeReader | CodeWriter, index: int, given: int | None) -> int:
        before = self._writer.spent_bits()
        value = super()._code_first(coder, index, given)
        self._count_bits(index, self._writer.spent_bits() - before)
        return value

    def _count_bits(self, index: int, bits: float) -> None:
        self.bits[index] += _WEIGHT * (bits - self.bits[index])
