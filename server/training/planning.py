"""Chooses how each signal is modelled: what tells of it, and what foretells it.

Every choice is the one with the least adaptive code length on the drives (Krichevsky-Trofimov),
so that a parent that tells nothing is not taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from server.wire.codec.profile import NONE, Profile, SignalPlan
from server.wire.codec.tables import AGES, COARSE

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_AGES = np.frombuffer(AGES, dtype=np.uint8).astype(np.int64)
_COARSE = np.frombuffer(COARSE, dtype=np.uint8).astype(np.int64)
_HOLD_LEAST, _HOLD_MOST = 0.10, 0.60  # share of readings that are as before: curves, stairs
_CURVE_GAIN = 0.90
_PARENT_GAIN = 0.99
_ROWS_LEAST = 20
_LEVEL_MOST = 1 << 14
_TERM_MOST = (1 << 13) - 1
_CONSTANT_MOST = (1 << 28) - 1
_SHIFT_MOST = 10
_SAMPLE = 60000
_PREDICT_GAIN = 0.95
_GAIN_LEAST_BITS = 30.0
_REFITS = 8
_NEAR, _NEAR_LEAST = 0.3, 0.5  # of the median rest, and steps: rests below count in full


def choose_models(plan: Profile, drives: Sequence[Sequence[Sequence[int | None]]]) -> None:
    """Fill in everything of a plan's signals that drives can tell."""
    data = _Data(plan, drives)
    for index, signal in enumerate(plan.signals):
        _narrow(signal, data.values[data.due[:, index], index])
    for index, signal in enumerate(plan.signals):
        _Chooser(data, index, signal).choose()
    for index, signal in enumerate(plan.signals):
        signal.key_parent = _key_parent(data, index)


class _Data:
    """The drives as one matrix; what is missing or not due is as before."""

    def __init__(self, plan: Profile, drives: Sequence[Sequence[Sequence[int | None]]]) -> None:
        count = len(plan.signals)
        filled: list[Ints] = []
        due_parts: list[Flags] = []
        starts: list[int] = []
        rows = 0
        for drive in drives:
            values = np.zeros((len(drive), count), dtype=np.int64)
            due_here = np.zeros((len(drive), count), dtype=np.bool_)
            held: list[int | None] = [None] * count
            for number, row in enumerate(drive):
                for index, value in zip(plan.due(number), row, strict=True):
                    if value is not None:
                        if held[index] is None:
                            values[:number, index] = value
                        held[index] = value
                        due_here[number, index] = True
                values[number] = [value or 0 for value in held]
            starts.append(rows)
            rows += len(drive)
            filled.append(values)
            due_parts.append(due_here)
        self.signals = plan.signals
        self.values = np.concatenate(filled)
        self.due = np.concatenate(due_parts)
        self.steps = np.zeros_like(self.values)
        self.steps[1:] = np.diff(self.values, axis=0)
        self.steps[starts] = 0
        self.starts = starts
        self.changed = self.steps != 0
        self.last = np.zeros_like(self.values)  # row of the last change, or of the start
        numbers = np.arange(rows)
        for index in range(count):
            marks = np.where(self.changed[:, index], numbers, 0)
            marks[starts] = starts
            self.last[:, index] = np.maximum.accumulate(marks)
        self.ages = _AGES[np.minimum(numbers[:, None] - self.last, 255)]


class _Fit:
    """A linear predictor in whole numbers, and what it leaves."""

    def __init__(self, table: npt.NDArray[np.float64], step: Ints) -> None:
        self.shift = 0
        self.terms = [0] * table.shape[1]
        self.constant = 0
        self.rest = step
        weights = _least_squares(table, step)
        if weights is None:
            return
        shift = _SHIFT_MOST
        while shift and np.abs(weights[:-1]).max() * (1 << shift) > _TERM_MOST:
            shift -= 1
        if not shift:
            return
        whole = np.rint(weights * (1 << shift))
        self.shift = shift
        self.terms = [int(term) for term in whole[:-1]]
        self.constant = int(max(-_CONSTANT_MOST, min(_CONSTANT_MOST, whole[-1])))
        foretold = np.floor((table @ whole[:-1] + self.constant) / (1 << shift) + 0.5)
        self.rest = step - foretold.astype(np.int64)


