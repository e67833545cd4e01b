"""The model of both ends: it turns a row into decisions, each with a chance.

The same code encodes and decodes: the coder's `code` gives back the decision, whether it was
written or read. Five frozen tables of the profile and two counters speak to each decision; how
much each of them counts, and the counters, are learned within a packet. Every packet starts
from the profile again. Products stay below 2^30.
"""

from array import array

from server.wire.codec import varint
from server.wire.codec.profile import (
    FLAGS,
    NONE,
    PLACES,
    STRIDE,
    Profile,
    SignalPlan,
    flags_of,
)
from server.wire.codec.tables import AGES, COARSE, DIGITS, FINE, RATE, SQUASH, STRETCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from server.wire.codec.coder import CodeReader, CodeWriter

GREATEST_STEPS = (1 << 40) - 1
MOST_DIGITS = 42
FRESH, STALE = 1, 2  # what is known of a signal's value
KEY_DIGITS = 8  # of a first value, the leading ones, are modelled
NODE_ZERO, NODE_SIGN, NODE_UNARY = 1, 2, 8
PLACE_HOLD, PLACE_ZERO, PLACE_SIGN, PLACE_UNARY, PLACE_MANTISSA, PLACE_KEY = 0, 1, 2, 3, 7, 9
HASH = 0x3FFFFF
MANTISSA_MODELLED = 64  # values below this have their next digit modelled
BIAS = 16
_COUNT_MOST = 127
_CLAMP = (1 << 14) - 1
_SPREAD_MOST = 4096
_AGE_AT_START = 8
_SPREAD_AT_START = 16
_SINCE_MOST = 31
_NO_SIGNAL = 63
_CONTEXTS = 16
_SEED = 104729
_SEEDS = [(number + 1) * _SEED for number in range(_CONTEXTS)]


class _Plan:
    """What the model asks of a signal again and again."""

    def __init__(self, index: int, signal: SignalPlan) -> None:
        step = 2 * signal.bound + 1
        self.hold = signal.hold
        self.predict = signal.predict
        self.parent, self.other = signal.parents
        self.near = signal.polled_after
        self.key_parent = signal.key_parent
        self.low = (signal.minimum + signal.bound) // step
        self.span = (signal.maximum + signal.bound) // step - self.low
        self.key_digits = digits(self.span)
        self.level_shift = max(0, self.key_digits - 6)
        self.key_shift = max(0, self.key_digits - 5)
        self.shift = signal.shift
        self.half = 1 << signal.shift >> 1
        self.constant = signal.constant
        self.terms = signal.terms
        self.seed = index * _CONTEXTS * _SEED
        self.weights_at = index * PLACES * STRIDE


def digits(size: int) -> int:
    """Give the number of binary digits of a number that is not negative."""
    count = 0
    while size > 255:
        size >>= 8
        count += 8
    return count + DIGITS[size]


