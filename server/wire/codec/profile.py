"""Profiles: what a device samples, how, and what the codec knows beforehand.

A profile is one block of bytes that device and gateway share; its hash names it. It travels
only when the gateway asks for it, and every packet's check sum is seeded with its hash.
"""

from array import array

from server.wire.codec import varint
from server.wire.codec.checks import content_hash

MAGIC = b"TRP1"
MOST_SIGNALS = 64
NONE = 255  # no such signal
PLACES = 11  # weight sets of a signal
STRIDE = 8  # weights of a set
FLAGS = 3  # counters besides those of contexts and the two of each signal
FLAGS_OF_SIGNAL = 2
COUNTERS_COLD = 256
TERMS = 7  # of a signal's linear predictor
_CERTAIN_FLAG = 65536 // 512


class ProfileError(ValueError):
    """The bytes are no profile, or what was asked for cannot be a profile."""


class SignalPlan:
    """One signal of a profile.

    Attributes:
        id: number in the catalogue.
        scale_num, scale_den: a step of the sensor in units of the value.
        offset_num, offset_den: the value at step 0.
        divider, phase: there is a reading in rows r with r % divider == phase.
        bound: largest error in steps; 0 is lossless at the sensor's resolution.
        minimum, maximum: steps that are expected; others cost more and are carried all the same.
        hold: 1 if "unchanged" is asked first.
        predict: 1 if the linear predictor's value is taken off; else it is only looked at.
        parents: two signals whose movement tells of this one's; NONE is none.
        polled_after: the signal whose age tells when this one is asked; NONE is none.
        key_parent: a signal before this one whose level tells of this one's; NONE is none.
        shift: weights of the predictor are in 1/2^shift.
        terms: weights of: own last change, the one before, movement of both parents since then,
            own level, level of both parents.
        constant: what the predictor adds, in 1/2^shift.
    """

    def __init__(
        self,
        id: int,
        scale_num: int = 1,
        scale_den: int = 1,
        offset_num: int = 0,
        offset_den: int = 1,
        divider: int = 1,
        phase: int = 0,
        bound: int = 0,
        minimum: int = 0,
        maximum: int = 255,
    ) -> None:
        self.id = id
        self.scale_num = scale_num
        self.scale_den = scale_den
        self.offset_num = offset_num
        self.offset_den = offset_den
        self.divider = divider
        self.phase = phase
        self.bound = bound
        self.minimum = minimum
        self.maximum = maximum
        self.hold = 1
        self.predict = 0
        self.parents = (NONE, NONE)
        self.polled_after = NONE
        self.key_parent = NONE
        self.shift = 0
        self.terms = [0] * TERMS
        self.constant = 0

    def value(self, steps: int) -> float:
        """Give the value of a reading in its unit."""
        return steps * self.scale_num / self.scale_den + self.offset_num / self.offset_den


class Profile:
    """A plan of signals with the model that was trained for them.

    Attributes:
        period_ms: time from row to row.
        delay_rows: rows are closed so much later.
        signals: `SignalPlan`s, in the order of a row.
        hash: eight bytes that name the content.
        checks, values: the frozen table: what a context says, in 1/16 of a natural logarithm of
            odds, and eight bits that tell whose it is.
        chances, counts: counters that learn within a packet, as they start.
        weights: how much each input counts, in 1/4096, as they start.
    """

    def __init__(self, period_ms: int, delay_rows: int, signals: "list[SignalPlan]") -> None:
        _check(period_ms, delay_rows, signals)
        self.period_ms = period_ms
        self.delay_rows = delay_rows
        self.signals = signals
        self.every_row = max(signal.divider for signal in signals) == 1
        self._all = list(range(len(signals)))
        self._hash: bytes | None = None
        self.checks = b"\0\0"
        self.values = array("b", b"\0\0")
        self.set_counters(COUNTERS_COLD)
        row = [2048] * 5 + [3072] * 2 + [0]
        self.weights = array("h", row * (len(signals) * PLACES))

    def set_counters(self, adaptive: int) -> None:
        """Make untrained counters: a power of two for contexts, then those of flags."""
        count = len(self.signals)
        flags = [_CERTAIN_FLAG, 32768, 32768] + [_CERTAIN_FLAG] * count + [32768] * count
        self.chances = array("H", [32768] * adaptive + flags)
        self.counts = bytearray([0] * adaptive + [127] * len(flags))

    @staticmethod
    def cold(period_ms: int, signals: "list[SignalPlan]", delay_rows: int = 0) -> "Profile":
        """Make a profile without training: it works, and learns only within each packet."""
        return Profile(period_ms, delay_rows, signals)

    @property
    def hash(self) -> bytes:
        """The first eight bytes of SHA-256 over the profile's bytes."""
        if self._hash is None:
            self._hash = content_hash(self.to_bytes())
        return self._hash

    def due(self, row: int) -> "list[int]":
        """Give the indices of the signals that have a reading in this row."""
        if self.every_row:
            return self._all
        return [
            index
            for index, signal in enumerate(self.signals)
            if row % signal.divider == signal.phase
        ]

    def to_bytes(self) -> bytes:
        """Give the binary form; docs/codec.md has its layout."""
        out = bytearray(MAGIC)
        for number in (self.period_ms, self.delay_rows, len(self.signals)):
            varint.put(out, number)
        for signal in self.signals:
            _put_signal(out, signal)
        slots = len(self.values) // 2
        adaptive = len(self.counts) - flags_of(len(self.signals))
        trained = slots > 1
        varint.put(out, slots if trained else 0)
        if trained:
            varint.put(out, adaptive)
            out.extend(self.checks)
            out.extend(bytes([value & 255 for value in self.values]))
            for chance in self.chances:
                out.append(chance & 255)
                out.append(chance >> 8)
            out.extend(self.counts)
            for weight in self.weights:
                out.append(weight & 255)
                out.append(weight >> 8 & 255)
        return bytes(out)

    @staticmethod
    def from_bytes(data: bytes) -> "Profile":
        """Read the binary form.

        Raises:
            ProfileError: the bytes are no profile of this version.
        """
        if bytes(data[:4]) != MAGIC:
            raise ProfileError(f"a profile begins with TRP1; found {bytes(data[:4])!r}")
        try:
            return _read(varint.Reader(data, 4), data)
        except (ValueError, IndexError) as error:
            raise ProfileError(f"not a whole profile: {error}") from None