class _Chooser:
    """Chooses for one signal: a staircase that holds and jumps, or a curve that is foretold."""

    def __init__(self, data: _Data, index: int, signal: SignalPlan) -> None:
        self._data = data
        self._index = index
        self._signal = signal
        rows = np.flatnonzero(data.due[:, index])
        starts = np.array(data.starts)
        near = (rows[:, None] - starts[None, :] < 3) & (rows[:, None] >= starts[None, :])
        rows = rows[~near.any(axis=1)]
        if len(rows) > _SAMPLE:
            rows = rows[: len(rows) // _SAMPLE * _SAMPLE : len(rows) // _SAMPLE]
        self._all_rows = rows
        self._look_at(rows, hold=True)

    def _look_at(self, rows: Ints, *, hold: bool) -> None:
        """Speak of these rows from here on."""
        data = self._data
        self._rows = rows
        self._step = data.steps[rows, self._index]
        back = self._signal.divider
        self._before = data.last[rows - 1, self._index] if hold else np.maximum(rows - back, 0)

    def choose(self) -> None:
        """Set the signal's fields."""
        signal = self._signal
        if not len(self._rows):
            return
        changed = self._step != 0
        signal.polled_after = self._polled_after(changed)
        stairs_bits = curve_bits = 0.0
        held_share = 1 - changed.mean()
        if held_share < _HOLD_MOST:
            stairs_bits = self._stairs_bits()
            parents, fit = self._curve()
            curve_bits = _residual_bits(fit.rest, self._spread(fit.rest))
            if curve_bits < stairs_bits * _CURVE_GAIN or held_share < _HOLD_LEAST:
                signal.hold = 0
                signal.parents = parents
                plain_bits = _residual_bits(self._step, self._spread(self._step))
                signal.predict = 1 if curve_bits < plain_bits * _PREDICT_GAIN else 0
                _take(signal, fit)
                return
        self._look_at(self._all_rows[changed], hold=True)
        if len(self._rows) < _ROWS_LEAST:
            return
        signal.parents = self._parents()
        _take(signal, _Fit(self._table(signal.parents, hold=True), self._step))

    def _level(self, other: int) -> Ints:
        """Values of another signal when this one is coded."""
        level: Ints = self._data.values[self._rows - (other > self._index), other]
        return level

    def _movement(self, other: int) -> Ints:
        then = self._before - (other > self._index)
        movement: Ints = self._level(other) - self._data.values[np.maximum(then, 0), other]
        return movement

    def _stairs_bits(self) -> float:
        own = self._data.ages[self._rows - 1, self._index]
        last = _class(self._data.steps[self._before, self._index])
        level = _level_class(self._data, self._index)[self._rows - 1]
        return min(_residual_bits(self._step, context) for context in (own * 14 + last, level))

    def _spread(self, rest: Ints) -> Ints:
        """Class of the last rest: as a curve's spread is known to the model."""
        size = np.abs(rest)
        former = np.concatenate([size[:1], size[:-1]]) + np.concatenate([size[:2], size[:-2]])
        return _class(former)

    def _curve(self) -> tuple[tuple[int, int], _Fit]:
        """Choose parents by what they take off the residual of a linear predictor."""
        self._look_at(self._all_rows, hold=False)
        parents = [NONE, NONE]
        best = _Fit(self._table((NONE, NONE), hold=False), self._step)
        for place in range(2):
            least = _residual_bits(best.rest, self._spread(best.rest)) * _PARENT_GAIN
            chosen = NONE
            for other in range(self._data.values.shape[1]):
                if other == self._index or other in parents:
                    continue
                tried = (other, NONE) if place == 0 else (parents[0], other)
                fit = _Fit(self._table(tried, hold=False), self._step)
                bits = _residual_bits(fit.rest, self._spread(fit.rest))
                if bits < least:
                    least, best, chosen = bits, fit, other
            parents[place] = chosen
            if chosen == NONE:
                break
        return (parents[0], parents[1]), best

    def _parents(self) -> tuple[int, int]:
        classes = _class(self._step)
        context = _class(self._data.steps[self._before, self._index])
        found: list[int] = []
        for _ in range(2):
            costs = {NONE: _cost(context, classes, 13) - _GAIN_LEAST_BITS}
            for other in range(self._data.values.shape[1]):
                if other != self._index and other not in found:
                    costs[other] = _cost(context * 14 + _class(self._movement(other)), classes, 13)
            best = min(costs, key=lambda other: costs[other])
            if best != NONE and not found:
                context = _class(self._movement(best))
            found.append(best)
        return found[0], found[1]

    def _polled_after(self, changed: Flags) -> int:
        own = self._data.ages[self._rows - 1, self._index]
        bits = changed.astype(np.int64)
        costs = {NONE: _cost(own, bits, 2) - _GAIN_LEAST_BITS}
        for other in range(self._data.values.shape[1]):
            if other != self._index:
                age = self._data.ages[self._rows - (other > self._index), other]
                costs[other] = _cost(own * 33 + age, bits, 2)
        return min(costs, key=lambda other: costs[other])

    def _table(self, parents: tuple[int, int], *, hold: bool) -> npt.NDArray[np.float64]:
        """What the predictor sees, a column for each of its terms."""
        signal = self._signal
        data = self._data
        steps = data.steps[:, self._index]
        last = steps[self._before]
        former = np.maximum(self._before - (1 if hold else signal.divider), 0)
        if hold:
            former = data.last[former, self._index]
        none = np.zeros_like(last)
        columns = [last, steps[former]]
        columns += [none if parent == NONE else self._movement(parent) for parent in parents]
        own = data.values[self._rows - 1, self._index] - _low(signal)
        columns.append(own if _fits(signal) else none)
        for parent in parents:
            of = data.signals[parent] if parent != NONE else None
            columns.append(self._level(parent) - _low(of) if of is not None and _fits(of) else none)
        clipped = np.clip(np.stack(columns, axis=1), 1 - _LEVEL_MOST, _LEVEL_MOST - 1)
        table: npt.NDArray[np.float64] = clipped.astype(np.float64)
        return table


def _take(signal: SignalPlan, fit: _Fit) -> None:
    signal.shift = fit.shift
    signal.terms = fit.terms
    signal.constant = fit.constant


def _residual_bits(rest: Ints, context: Ints) -> float:
    """Bits of residuals: their class in a context, and the digits below the first."""
    classes = _class(rest)
    digits = np.floor(np.log2(np.maximum(np.abs(rest), 1)))
    return _cost(context, classes, 13) + float(digits.sum()) + 1.0


def _least_squares(table: npt.NDArray[np.float64], step: Ints) -> npt.NDArray[np.float64] | None:
    """Fit weights and a constant, the rarest steps left out.

    What a rest costs grows with its digits, not with its square: the fit is repeated with less
    weight on what is foretold badly, or else the few great jumps decide it.
    """
    usual = np.abs(step) <= np.quantile(np.abs(step), 0.999) + 1
    if usual.sum() < 50:
        return None
    table = np.concatenate([table, np.ones((len(table), 1))], axis=1)[usual]
    scale = np.abs(table).max(axis=0) + 1e-9
    table = table / scale
    steps = step[usual].astype(float)
    weights, *_ = np.linalg.lstsq(table, steps, rcond=1e-6)
    for _ in range(_REFITS):
        rest = steps - table @ weights
        near = _NEAR_LEAST + _NEAR * max(1.0, float(np.median(np.abs(rest))))
        trusted = table / (rest * rest + near * near)[:, None]
        weights, *_ = np.linalg.lstsq(trusted.T @ table, trusted.T @ steps, rcond=1e-10)
    fitted: npt.NDArray[np.float64] = weights / scale
    return fitted


def _narrow(signal: SignalPlan, values: Ints) -> None:
    """Narrow the limits to what the drives show, with room on both sides."""
    if not len(values):
        return
    low, high = int(values.min()), int(values.max())
    near_low, near_high = (int(v) for v in np.quantile(values, (0.0002, 0.9998)))
    if high - low > 8 * (near_high - near_low + 8):
        low, high = near_low, near_high  # one glitch is not the range
    room = max(8, (high - low) // 2)
    step = 2 * signal.bound + 1
    if low * step >= signal.minimum and high * step <= signal.maximum:
        signal.minimum = max(signal.minimum, (low - room) * step)
        signal.maximum = min(signal.maximum, (high + room) * step)
    else:
        signal.minimum = (low - room) * step
        signal.maximum = (high + room) * step


def _low(signal: SignalPlan) -> int:
    return (signal.minimum + signal.bound) // (2 * signal.bound + 1)


def _fits(signal: SignalPlan) -> bool:
    """True if levels are small enough for the predictor's whole numbers."""
    return (signal.maximum - signal.minimum) // (2 * signal.bound + 1) < _LEVEL_MOST


def _key_parent(data: _Data, index: int) -> int:
    rows = slice(None, None, 20)
    classes = _level_class(data, index)[rows]
    costs = {NONE: _cost(np.zeros_like(classes), classes, 32) - _GAIN_LEAST_BITS}
    for other in range(index):
        costs[other] = _cost(_level_class(data, other)[rows], classes, 32)
    return min(costs, key=lambda other: costs[other])


def _level_class(data: _Data, index: int) -> Ints:
    values = data.values[:, index] - data.values[:, index].min()
    classes: Ints = values >> max(0, int(values.max()).bit_length() - 5)
    return classes


def _class(change: Ints) -> Ints:
    return _COARSE[np.clip(change, -128, 128) + 128]


def _cost(context: Ints, symbols: Ints, alphabet: int) -> float:
    """Give the bits that the symbols cost, learned anew in each context."""
    if not len(symbols):
        return 0.0
    pairs, counts = np.unique(context * alphabet + symbols, return_counts=True)
    _, where = np.unique(pairs // alphabet, return_inverse=True)
    totals = np.bincount(where, weights=counts).astype(np.float64)
    nats = _log_gamma(totals + 0.4 * alphabet) - math.lgamma(0.4 * alphabet)
    gain = _log_gamma(counts.astype(np.float64) + 0.4) - math.lgamma(0.4)
    return float(nats.sum() - gain.sum()) / math.log(2)


def _log_gamma(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Stirling's series, after a shift that makes it exact to 1e-9."""
    shifted = values + 8
    product = np.ones_like(shifted)
    for number in range(8):
        product = product * (values + number)
    series = 1 / (12 * shifted) - 1 / (360 * shifted**3)
    whole = (shifted - 0.5) * np.log(shifted) - shifted + 0.5 * math.log(2 * math.pi) + series
    result: npt.NDArray[np.float64] = whole - np.log(product)
    return result
