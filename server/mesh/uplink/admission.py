"""Which signals go into the rows when not all can: alarms and position, then what changed most.

A set stands for a turn of ten rows: changing it costs a decision for each signal. Bits come from
what the coder really spent. docs/mesh.md describes the ladder.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from server.wire.codec.profile import Profile

TURN_ROWS = 10
SPARSE_ROWS = (2, 5, 10, 30, 60)
"""Position in each so manieth row, the smallest that the budget has room for."""
SWITCH_BITS = 1.0
"""About what each signal costs when it is left out, and again when it is back."""
UNITS_OF_RANGE = 200.0
"""A change counts in bounds; of exact signals, in this part of the range that the profile has."""
ROWS_OF_A_UNIT = 60.0
"""Not having been sent for so long counts as a change of one unit: nothing is left out for ever."""


class Level(StrEnum):
    """How much goes out; each contains what is below it."""

    ALL = "all"
    RANKED = "ranked"
    POSITION = "position"
    SPARSE = "sparse"
    SILENT = "silent"


class Admission:
    """Chooses for each row; the rows are those that the encoder gets.

    Args:
        profile: the plan.
        first: ids of the signals that go first.
        bits: for each signal, what its next reading is expected to cost; kept by the meter.

    Attributes:
        level: of the rows now.
        shed: readings left out.
    """

    def __init__(self, profile: Profile, first: frozenset[int], bits: Sequence[float]) -> None:
        self.level = Level.ALL
        self.shed = 0
        self._profile = profile
        self._bits = bits
        signals = profile.signals
        self._first = [index for index, signal in enumerate(signals) if signal.id in first]
        self._others = [index for index, signal in enumerate(signals) if signal.id not in first]
        self._units = [
            max(1.0, float(signal.bound), (signal.maximum - signal.minimum) / UNITS_OF_RANGE)
            if not signal.bound
            else float(signal.bound)
            for signal in signals
        ]
        self._newest: list[int | None] = [None] * len(signals)
        self._sent: list[int | None] = [None] * len(signals)
        self._sent_row = [-1] * len(signals)
        self._chosen = set(range(len(signals)))
        self._each = 1  # rows from one with a position to the next
        self._turn_ends = -1

    def admit(
        self,
        row: int,
        values: list[int | None],
        allowance_bits: float,
        cap: Level,
        *,
        has_alarm: bool = False,
    ) -> list[int | None]:
        """Give the row with None in place of what is left out.

        Args:
            row: its number.
            values: for each signal that is due.
            allowance_bits: what a row may cost now.
            cap: no more than this goes out, whatever the allowance.
            has_alarm: what goes first does so in this row at any price.
        """
        due = self._profile.due(row)
        for index, value in zip(due, values, strict=True):
            if value is not None:
                self._newest[index] = value
        if row >= self._turn_ends or self._worse(cap):
            self._choose(row, allowance_bits, cap)
        admitted = list(values)
        for place, index in enumerate(due):
            value = values[place]
            if value is None:
                continue
            is_wanted = index in self._chosen and row % self._each == 0
            if is_wanted or (has_alarm and index in self._first):
                self._sent[index] = value
                self._sent_row[index] = row
            else:
                admitted[place] = None
                self.shed += 1
        return admitted

    def _worse(self, cap: Level) -> bool:
        order = list(Level)
        return order.index(cap) > order.index(self.level)

    def _choose(self, row: int, allowance_bits: float, cap: Level) -> None:
        self._turn_ends = row + TURN_ROWS
        self._each = 1
        first = [index for index in self._first if self._newest[index] is not None]
        left_bits = allowance_bits - sum(map(self._cost, first))
        if cap is Level.SILENT or allowance_bits <= 0:
            self.level = Level.SILENT
            self._chosen = set()
        elif cap is Level.SPARSE or left_bits < 0:
            self._thin(first, allowance_bits, cap)
        else:
            self._rank(row, first, left_bits, cap)

    def _thin(self, first: list[int], allowance_bits: float, cap: Level) -> None:
        """Position in some rows only."""
        self.level = Level.SPARSE
        self._chosen = set(first)
        bits = sum(map(self._cost, first)) + 2 * SWITCH_BITS * len(self._profile.signals)
        least = SPARSE_ROWS[2] if cap is Level.SPARSE else SPARSE_ROWS[0]
        for each in SPARSE_ROWS:
            self._each = each
            if each >= least and bits / each <= allowance_bits:
                return

    def _rank(self, row: int, first: list[int], left_bits: float, cap: Level) -> None:
        self._chosen = set(first)
        others = [index for index in self._others if self._newest[index] is not None]
        if cap is Level.POSITION:
            others = []
        others.sort(key=lambda index: (-self._change(index, row), index))
        full = True
        for index in others:
            cost = self._cost(index)
            if cost <= left_bits:
                self._chosen.add(index)
                left_bits -= cost
            else:
                full = False
        if full and cap is Level.ALL:
            self._chosen = set(range(len(self._bits)))  # and what has not come yet
            self.level = Level.ALL
        elif len(self._chosen) > len(first) and cap is not Level.POSITION:
            self.level = Level.RANKED
        else:
            self.level = Level.POSITION

    def _cost(self, index: int) -> float:
        return self._bits[index] / self._profile.signals[index].divider

    def _change(self, index: int, row: int) -> float:
        """How far a signal is from what the base has, in units; rows without a word count too."""
        newest, sent = self._newest[index], self._sent[index]
        if newest is None:
            return 0.0
        if sent is None:
            return float("inf")
        waited = (row - self._sent_row[index]) / ROWS_OF_A_UNIT
        return abs(newest - sent) / self._units[index] + waited
