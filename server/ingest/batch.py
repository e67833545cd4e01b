"""A batch of readings as the gateway takes it, and the checks that every reading passes.

Checks go column by column over whole arrays; only in a column in which something is wrong are
the readings looked at one by one, and the good ones are kept.
"""

from __future__ import annotations

import hashlib
import math
import struct
from array import array
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from server.catalogue import Signal
from server.ingest.limits import AHEAD_NS, YEAR_2000_NS
from server.ingest.problems import Problem, Problems
from server.store.appends import Piece
from server.store.body import Column, encode_columns, floats, little_endian

PLAIN_RECORD_BYTES = 7
PLAIN_FIELD_BYTES = 5
"""A plain record, which compression is measured against: a protobuf message with the instant in
milliseconds and a float for each signal."""
_HASH_MASK = 2**62 - 1
_NEVER_NS = 2**63 - 1
_float = struct.Struct("<d").unpack


class Batch(msgspec.Struct):
    """Readings of one request.

    Attributes:
        boot: of the device; 0 where it counts none.
        seq: number of the first reading, from 1.
        size: numbers that the batch uses; readings that were refused keep theirs.
        vin: vehicle, where the request names it.
        good: the good readings.
        problems: the others.
        bytes_sent: what the device sent.
        suppressed: of the readings, those that were left out on the way and restored here.
    """

    boot: int
    seq: int
    size: int
    vin: str
    good: Good
    problems: Problems
    bytes_sent: int
    suppressed: int = 0

    def piece(self, received_ns: int) -> Piece:
        """Make the row that is stored."""
        good = self.good
        readings = good.readings
        return Piece(
            self.seq,
            self.seq + self.size - 1,
            good.time_min_ns,
            good.time_max_ns,
            encode_columns(received_ns, good.columns),
            readings,
            readings - self.suppressed,
            self.suppressed,
            # Signals that were read together would share a record.
            PLAIN_RECORD_BYTES * good.longest + PLAIN_FIELD_BYTES * readings,
            self.bytes_sent,
            [
                (column.signal, last_ns, column.values[-8:], column.state)
                for column, last_ns in zip(good.columns, good.lasts_ns, strict=True)
            ],
        )


def content_number(columns: Sequence[Column]) -> int:
    """Give a number that stands for these readings, for devices that do not count.

    The same readings again have the same number; two different ones meet once in 2^62.
    """
    hashed = hashlib.blake2b(digest_size=8)
    for column in columns:
        hashed.update(b"%d %d %a " % (column.signal, column.first_time_ns, column.steps_ns))
        hashed.update(column.values)
    return (int.from_bytes(hashed.digest(), "big") & _HASH_MASK) + 1


class Good:
    """Columns in which nothing is wrong, ascending by place.

    Attributes:
        columns: of one reading or more.
        readings: in all of them.
        longest: readings of the longest.
        time_min_ns: earliest instant.
        time_max_ns: latest instant.
        lasts_ns: of each column the instant of its last reading.
    """

    __slots__ = ("columns", "lasts_ns", "longest", "readings", "time_max_ns", "time_min_ns")

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.lasts_ns: list[int] = []
        self.readings = 0
        self.longest = 0
        self.time_min_ns = _NEVER_NS
        self.time_max_ns = 0

    def add(self, column: Column, size: int, last_ns: int) -> None:
        """Take a column, whose last reading was at `last_ns`."""
        self.columns.append(column)
        self.lasts_ns.append(last_ns)
        self.readings += size
        if size > self.longest:
            self.longest = size
        if column.first_time_ns < self.time_min_ns:
            self.time_min_ns = column.first_time_ns
        if last_ns > self.time_max_ns:
            self.time_max_ns = last_ns


class Checker:
    """Checks the readings of one request against the catalogue and the gateway's clock.

    Args:
        now_ns: the gateway's clock.
        problems: where what is wrong is counted; default a list of its own.

    Attributes:
        good: what passed.
        problems: what did not.
    """

    __slots__ = ("_latest_ns", "good", "problems")

    def __init__(self, now_ns: int, problems: Problems | None = None) -> None:
        self.good = Good()
        self.problems = Problems() if problems is None else problems
        self._latest_ns = now_ns + AHEAD_NS

    def column(self, column: Column, signal: Signal, where: str) -> None:
        """Check a column: it is good as it is, or parts of it are."""
        first_ns = column.first_time_ns
        steps = column.steps_ns
        if len(column.values) == 8:
            (value,) = _float(column.values)
            if (
                signal.minimum <= value <= signal.maximum
                and YEAR_2000_NS <= first_ns <= self._latest_ns
            ):
                self.good.add(column, 1, first_ns)
                return
        values = floats(column.values)
        size = len(values)
        last_ns = first_ns + (steps[0] * (size - 1) if len(steps) == 1 else sum(steps))
        if (
            first_ns >= YEAR_2000_NS
            and last_ns <= self._latest_ns
            and (not steps or min(steps) >= 0)
            and signal.minimum <= min(values)
            and max(values) <= signal.maximum
            # Infinities are out of every range; NaN is not below or above anything.
            and not math.isnan(sum(values))
        ):
            self.good.add(column, size, last_ns)
        else:
            self._good_parts(column, values, signal, where)

    def single(self, place: int, signal: Signal, time_ns: int, value: float, where: str) -> None:
        """Check a reading by itself."""
        problem = self._problem(signal, time_ns, value)
        if problem is None:
            values = little_endian(array("d", (value,)))
            self.good.add(Column(place, signal.id, time_ns, [], values), 1, time_ns)
        else:
            self.problems.add(msgspec.structs.replace(problem, where=where + problem.where))

    def _good_parts(self, column: Column, values: array[float], signal: Signal, where: str) -> None:
        latest_ns = 0
        begin: int | None = None
        times = column.times_ns
        for index, (time_ns, value) in enumerate(zip(times, values, strict=True)):
            problem = self._problem(signal, time_ns, value)
            if problem is None and time_ns < latest_ns:
                expected = "an instant not before the one of the reading before"
                problem = Problem(expected, f"{latest_ns - time_ns} ns before it", "time", "time")
            if problem is None:
                latest_ns = time_ns
                begin = index if begin is None else begin
                continue
            if begin is not None:
                self._part(column, times, begin, index)
                begin = None
            place = f"{where}[{index}].{problem.where}"
            self.problems.add(msgspec.structs.replace(problem, where=place))
        if begin is not None:
            self._part(column, times, begin, len(values))

    def _part(self, column: Column, times: Sequence[int], begin: int, end: int) -> None:
        part = Column(
            column.place + begin,
            column.signal,
            times[begin],
            [later - sooner for sooner, later in pairwise(times[begin:end])],
            column.values[8 * begin : 8 * end],
            column.state,
        )
        self.good.add(part, end - begin, times[end - 1])

    def _problem(self, signal: Signal, time_ns: int, value: float) -> Problem | None:
        """Tell what is wrong with a reading, None where nothing is."""
        if not signal.minimum <= value <= signal.maximum:
            expected = f"{signal.minimum:g} to {signal.maximum:g} {signal.unit}".rstrip()
            reason = "value" if math.isfinite(value) else "not a number"
            return Problem(f"{expected} ({signal.name})", repr(value), "value", reason)
        if not YEAR_2000_NS <= time_ns <= self._latest_ns:
            expected = "an instant from the year 2000 to one hour ahead of now"
            reason = "past" if time_ns < YEAR_2000_NS else "future"
            return Problem(expected, f"{time_ns} ns", "time", reason)
        return None
