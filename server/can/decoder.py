"""From frames to readings: cantools' numbers, without its dictionaries.

A message's signals are worked out once to (shift, mask, sign bit, factor, offset, limits), little-
and big-endian ones apart, grouped by how often they are wanted and by the multiplexer value with
which they come. A frame whose groups are not due costs a look-up and a comparison. Where numbers
stay below 2**53 floats give what cantools' integers give; beyond that its types are kept. So values
are equal to its `decode(..., decode_choices=False)` bit for bit, as a test shows.

What is no value is left out and counted: beyond the limits of the file (`values_rejected`; half a
step is allowed, because limits are rounded), not finite, or one that the file's value table calls
"SNA", "invalid", "not available" or so (`values_invalid`).

Messages that a file calls parameter groups of J1939 are known by their group, whatever priority
they come with, and by their source only where the file names one; and they have that standard's own
"not available" and "error" (J1939-71: all bits set, and in whole bytes also FE at the top).
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from server.can.frame import ERROR, EXTENDED, REMOTE, CanFrame
from server.can.plan import Plan, PlannedMessage, PlannedSignal
from server.readings import Reading

if TYPE_CHECKING:
    import cantools.database.can

_EARLY = 4
"""A frame may be early by this part of the period: jitter must not cost every other one."""

_EXACT = 2**53
_FLOATS = {16: "<e", 32: "<f", 64: "<d"}
_UNAVAILABLE = re.compile(
    r"(signal[ _])?(sna|invalid|(not[ _]?|un)available|not[ _]valid|no[ _]data)([ _](value|data))?",
    re.IGNORECASE,
)

SOURCE_SILENT_NS = 5_000_000_000
"""So long a group's source may be silent before another one's frames count."""

Field = tuple[int, int, int, int, float, float, float, float]
"""Signal id, shift, mask, sign bit (or 0), factor, offset, smallest and largest value."""

Reader = Callable[[int, int], "int | float | None"]
"""From the little-endian word and the big-endian one to a value; None: not available."""


class OddField:
    """A signal that is no plain number: a float, one with values that say "none", one on change.

    Attributes:
        signal: id.
        read: gives the value out of the two words.
        low: smallest value.
        high: largest value.
        heartbeat_ns: with `on_change`, the longest time between two readings.
        on_change: whether only a new value is a reading.
    """

    __slots__ = ("heartbeat_ns", "high", "last", "last_ns", "low", "on_change", "read", "signal")

    def __init__(
        self, planned: PlannedSignal, read: Reader, low: float, high: float, heartbeat_ns: int
    ) -> None:
        self.signal = planned.entry.id
        self.read = read
        self.low = low
        self.high = high
        self.on_change = planned.on_change
        self.heartbeat_ns = heartbeat_ns
        self.last: float | None = None
        self.last_ns = 0

    def is_news(self, value: float, time_ns: int) -> bool:
        """Tell whether a value of a signal on change is to be told; remember it then."""
        if value == self.last and time_ns - self.last_ns < self.heartbeat_ns:
            return False
        self.last, self.last_ns = value, time_ns
        return True


class Group:
    """Signals of one message that are due together.

    Attributes:
        period_ns: time between two readings at least, on average; 0: each frame.
        due_ns: when the next frame counts.
    """

    __slots__ = ("big", "due_ns", "little", "odd", "period_ns")

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.due_ns = 0
        self.little: list[Field] = []
        self.big: list[Field] = []
        self.odd: list[OddField] = []


class Node:
    """What comes with a message, or with one value of a multiplexer.

    Attributes:
        groups: signals by rate.
        muxes: for each multiplexer, how to read it, and what comes with which of its values.
    """

    __slots__ = ("groups", "muxes")

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.muxes: list[tuple[Reader, dict[int, Node]]] = []


class DecodedMessage:
    """A message and what was seen of it.

    Attributes:
        plan: what is wanted of it.
        node: how to decode it.
        frames: so many came.
        last_ns: when the last one was on the bus.
        longest_ns: longest time between two.
        shorter: frames with less data than the file says.
        length: bytes of the last such one.
        source: of a group of J1939, the address whose frames count; None: none was heard.
    """

    __slots__ = ("frames", "last_ns", "length", "longest_ns", "node", "plan", "shorter", "source")

    def __init__(self, plan: PlannedMessage, heartbeat_ns: int) -> None:
        self.plan = plan
        self.node = _node(plan, heartbeat_ns, None, None)
        self.frames = 0
        self.last_ns = 0
        self.longest_ns = 0
        self.shorter = 0
        self.length = 0
        self.source: int | None = None


class Decoder:
    """Turns frames into readings.

    Args:
        plan: what is wanted.
        counters: of the link; `frames_known`, `frames_unknown`, `frames_short`,
            `values_rejected`, `values_invalid`, `muxes_unknown`.
        heartbeat_s: longest time between two readings of a signal on change.

    Attributes:
        messages: by `can_id`.
        unknown: frames of the last call that are none of them, error frames included.
        absent: signals whose last value was "not available".
    """

    def __init__(self, plan: Plan, counters: Counter[str], heartbeat_s: float = 1.0) -> None:
        heartbeat_ns = round(heartbeat_s * 1e9)
        self.messages = {
            message.can_id: DecodedMessage(message, heartbeat_ns) for message in plan.messages
        }
        self._groups: dict[int, dict[int, DecodedMessage]] = {}  # by mask, by what it leaves
        for message in self.messages.values():
            if message.plan.is_j1939:
                known = self._groups.setdefault(message.plan.mask, {})
                known.setdefault(message.plan.can_id & message.plan.mask, message)
        self.unknown: list[CanFrame] = []
        self.absent: set[int] = set()
        self._counters = counters

    def decode(self, frames: Sequence[CanFrame]) -> list[Reading]:
        """Give the readings of frames, in their order."""
        readings: list[Reading] = []
        messages = self.messages
        unknown: list[CanFrame] = []
        for frame in frames:
            message = messages.get(frame.can_id)
            if self._groups and (message is None or message.plan.is_j1939):
                message = self._of_group(frame)
            if message is None:
                unknown.append(frame)
                continue
            time_ns = frame.time_ns
            if message.frames:
                gap_ns = time_ns - message.last_ns
                if gap_ns > message.longest_ns:
                    message.longest_ns = gap_ns
            message.frames += 1
            message.last_ns = time_ns
            self._take(message, message.node, frame, readings)
        self.unknown = unknown
        self._counters["frames_unknown"] += len(unknown)
        self._counters["frames_known"] += len(frames) - len(unknown)
        return readings

    def _of_group(self, frame: CanFrame) -> DecodedMessage | None:
        """Give the group of J1939 that a frame is, if its source is the one that counts.

        Two sources of one group would make one signal of two: the first one counts.
        """
        can_id = frame.can_id
        if can_id & (EXTENDED | REMOTE | ERROR) != EXTENDED:
            return None
        source = can_id & 0xFF
        for mask, messages in self._groups.items():
            message = messages.get(can_id & mask)
            if message is not None:
                if message.source != source:
                    if message.frames and frame.time_ns - message.last_ns < SOURCE_SILENT_NS:
                        continue
                    message.source = source
                return message
        return None

    def _take(
        self,
        message: DecodedMessage,
        node: Node,
        frame: CanFrame,
        readings: list[Reading],
        words: tuple[int, int] | None = None,
    ) -> None:
        time_ns = frame.time_ns
        for group in node.groups:
            if time_ns < group.due_ns:
                continue
            if words is None:
                words = self._words(message, frame)
                if words is None:
                    return
            period_ns = group.period_ns
            if period_ns:
                late_ns = time_ns - group.due_ns
                group.due_ns += (
                    period_ns if late_ns < period_ns else late_ns + period_ns - period_ns // _EARLY
                )
            self._fields(group, words, frame, readings)
        if node.muxes:
            if words is None:
                words = self._words(message, frame)
                if words is None:
                    return
            self._choose(message, node, frame, readings, words)

    def _choose(
        self,
        message: DecodedMessage,
        node: Node,
        frame: CanFrame,
        readings: list[Reading],
        words: tuple[int, int],
    ) -> None:
        for read, branches in node.muxes:
            value = read(*words)
            branch = branches.get(int(value)) if value is not None else None
            if branch is None:
                self._counters["muxes_unknown"] += 1
            else:
                self._take(message, branch, frame, readings, words)

    def _words(self, message: DecodedMessage, frame: CanFrame) -> tuple[int, int] | None:
        data, length = frame.data, message.plan.length
        if len(data) != length:
            if len(data) < length:
                message.shorter += 1
                message.length = len(data)
                self._counters["frames_short"] += 1
                return None
            data = data[:length]
        return int.from_bytes(data, "little"), int.from_bytes(data, "big")

    def _fields(
        self, group: Group, words: tuple[int, int], frame: CanFrame, readings: list[Reading]
    ) -> None:
        little, big = words
        time_ns, received_ns = frame.time_ns, frame.received_ns
        append = readings.append
        rejected = 0
        for word, fields in ((little, group.little), (big, group.big)):
            for signal, shift, mask, sign, factor, offset, low, high in fields:
                raw = word >> shift & mask
                if raw & sign:
                    raw -= mask + 1
                value = raw * factor + offset
                if low <= value <= high:
                    append(Reading(signal, time_ns, value, received_ns))
                else:
                    rejected += 1
        for field in group.odd:
            read = field.read(little, big)
            if read is None:
                self._counters["values_invalid"] += 1
                self.absent.add(field.signal)
                continue
            if self.absent:
                self.absent.discard(field.signal)
            value = float(read)
            if not field.low <= value <= field.high:
                rejected += 1
            elif not field.on_change or field.is_news(value, time_ns):
                append(Reading(field.signal, time_ns, value, received_ns))
        if rejected:
            self._counters["values_rejected"] += rejected


def _node(plan: PlannedMessage, heartbeat_ns: int, mux: str | None, value: int | None) -> Node:
    """Work out what comes with a message (`mux` None), or with one value of a multiplexer."""
    node = Node()
    groups: dict[int, Group] = {}
    for planned in plan.signals:
        if not _belongs(planned.layout, mux, value):
            continue
        period_ns = round(1e9 / planned.rate_hz) if planned.rate_hz else 0
        group = groups.setdefault(period_ns, Group(period_ns))
        _add(group, planned, plan, heartbeat_ns)
    node.groups = list(groups.values())
    for name, layout in plan.muxes.items():
        if not _belongs(layout, mux, value):
            continue
        branches = {
            each: _node(plan, heartbeat_ns, name, each) for each in sorted(_values(plan, name))
        }
        if any(branch.groups or branch.muxes for branch in branches.values()):
            for choice in layout.conversion.choices or ():
                branches.setdefault(choice, Node())  # a value without signals is known, too
            node.muxes.append((_scaled(layout, plan.length), branches))
    return node


def _belongs(layout: cantools.database.can.Signal, mux: str | None, value: int | None) -> bool:
    if layout.multiplexer_signal != mux:
        return False
    return mux is None or value in (layout.multiplexer_ids or ())


def _values(plan: PlannedMessage, mux: str) -> set[int]:
    layouts = [*(planned.layout for planned in plan.signals), *plan.muxes.values()]
    return {
        value
        for layout in layouts
        if layout.multiplexer_signal == mux
        for value in layout.multiplexer_ids or ()
    }


def _add(group: Group, planned: PlannedSignal, plan: PlannedMessage, heartbeat_ns: int) -> None:
    layout, length = planned.layout, plan.length
    low, high = _limits(layout)
    unavailable = _unavailable_raws(layout)
    no_value = _first_no_value(layout) if plan.is_j1939 else None
    is_odd = layout.conversion.is_float or unavailable or planned.on_change or no_value
    if is_odd or not _is_exact_as_float(layout):
        read = _scaled(layout, length, unavailable, no_value)
        group.odd.append(OddField(planned, read, low, high, heartbeat_ns))
        return
    shift, mask, sign = _bits(layout, length)
    fields = group.big if layout.byte_order == "big_endian" else group.little
    factor, offset = _linear(layout)
    fields.append((planned.entry.id, shift, mask, sign, float(factor), float(offset), low, high))


def _is_exact_as_float(layout: cantools.database.can.Signal) -> bool:
    """Tell whether floats have all digits that the integers of a signal have."""
    factor, offset = _linear(layout)
    largest = (1 << layout.length) * max(1, abs(factor)) + abs(offset)
    return largest < _EXACT


def _bits(layout: cantools.database.can.Signal, length: int) -> tuple[int, int, int]:
    """Give shift, mask and sign bit within the word of a signal's byte order."""
    shift = layout.start
    if layout.byte_order == "big_endian":
        # `start` is the most significant bit; bits count from the right within each byte.
        first = 8 * (layout.start // 8) + 7 - layout.start % 8
        shift = 8 * length - first - layout.length
    is_signed = layout.is_signed and not layout.conversion.is_float
    return shift, (1 << layout.length) - 1, 1 << layout.length - 1 if is_signed else 0


def _linear(layout: cantools.database.can.Signal) -> tuple[float, float]:
    """Give factor and offset with the types with which cantools multiplies."""
    from cantools.database.conversion import BaseConversion

    conversion = layout.conversion
    plain = BaseConversion.factory(conversion.scale, conversion.offset, None, conversion.is_float)
    return plain.scale, plain.offset


def _scaled(
    layout: cantools.database.can.Signal,
    length: int,
    unavailable: frozenset[int] = frozenset(),
    no_value: int | None = None,
) -> Reader:
    """Make what reads one signal; `no_value`: from this raw value on there is none."""
    shift, mask, sign = _bits(layout, length)
    factor, offset = _linear(layout)
    is_big = layout.byte_order == "big_endian"
    if layout.conversion.is_float:
        unpack = struct.Struct(_FLOATS[layout.length]).unpack
        size = layout.length // 8

        def read_float(little: int, big: int) -> float | None:
            raw = (big if is_big else little) >> shift & mask
            number: float = unpack(raw.to_bytes(size, "little"))[0]
            return number * factor + offset

        return read_float

    def read_number(little: int, big: int) -> float | None:
        raw = (big if is_big else little) >> shift & mask
        if raw & sign:
            raw -= mask + 1
        if raw in unavailable or (no_value is not None and raw >= no_value):
            return None
        return raw * factor + offset

    return read_number


def _first_no_value(layout: cantools.database.can.Signal) -> int | None:
    """The first raw value of a signal of J1939 that is an error or "not available" (J1939-71)."""
    if layout.is_signed or layout.conversion.is_float or layout.length == 1:
        return None
    if layout.length % 8 == 0:
        return 0xFE << layout.length - 8
    return (1 << layout.length) - 1


def _limits(layout: cantools.database.can.Signal) -> tuple[float, float]:
    slack = 0.0 if layout.conversion.is_float else abs(layout.conversion.scale) / 2
    low = float("-inf") if layout.minimum is None else layout.minimum - slack
    high = float("inf") if layout.maximum is None else layout.maximum + slack
    if layout.conversion.is_float:  # none of them is a value, whatever the file says
        return max(low, -1.7e308), min(high, 1.7e308)
    return low, high


def _unavailable_raws(layout: cantools.database.can.Signal) -> frozenset[int]:
    choices: Mapping[int, object] = layout.conversion.choices or {}
    raws = {int(raw) for raw, text in choices.items() if _UNAVAILABLE.fullmatch(str(text).strip())}
    if layout.raw_invalid is not None:
        raws.add(int(layout.raw_invalid))
    return frozenset(raws)