def flags_of(count: int) -> int:
    """Give the number of flags of a profile with so many signals."""
    return FLAGS + FLAGS_OF_SIGNAL * count


def _put_signal(out: bytearray, s: SignalPlan) -> None:
    for number in (s.id, s.scale_num, s.scale_den):
        varint.put(out, number)
    varint.put_signed(out, s.offset_num)
    for number in (s.offset_den, s.divider, s.phase, s.bound):
        varint.put(out, number)
    varint.put_signed(out, s.minimum)
    varint.put_signed(out, s.maximum)
    out.append(s.hold | s.predict << 1 | s.shift << 2)
    out.extend(bytes([s.parents[0], s.parents[1], s.polled_after, s.key_parent]))
    for term in s.terms:
        varint.put_signed(out, term)
    varint.put_signed(out, s.constant)


def _read_signal(reader: varint.Reader, count: int) -> SignalPlan:
    take = reader.take
    signed = reader.take_signed
    s = SignalPlan(take(), take(), take(), signed(), take(), take(), take(), take())
    s.minimum = signed()
    s.maximum = signed()
    flags, *others = reader.take_bytes(5)
    s.hold = flags & 1
    s.predict = flags >> 1 & 1
    s.shift = flags >> 2
    for other in others:
        if other != NONE and other >= count:
            raise ValueError(f"signal {s.id} names signal {other} of {count}")
    s.parents = (others[0], others[1])
    s.polled_after = others[2]
    s.key_parent = others[3]
    s.terms = [signed() for _ in range(TERMS)]
    s.constant = signed()
    return s


def _read(reader: varint.Reader, data: bytes) -> Profile:
    period_ms, delay_rows, count = reader.take(), reader.take(), reader.take()
    if count > MOST_SIGNALS:
        raise ValueError(f"{count} signals; at most {MOST_SIGNALS}")
    profile = Profile(period_ms, delay_rows, [_read_signal(reader, count) for _ in range(count)])
    slots = reader.take()
    if slots:
        adaptive = reader.take()
        counters = adaptive + flags_of(count)
        weights = count * PLACES * STRIDE
        if len(data) != reader.at + 4 * slots + 3 * counters + 2 * weights or (
            adaptive & (adaptive - 1)
        ):
            raise ValueError("the tables have not the size that they name")
        profile.checks = reader.take_bytes(2 * slots)
        profile.values = array("b", reader.take_bytes(2 * slots))
        profile.chances = _words("H", reader.take_bytes(2 * counters))
        profile.counts = bytearray(reader.take_bytes(counters))
        profile.weights = _words("h", reader.take_bytes(2 * weights))
    elif len(data) != reader.at:
        raise ValueError(f"{len(data) - reader.at} bytes after the end")
    return profile


def _words(code: str, data: bytes) -> "array[int]":
    words = array(code, bytes(len(data)))
    for index in range(len(words)):
        word = data[2 * index] | data[2 * index + 1] << 8
        words[index] = word - 65536 if code == "h" and word > 32767 else word
    return words


def _check(period_ms: int, delay_rows: int, signals: "list[SignalPlan]") -> None:
    if period_ms < 1 or delay_rows < 0:
        raise ProfileError("period_ms >= 1 and delay_rows >= 0 expected")
    if not 1 <= len(signals) <= MOST_SIGNALS:
        raise ProfileError(f"1 to {MOST_SIGNALS} signals expected, found {len(signals)}")
    for s in signals:
        if s.divider < 1 or not 0 <= s.phase < s.divider:
            raise ProfileError(
                f"signal {s.id}: 0 <= phase < divider expected, "
                f"found phase {s.phase}, divider {s.divider}"
            )
        if s.scale_num < 1 or s.scale_den < 1 or s.offset_den < 1 or s.bound < 0:
            raise ProfileError(f"signal {s.id}: a scale above 0 and a bound >= 0 expected")
        if s.minimum > s.maximum:
            raise ProfileError(f"signal {s.id}: minimum {s.minimum} above maximum {s.maximum}")