class Model:
    """What both ends know at a point of a packet."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._plans = [_Plan(index, signal) for index, signal in enumerate(profile.signals)]
        count = len(profile.signals)
        self._count = count
        self._checks = profile.checks
        self._frozen = profile.values
        self._slots = len(profile.values)
        self._chances = array("H", profile.chances)
        self._counts = bytearray(profile.counts)
        self._flags_at = len(profile.counts) - flags_of(count)
        self._mask = self._flags_at - 1
        self._weights = array("i", [0] * len(profile.weights))
        self._bases = [0] * 5
        self._bases_learned = [0] * 2
        self._inputs = [0] * 7
        self._places = [0] * 2
        self.reset()

    def reset(self) -> None:
        """Forget everything but the profile: the start of a packet that stands alone."""
        count = self._count
        self._chances[:] = self._profile.chances
        self._counts[:] = self._profile.counts
        weights = self._weights
        first = self._profile.weights
        for index in range(len(weights)):
            weights[index] = first[index] << 4
        self._values = [plan.low for plan in self._plans]
        self._known = bytearray(count)
        self._missing = bytearray(count)
        self._ages = bytearray([_AGE_AT_START] * count)
        self._spread = [_SPREAD_AT_START] * count
        self._change = [0] * count  # the last one
        self._change_before = [0] * count
        self._parent_then = [0] * count  # a parent's value at this signal's last change
        self._other_then = [0] * count
        self._last_changed = _NO_SIGNAL
        self._since = _SINCE_MOST
        self._lists: list[list[int] | bytearray] = [
            self._values,
            self._known,
            self._missing,
            self._ages,
            self._spread,
            self._change,
            self._change_before,
            self._parent_then,
            self._other_then,
        ]
        self._marked = [one[:] for one in self._lists]
        self.transmitted = 0
        self.readings = 0

    # --- the state that a packet leaves, for packets that continue from it

    def state(self) -> bytes:
        """Give what a continuing packet needs."""
        out = bytearray([self._last_changed, self._since])
        for index in range(self._count):
            out.append(self._known[index] | self._missing[index] << 2)
            if self._known[index]:
                plan = self._plans[index]
                out.append(self._ages[index])
                varint.put_signed(out, self._values[index])
                varint.put(out, self._spread[index])
                varint.put_signed(out, self._change[index])
                varint.put_signed(out, self._change_before[index])
                if plan.parent != NONE:
                    varint.put_signed(out, self._parent_then[index])
                if plan.other != NONE:
                    varint.put_signed(out, self._other_then[index])
        return bytes(out)

    def restore(self, state: bytes) -> None:
        """Continue, after `reset`, from a state.

        Raises:
            ValueError: it is none of this profile.
        """
        reader = varint.Reader(state)
        self._last_changed, self._since = reader.take_bytes(2)
        for index in range(self._count):
            flags = reader.take()
            self._known[index] = flags & 3
            self._missing[index] = flags >> 2 & 1
            if flags & 3:
                plan = self._plans[index]
                self._ages[index] = reader.take_bytes(1)[0]
                self._values[index] = reader.take_signed()
                self._spread[index] = reader.take()
                self._change[index] = reader.take_signed()
                self._change_before[index] = reader.take_signed()
                if plan.parent != NONE:
                    self._parent_then[index] = reader.take_signed()
                if plan.other != NONE:
                    self._other_then[index] = reader.take_signed()

    def age(self) -> None:
        """Note, after `restore`, that rows lie between: values may have changed meanwhile."""
        for index in range(self._count):
            if self._known[index]:
                self._known[index] = STALE
            self._ages[index] = _AGE_AT_START
            self._spread[index] = _SPREAD_AT_START
            self._change[index] = self._change_before[index] = 0
        self._last_changed = _NO_SIGNAL
        self._since = _SINCE_MOST

    def mark(self) -> None:
        """Remember this point; what is learned after it is not taken back."""
        for number in range(len(self._lists)):
            self._marked[number][:] = self._lists[number]
        self._marked_last = self._last_changed
        self._marked_since = self._since

    def back(self) -> None:
        """Return to the point that was marked, to take its state."""
        for number in range(len(self._lists)):
            self._lists[number][:] = self._marked[number]
        self._last_changed = self._marked_last
        self._since = self._marked_since

    # --- rows

    def code_row(
        self,
        coder: "CodeReader | CodeWriter",
        due: "list[int]",
        row: "list[int | None] | None",
    ) -> "list[int | None]":
        """Code a row (quantised steps; None is missing), or read one where `row` is None."""
        self._code_missing(coder, due, row)
        out: list[int | None] = []
        firsts = 0
        for place in range(len(due)):
            index = due[place]
            if self._missing[index]:
                out.append(None)
                continue
            given = None if row is None else row[place]
            self.readings += 1
            if self._known[index] == FRESH:
                out.append(self._code_next(coder, index, given))
            else:
                out.append(self._code_first(coder, index, given))
                firsts = 1
        if firsts:
            self._settle()
        if self._since < _SINCE_MOST:
            self._since += 1
        return out

    def _settle(self) -> None:
        """Count movements of parents from here on."""
        values = self._values
        for index in range(self._count):
            plan = self._plans[index]
            if plan.parent != NONE:
                self._parent_then[index] = values[plan.parent]
            if plan.other != NONE:
                self._other_then[index] = values[plan.other]

    def _code_missing(
        self,
        coder: "CodeReader | CodeWriter",
        due: "list[int]",
        row: "list[int | None] | None",
    ) -> None:
        """One decision says that what is missing is as before; else each signal says."""
        missing = self._missing
        news = 0
        if row is not None:
            for place in range(len(due)):
                if (row[place] is None) != (missing[due[place]] == 1):
                    news = 1
        if not self._flag(coder, news, 0):
            return
        for place in range(len(due)):
            index = due[place]
            bit = 1 if row is not None and row[place] is None else 0
            missing[index] = self._flag(coder, bit, 1 + missing[index])

    def _code_first(self, coder: "CodeReader | CodeWriter", index: int, given: "int | None") -> int:
        """Code a signal's first value in a packet that stands alone, or after a gap."""
        plan = self._plans[index]
        low = plan.low
        if self._known[index] == STALE:
            held = self._values[index]
            self._known[index] = FRESH
            if self._flag(coder, 1 if given == held else 0, FLAGS + self._count + index):
                return held
        offset = 0 if given is None else given - low
        outside = 0 if 0 <= offset <= plan.span else 1
        if self._flag(coder, outside, FLAGS + index):
            offset = _code_outside(coder, offset, plan.span)
        else:
            offset = self._code_key(coder, plan, offset)
        self._known[index] = FRESH
        self._values[index] = low + offset
        self.transmitted += 1
        return low + offset

    def _code_key(self, coder: "CodeReader | CodeWriter", plan: _Plan, offset: int) -> int:
        total = plan.key_digits
        parent = plan.key_parent
        near = fine = -1
        if parent != NONE:
            of = self._plans[parent]
            level = self._values[parent] - of.low
            near = min(31, max(0, level >> of.key_shift))
            fine = min(255, max(0, level >> max(0, of.key_digits - 8)))
        bases = self._bases
        value = 1
        for count in range(total):
            bit = offset >> (total - 1 - count) & 1
            if count < KEY_DIGITS:
                bases[0] = _mixed(value, plan.seed + _SEEDS[5])
                bases[1] = _mixed(value * 32 + near, plan.seed + _SEEDS[6]) if near >= 0 else 0
                bases[2] = _mixed(value * 256 + fine, plan.seed + _SEEDS[7]) if near >= 0 else 0
                place = PLACE_KEY + (0 if count < 3 else 1)
                bit = self._decide(coder, bit, 0, 3, 0, plan.weights_at + place * STRIDE)
            else:
                bit = coder.code(bit, 16384)
            value = value << 1 | bit
        return value - (1 << total)

    def _code_next(self, coder: "CodeReader | CodeWriter", index: int, given: "int | None") -> int:
        plan = self._plans[index]
        values = self._values
        seed = plan.seed
        seeds = _SEEDS
        held = values[index]
        age = self._ages[index]
        moved = moved_other = 0
        class_moved = class_other = class_fine = class_fine_other = 13
        last = self._change[index]
        terms = plan.terms
        level = held - plan.low
        ahead = plan.constant
        if plan.shift:
            ahead += terms[0] * _clamped(last) + terms[1] * _clamped(self._change_before[index])
            if terms[4]:
                ahead += terms[4] * _clamped(level)
        parent = plan.parent
        level_class = parent_class = 0
        if parent != NONE:
            of = values[parent]
            moved = of - self._parent_then[index]
            inside = -128 if moved < -128 else 128 if moved > 128 else moved
            class_moved = COARSE[inside + 128]
            class_fine = FINE[inside + 128]
            plan_of = self._plans[parent]
            of -= plan_of.low
            parent_class = of >> plan_of.level_shift
            parent_class = 0 if parent_class < 0 else 63 if parent_class > 63 else parent_class
            if plan.shift:
                ahead += terms[2] * _clamped(moved)
                if terms[5]:
                    ahead += terms[5] * _clamped(of)
        other = plan.other
        if other != NONE:
            of = values[other]
            moved_other = of - self._other_then[index]
            inside = -128 if moved_other < -128 else 128 if moved_other > 128 else moved_other
            class_other = COARSE[inside + 128]
            class_fine_other = FINE[inside + 128]
            if plan.shift:
                ahead += terms[3] * _clamped(moved_other)
                if terms[6]:
                    ahead += terms[6] * _clamped(of - self._plans[other].low)
        ahead = (ahead + plan.half) >> plan.shift
        inside = -128 if ahead < -128 else 128 if ahead > 128 else ahead
        ahead_class = FINE[inside + 128]
        age_class = AGES[age]
        bases = self._bases
        learned = self._bases_learned
        weights_at = plan.weights_at
        changes = 1
        if plan.hold:
            near = plan.near
            recent = self._last_changed * 32 + self._since
            bases[0] = _mixed(
                age_class * 33 + (AGES[self._ages[near]] if near != NONE else 32), seed + seeds[0]
            )
            bases[1] = learned[1] = _mixed(recent, seed + seeds[1])
            bases[2] = _mixed(ahead_class * 16 + (age if age < 15 else 15), seed + seeds[2])
            bases[3] = _mixed(
                (class_moved * 14 + class_other) * 2 + (0 if age else 1), seed + seeds[3]
            )
            bases[4] = _mixed(held & 4095, seed + seeds[4])
            learned[0] = _mixed(0, seed + seeds[8])
            changes = self._decide(
                coder, 1 if given is not None and given != held else 0, 0, 5, 2, weights_at
            )
        residual = 0
        spread = self._spread[index]
        if changes:
            level_class = level >> plan.level_shift
            level_class = 0 if level_class < 0 else 63 if level_class > 63 else level_class
            spread_class = DIGITS[spread] if spread < 256 else 8 + DIGITS[spread >> 8]
            inside = -128 if last < -128 else 128 if last > 128 else last
            bases[0] = _mixed(spread_class if spread_class < 13 else 12, seed + seeds[9])
            bases[1] = _mixed(ahead_class * 14 + class_moved, seed + seeds[10])
            bases[2] = _mixed(parent_class * 64 + level_class, seed + seeds[11])
            bases[3] = _mixed(class_fine_other * 32 + class_fine, seed + seeds[12])
            bases[4] = _mixed(COARSE[inside + 128] * 32 + age_class, seed + seeds[13])
            learned[0] = _mixed(0, seed + seeds[14])
            predicted = held + ahead if plan.predict else held
            residual = self._code_residual(
                coder,
                0 if given is None else given - predicted,
                plan.hold and not plan.predict,
                weights_at,
            )
            size = -residual if residual < 0 else residual
            if size > _SPREAD_MOST:
                size = _SPREAD_MOST
            self._spread[index] = spread + ((size * 16 - spread) >> 2)
            if residual:
                self.transmitted += 1
            residual += predicted - held
        else:
            self._spread[index] = spread - (spread >> 4)
        if residual:
            self._ages[index] = 0
            self._last_changed = index
            self._since = 0
        elif age < 255:
            self._ages[index] = age + 1
        if residual or not plan.hold:
            self._change_before[index] = last
            self._change[index] = residual
            values[index] = held + residual
            if parent != NONE:
                self._parent_then[index] = values[parent]
            if other != NONE:
                self._other_then[index] = values[other]
        return held + residual

    def _code_residual(
        self, coder: "CodeReader | CodeWriter", residual: int, not_zero: int, weights_at: int
    ) -> int:
        decide = self._decide
        if not not_zero:
            place = weights_at + PLACE_ZERO * STRIDE
            if decide(coder, 0 if residual else 1, NODE_ZERO, 5, 1, place):
                return 0
        place = weights_at + PLACE_SIGN * STRIDE
        negative = decide(coder, 1 if residual < 0 else 0, NODE_SIGN, 5, 1, place)
        size = -residual if residual < 0 else residual
        total = digits(size)
        count = 1
        while count < MOST_DIGITS:
            more = 1 if count < total else 0
            place = weights_at + (PLACE_UNARY + (count - 1 if count < 4 else 3)) * STRIDE
            if not decide(coder, more, NODE_UNARY + count, 5, 1, place):
                break
            count += 1
        value = 1
        node = 64 + count * 64
        place = weights_at + PLACE_MANTISSA * STRIDE
        for shift in range(count - 2, -1, -1):
            bit = size >> shift & 1
            if value < MANTISSA_MODELLED:
                bit = decide(coder, bit, node + value, 4, 1, place)
                place = weights_at + (PLACE_MANTISSA + 1) * STRIDE
            else:
                bit = coder.code(bit, 16384)
            value = value << 1 | bit
        return -value if negative else value

    def _flag(self, coder: "CodeReader | CodeWriter", bit: int, flag: int) -> int:
        """Code a rare decision with one counter."""
        chances = self._chances
        at = self._flags_at + flag
        now = chances[at]
        bit = coder.code(bit, now >> 1)
        rate = RATE[self._counts[at]]
        if bit:
            now += (((65535 - now) >> 1) * rate) >> 14
        else:
            now -= ((now >> 1) * rate) >> 14
        chances[at] = 64 if now < 64 else 65471 if now > 65471 else now
        return bit

    def _decide(
        self,
        coder: "CodeReader | CodeWriter",
        bit: int,
        node: int,
        frozen: int,
        learned: int,
        at: int,
    ) -> int:
        """Code one decision: `frozen` bases ask the tables, `learned` ones the counters."""
        inputs = self._inputs
        weights = self._weights
        chances = self._chances
        bases = self._bases
        checks = self._checks
        values = self._frozen
        slots = self._slots
        node = (node * 92821) & HASH
        dot = weights[at + 7] * BIAS
        for number in range(frozen):
            key = bases[number] ^ node
            place = key % slots
            if checks[place] == key >> 14:
                said = values[place]
            elif checks[place ^ 1] == key >> 14:
                said = values[place ^ 1]
            else:
                said = 0
            inputs[number] = said
            dot += weights[at + number] * said
        places = self._places
        for number in range(learned):
            key = self._bases_learned[number] ^ node
            place = (key ^ key >> 10) & self._mask
            places[number] = place
            said = STRETCH[chances[place] >> 6]
            inputs[5 + number] = said
            dot += weights[at + 5 + number] * said
        dot >>= 13
        if dot >= 0:
            chance = SQUASH[dot if dot < 1023 else 1023]
        else:
            chance = 32768 - SQUASH[-dot if dot > -1023 else 1023]
        bit = coder.code(bit, chance)
        error = 32768 - chance if bit else -chance
        for number in range(frozen):
            said = inputs[number]
            if said:
                weights[at + number] += (said * error + 256) >> 9
        weights[at + 7] += (BIAS * error + 256) >> 9
        counts = self._counts
        for number in range(learned):
            weights[at + 5 + number] += (inputs[5 + number] * error + 256) >> 9
            place = places[number]
            now = chances[place]
            count = counts[place]
            if bit:
                now += (((65535 - now) >> 1) * RATE[count]) >> 14
            else:
                now -= ((now >> 1) * RATE[count]) >> 14
            chances[place] = 16 if now < 16 else 65519 if now > 65519 else now
            if count < _COUNT_MOST:
                counts[place] = count + 1
        return bit


def _mixed(context: int, seed: int) -> int:
    """Spread a context (below 2^16) of a signal over 22 bits."""
    mixed = context * 7919 + seed
    return (mixed ^ mixed >> 11) & HASH


def _clamped(value: int) -> int:
    return -_CLAMP if value < -_CLAMP else _CLAMP if value > _CLAMP else value


def _code_outside(coder: "CodeReader | CodeWriter", offset: int, span: int) -> int:
    """Code a number below 0 or above `span`: side, digits, the digits themselves."""
    above = coder.code(1 if offset > span else 0, 16384)
    size = offset - span if offset > span else -offset
    total = digits(size) if size > 0 else 1
    count = 1
    while count < MOST_DIGITS and coder.code(1 if count < total else 0, 16384):
        count += 1
    value = 1
    for shift in range(count - 2, -1, -1):
        value = value << 1 | coder.code(size >> shift & 1, 16384)
    return span + value if above else -value
