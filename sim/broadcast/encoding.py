"""From readings to the bytes of a message, as cantools would encode them.

What cantools does with the plain signals of this DBC (scale, round, place) is compiled into
integers once: 3 us a message instead of 7, with the values that the record wants on the way. A test
compares the bytes of every message with those of cantools.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from sim.broadcast.readings import READ, Reading

if TYPE_CHECKING:
    from cantools.database.can import Message, Signal

COUNTER = "Counter"
CHECKSUM = "Checksum"
ABSENT = ("NoRequest", "NotAvailable")  # entries of value tables, the first one found is sent

Samples = dict[str, tuple[float | None, float]]


class Field(NamedTuple):
    """A signal, ready to be packed. `shift` is from the least significant bit of its integer."""

    name: str
    read: Callable[[Reading], float | None]
    factor: float
    offset: float
    low: int
    high: int
    absent: int
    mask: int
    shift: int
    is_intel: bool


class MessageEncoder:
    """Encodes one message of the database, its counter and checksum included.

    Args:
        message: of cantools.
        sampled_signals: names that `encode` returns the values of; None gives all that are read.

    Attributes:
        name: of the message.
        parts: how many different contents it has: 1, or the values of its multiplexer.
    """

    def __init__(self, message: Message, sampled_signals: Collection[str] | None = None) -> None:
        self.name = message.name
        self.arbitration_id = message.frame_id
        self._bytes = message.length
        multiplexer = next((s for s in message.signals if s.is_multiplexer), None)
        plain = [s for s in message.signals if not s.is_multiplexer and s.multiplexer_ids is None]
        self._counter = _own(plain, COUNTER, self._bytes)
        self._has_checksum = any(s.name == self.name + CHECKSUM for s in plain)
        common = [_field(s, self._bytes) for s in plain if s.name in READ]
        self._contents: list[tuple[Field, ...]] = [tuple(common)]
        if multiplexer is not None:
            values = sorted({i for s in message.signals for i in s.multiplexer_ids or ()})
            self._contents = [
                (_constant(multiplexer, value, self._bytes), *common, *_chosen(message, value))
                for value in values
            ]
        self.parts = len(self._contents)
        self._places = {s.name: s for s in plain}
        self._wanted = None if sampled_signals is None else frozenset(sampled_signals)

    def encode(
        self, reading: Reading, counter: int = 0, part: int = 0, samples: Samples | None = None
    ) -> bytes:
        """Return the payload.

        Args:
            reading: the car.
            counter: how often the message was sent before.
            part: which of its contents, counted from 0.
            samples: takes (true, wire) of each wanted signal.
        """
        packed = packed_intel = 0
        for field in self._contents[part]:
            value = field.read(reading)
            if value is None:
                raw = field.absent
            else:
                raw = round((value - field.offset) / field.factor)
                if raw < field.low:
                    raw = field.low
                elif raw > field.high:
                    raw = field.high
            if field.is_intel:
                packed_intel |= (raw & field.mask) << field.shift
            else:
                packed |= (raw & field.mask) << field.shift
            if samples is not None and (self._wanted is None or field.name in self._wanted):
                true = None if value is None else float(value)
                samples[field.name] = true, raw * field.factor + field.offset
        if self._counter is not None:
            mask, shift = self._counter
            packed |= (counter & mask) << shift
        if packed_intel:
            packed |= int.from_bytes(packed_intel.to_bytes(self._bytes, "little"), "big")
        data = packed.to_bytes(self._bytes, "big")
        if self._has_checksum:
            data = data[:-1] + bytes((checksum(self.arbitration_id, data[:-1]),))
        return data

    def raw(self, name: str, data: bytes) -> int:
        """Return the bits of an unsigned Motorola signal in `data`."""
        signal = self._places[name]
        shift = _shift(signal, self._bytes)
        return int.from_bytes(data, "big") >> shift & (1 << signal.length) - 1


def checksum(arbitration_id: int, data: bytes) -> int:
    """Return the last byte of a message with a checksum; the rule stands in the DBC's comments."""
    return 255 - (sum(data) + (arbitration_id >> 8) + (arbitration_id & 0xFF)) & 0xFF


def _shift(signal: Signal, length_bytes: int) -> int:
    if signal.byte_order == "little_endian":
        return signal.start
    from_first = 8 * (signal.start // 8) + 7 - signal.start % 8
    return 8 * length_bytes - from_first - signal.length


def _own(signals: list[Signal], suffix: str, length_bytes: int) -> tuple[int, int] | None:
    for signal in signals:
        if signal.name.endswith(suffix):
            return (1 << signal.length) - 1, _shift(signal, length_bytes)
    return None


def _field(signal: Signal, length_bytes: int) -> Field:
    factor, offset = signal.conversion.scale, signal.conversion.offset
    lowest, highest = signal.minimum, signal.maximum
    assert lowest is not None
    assert highest is not None
    return Field(
        signal.name,
        READ[signal.name],
        factor,
        offset,
        round((lowest - offset) / factor),
        round((highest - offset) / factor),
        _absent(signal),
        (1 << signal.length) - 1,
        _shift(signal, length_bytes),
        signal.byte_order == "little_endian",
    )


def _absent(signal: Signal) -> int:
    names: Mapping[int, object] = signal.conversion.choices or {}
    for wanted in ABSENT:
        for number, name in names.items():
            if str(name) == wanted:
                return number
    return 0


def _constant(signal: Signal, value: int, length_bytes: int) -> Field:
    mask = (1 << signal.length) - 1
    shift = _shift(signal, length_bytes)
    is_intel = signal.byte_order == "little_endian"
    return Field(signal.name, lambda reading: value, 1, 0, 0, mask, 0, mask, shift, is_intel)


def _chosen(message: Message, value: int) -> list[Field]:
    return [
        _field(signal, message.length)
        for signal in message.signals
        if signal.multiplexer_ids is not None and value in signal.multiplexer_ids
    ]
