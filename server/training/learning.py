"""Trains profiles: chooses how each signal is modelled, and what the frozen tables hold.

Runs on CPython with numpy; devices get only the result. Two passes over the decisions that the
codec itself makes: the first tells what each context is worth, the second trains those that fit
into the flash that there is.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from copy import copy

import numpy as np

from server.training.planning import choose_models
from server.wire.codec import model as m
from server.wire.codec.coder import CodeReader, CodeWriter
from server.wire.codec.profile import FLAGS, PLACES, STRIDE, Profile, SignalPlan, flags_of

Row = Sequence[int | None]
Drive = Sequence[Row]
Report = Callable[[str, float], None]

FLASH_BYTES = 32 * 1024
MOST_SLOTS = 12288  # so that encoder and profile take less than 64 KB of a board's heap
_SIGNALS_FREE = 12
_SLOTS_FOR_A_SIGNAL = 128  # less for each signal above those: their weights take the room
COUNTERS = 1024
ROWS_OF_GAP = 200  # what a packet may lie behind the one that it continues from
ROWS_TO_KEY = 30  # every so many rows train what a packet's first row looks like
LEAST_GAIN_BITS = 0.1
_FULL = 0.65  # of the slots are taken
_RATE = 0.002  # of weights
_COUNT_MOST = 250
_COUNT_START = 20
_FIELDS = 9
_STEP = 256


class TrainingError(ValueError):
    """The drives cannot train this plan."""


def quantised(row: Row, due: Sequence[int], signals: Sequence[SignalPlan]) -> list[int | None]:
    """Give a row as the model sees it: in steps of 2 * bound + 1."""
    out: list[int | None] = []
    for value, index in zip(row, due, strict=True):
        bound = signals[index].bound
        out.append(None if value is None else (value + bound) // (2 * bound + 1))
    return out


def train(
    drives: Sequence[Drive],
    signals: Sequence[SignalPlan],
    *,
    period_ms: int,
    delay_rows: int = 0,
    flash_bytes: int = FLASH_BYTES,
    report: Report | None = None,
) -> Profile:
    """Train a profile.

    Args:
        drives: rows of each drive from row 0, in sensor steps, as an `Encoder` takes them.
        signals: the plan; `minimum` and `maximum` are the limits of the source and are narrowed
            to what the drives show.
        period_ms: time from row to row.
        delay_rows: see `Profile`.
        flash_bytes: the profile is not larger.
        report: is told what is done and how far.

    Raises:
        TrainingError: too few rows, or rows that do not fit the plan.
    """
    tell = report or (lambda _what, _part: None)
    plan = Profile(period_ms, delay_rows, [copy(signal) for signal in signals])
    rows = sum(len(drive) for drive in drives)
    if rows < 2:
        raise TrainingError(f"at least 2 rows expected, found {rows}")
    stepped: list[list[list[int | None]]] = []
    for drive in drives:
        try:
            stepped.append(
                [quantised(row, plan.due(at), plan.signals) for at, row in enumerate(drive)]
            )
        except ValueError:
            raise TrainingError("a row has one value for each signal that is due in it") from None
    tell("choosing models", 0.0)
    choose_models(plan, stepped)
    plan.set_counters(COUNTERS)
    recorder = _record(plan, stepped, tell)
    gains = _Gains()
    learner = _Learner(plan, recorder)
    learner.run(gains.pass_over, tell, "weighing contexts")
    slots = _slots(plan, flash_bytes)
    table = _Table(gains.best(int(slots * _FULL)), slots)
    learner.run(table.pass_over, tell, "training")
    table.freeze_into(plan)
    learner.freeze_into(plan)
    return Profile.from_bytes(plan.to_bytes())


def _slots(plan: Profile, flash_bytes: int) -> int:
    count = len(plan.signals)
    fixed = len(plan.to_bytes()) + 16 + 3 * (COUNTERS + flags_of(count))
    fixed += 2 * count * PLACES * STRIDE
    most = MOST_SLOTS - _SLOTS_FOR_A_SIGNAL * max(0, count - _SIGNALS_FREE)
    slots = min(most, (flash_bytes - fixed) // 2)
    slots -= slots % _STEP
    if slots < _STEP:
        raise TrainingError(
            f"a profile of {count} signals needs {fixed + 2 * _STEP} bytes; allowed {flash_bytes}"
        )
    return slots


class _Recorder(m.Model):
    """A model that writes down its decisions instead of coding them."""

    def __init__(self, plan: Profile) -> None:
        self.decisions = array("i")
        self.flags: dict[int, list[int]] = {}
        super().__init__(plan)

    def _decide(
        self,
        coder: CodeReader | CodeWriter,
        bit: int,
        node: int,
        frozen: int,
        learned: int,
        at: int,
    ) -> int:
        node = (node * 92821) & m.HASH
        bases = self._bases
        keys = [bases[number] ^ node if number < frozen else -1 for number in range(5)]
        places = [-1, -1]
        for number in range(learned):
            key = self._bases_learned[number] ^ node
            places[number] = (key ^ key >> 10) & self._mask
        self.decisions.extend([*keys, *places, at, bit])
        return bit

    def _flag(self, coder: CodeReader | CodeWriter, bit: int, flag: int) -> int:
        self.flags.setdefault(flag, [0, 0])[bit] += 1
        return bit


class _Nowhere:
    """Takes raw digits and forgets them."""

    def code(self, bit: int, chance: int) -> int:
        return bit


def _record(plan: Profile, drives: list[list[list[int | None]]], tell: Report) -> _Recorder:
    recorder = _Recorder(plan)
    first = _Recorder(plan)
    first.decisions = recorder.decisions
    first.flags = recorder.flags
    nowhere: CodeWriter = _Nowhere()  # type: ignore[assignment]
    total = sum(len(drive) for drive in drives)
    done = 0
    for drive in drives:
        recorder.reset()
        for number, row in enumerate(drive):
            due = plan.due(number)
            recorder.code_row(nowhere, due, row)
            if number % ROWS_TO_KEY == 0 and number:
                first.reset()
                first.code_row(nowhere, due, row)
                _compare(recorder.flags, drive[max(0, number - ROWS_OF_GAP)], row, plan, number)
            done += 1
            if done % 1000 == 0:
                tell("reading drives", done / total)
    return recorder


def _compare(
    flags: dict[int, list[int]], then: Sequence[int | None], now: Row, plan: Profile, number: int
) -> None:
    """Count which signals are the same after a gap."""
    if not plan.every_row:
        return  # another row has other signals
    for index in plan.due(number):
        if then[index] is not None and now[index] is not None:
            flag = FLAGS + len(plan.signals) + index
            flags.setdefault(flag, [0, 0])[then[index] == now[index]] += 1


class _Gains:
    """What each context is worth: bits that a decision would cost more without it."""

    def __init__(self) -> None:
        size = m.HASH + 1
        self.chances = array("f", [0.5]) * size
        self.counts = bytearray(size)
        self.gains = array("f", bytes(4 * size))

    def pass_over(self, keys: tuple[int, ...], learner: _Learner) -> None:
        """Learn from one decision."""
        chances = self.chances
        counts = self.counts
        inputs = [0.0] * 5
        for number in range(5):
            key = keys[number]
            if key >= 0:
                count = counts[key]
                if count:
                    inputs[number] = LOGIT[int(chances[key] * 4096)] * CONFIDENCE[count]
        bit, weights, at, dot = learner.decide(keys, inputs)
        sign = 1.0 if bit else -1.0
        whole = _cost(sign * dot)
        for number in range(5):
            key = keys[number]
            if key < 0:
                continue
            if inputs[number]:
                without = dot - weights[at + number] * inputs[number]
                self.gains[key] += _cost(sign * without) - whole
            count = counts[key]
            chance = chances[key]
            chances[key] = chance + (bit - chance) / (count + 2)
            if count < _COUNT_MOST:
                counts[key] = count + 1
        learner.learn(inputs, dot)

    def best(self, most: int) -> list[int]:
        """Give the contexts that are worth most, best first."""
        gains = np.frombuffer(self.gains, dtype=np.float32)
        worth = np.flatnonzero(gains > LEAST_GAIN_BITS * math.log(2))
        order = np.argsort(-gains[worth], kind="stable")
        return [int(key) for key in worth[order][:most]]


class _Table:
    """The frozen table in the making."""

    def __init__(self, keys: list[int], slots: int) -> None:
        needed = int(len(keys) / _FULL) // _STEP * _STEP + _STEP
        self.slots = min(slots, needed)
        self.checks = bytearray(self.slots)
        self.taken = bytearray(self.slots)
        for key in keys:
            place = key % self.slots
            check = key >> 14
            near = place ^ 1
            same = [at for at in (place, near) if self.taken[at] and self.checks[at] == check]
            free = [at for at in (place, near) if not self.taken[at]]
            if free and not same:
                self.taken[free[0]] = 1
                self.checks[free[0]] = check
        self.chances = [0.5] * self.slots
        self.counts = [0] * self.slots
        self._found: dict[int, int] = {}

    def find(self, key: int) -> int:
        """Give the slot that the model would look at for this key, or -1."""
        place = self._found.get(key)
        if place is None:
            place = key % self.slots
            check = key >> 14
            if self.checks[place] != check or not self.taken[place]:
                place ^= 1
                if self.checks[place] != check or not self.taken[place]:
                    place = -1
            self._found[key] = place
        return place

    def pass_over(self, keys: tuple[int, ...], learner: _Learner) -> None:
        """Learn from one decision."""
        counts = self.counts
        chances = self.chances
        inputs = [0.0] * 5
        places = [-1] * 5
        for number in range(5):
            key = keys[number]
            if key < 0:
                continue
            place = places[number] = self.find(key)
            if place >= 0 and counts[place]:
                inputs[number] = LOGIT[int(chances[place] * 4096)] * CONFIDENCE[counts[place]]
        bit, _, _, dot = learner.decide(keys, inputs)
        for place in places:
            if place >= 0:
                count = counts[place]
                chances[place] += (bit - chances[place]) / (count + 2)
                if count < _COUNT_MOST:
                    counts[place] = count + 1
        learner.learn(inputs, dot)

    def freeze_into(self, plan: Profile) -> None:
        """Write the table into a profile."""
        plan.checks = bytes(self.checks)
        values = array("b", bytes(self.slots))
        for place in range(self.slots):
            if self.taken[place]:
                chance, count = self.chances[place], self.counts[place]
                said = LOGIT[int(chance * 4096)] * CONFIDENCE[count] * 16
                values[place] = max(-127, min(127, round(said)))
        plan.values = values


class _Learner:
    """The part of the model that goes on learning: weights and counters, in floats."""

    def __init__(self, plan: Profile, recorder: _Recorder) -> None:
        self._recorder = recorder
        self._weights = [weight / 4096 for weight in plan.weights]
        for index in range(0, len(self._weights), STRIDE):
            self._weights[index : index + STRIDE] = [0.2] * 5 + [0.2, 0.2, 0.0]
        self._start_counters()

    def _start_counters(self) -> None:
        self._chances = [0.5] * COUNTERS
        self._counts = [0] * COUNTERS

    def run(
        self,
        pass_over: Callable[[tuple[int, ...], _Learner], None],
        tell: Report,
        what: str,
    ) -> None:
        """Go through all decisions once."""
        self._start_counters()
        decisions = self._recorder.decisions
        total = len(decisions) // _FIELDS
        stream = iter(decisions)
        for done, keys in enumerate(zip(*[stream] * _FIELDS, strict=True)):
            pass_over(keys, self)
            if done % 20000 == 0:
                tell(what, done / total)
        tell(what, 1.0)

    def decide(
        self, keys: tuple[int, ...], inputs: list[float]
    ) -> tuple[int, list[float], int, float]:
        """Weigh the inputs: gives the decision, the weights, where they are, and the odds."""
        weights = self._weights
        self._at = at = keys[7]
        self._bit = bit = keys[8]
        dot = weights[at + 7]
        for number in range(5):
            said = inputs[number]
            if said:
                dot += weights[at + number] * said
        self._learned = learned = [0.0, 0.0]
        self._keys = keys
        for number in range(2):
            place = keys[5 + number]
            if place >= 0:
                said = LOGIT[int(self._chances[place] * 4096)]
                learned[number] = said
                dot += weights[at + 5 + number] * said
        return bit, weights, at, (8.0 if dot > 8.0 else -8.0 if dot < -8.0 else dot)

    def learn(self, inputs: list[float], dot: float) -> None:
        """Learn from the decision that was just weighed."""
        weights = self._weights
        at = self._at
        bit = self._bit
        step = (bit - 1.0 / (1.0 + math.exp(-dot))) * _RATE
        for number in range(5):
            if inputs[number]:
                weights[at + number] += step * inputs[number]
        weights[at + 7] += step
        for number in range(2):
            place = self._keys[5 + number]
            if place >= 0:
                weights[at + 5 + number] += step * self._learned[number]
                count = self._counts[place]
                self._chances[place] += (bit - self._chances[place]) / (count + 2)
                if count < 127:
                    self._counts[place] = count + 1

    def freeze_into(self, plan: Profile) -> None:
        """Write weights and counters into a profile."""
        for index, weight in enumerate(self._weights):
            plan.weights[index] = max(-32767, min(32767, round(weight * 4096)))
        for place in range(COUNTERS):
            chance = round(self._chances[place] * 65536)
            plan.chances[place] = max(16, min(65519, chance))
            plan.counts[place] = min(self._counts[place], _COUNT_START)
        for flag, (zeros, ones) in self._recorder.flags.items():
            chance = round(65536 * (ones + 0.4) / (zeros + ones + 0.8))
            plan.chances[COUNTERS + flag] = max(64, min(65471, chance))


def _cost(odds: float) -> float:
    """Natural logarithm of what a decision costs whose odds were these."""
    if odds < -30:
        return -odds
    return math.log1p(math.exp(-odds))


LOGIT = [math.log((place + 0.5) / (4096 - place - 0.5)) for place in range(4096)]
LOGIT.append(LOGIT[-1])
CONFIDENCE = [count / (count + 1) for count in range(256)]
