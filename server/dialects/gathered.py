"""Readings of a request that has no numbers: gathered, checked, and given the number of what they
say, so that the same request again changes nothing and another one at the same instant is kept."""

from __future__ import annotations

import re
from array import array
from itertools import pairwise

from server.answers import Refusal
from server.catalogue import Signal, by_id
from server.ingest.batch import Batch, Checker
from server.ingest.limits import BATCH_READINGS
from server.ingest.problems import Problem, Problems
from server.ingest.protobuf_readings import finished, too_many
from server.store.body import Column, little_endian

NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,3})?", re.ASCII)
_ODD_NUMBERS = frozenset({"infinity", "-infinity", "+infinity", "inf", "-inf", "nan", "-", ""})


class Gathered:
    """Readings and what is wrong with others.

    Attributes:
        problems: what was left out.
    """

    def __init__(self) -> None:
        self.problems = Problems()
        self._by_signal: dict[int, list[tuple[int, float]]] = {}
        self._count = 0

    def add(self, signal: int, time_ns: int, value: float) -> None:
        """Take a reading; whether it is in its range is looked at later.

        Raises:
            Refusal: 413, more than one request may have.
        """
        self._count += 1
        if self._count > BATCH_READINGS:
            raise too_many()
        self._by_signal.setdefault(signal, []).append((time_ns, value))

    def text(self, signal: int, time_ns: int, text: str, where: str, factor: float = 1.0) -> None:
        """Take a reading whose value is a text; one that is no number is left out and counted."""
        if NUMBER.fullmatch(text):
            self.add(signal, time_ns, float(text) * factor)
        else:
            self.no_number(text, where)

    def no_number(self, found: str, where: str) -> None:
        """Count a value that is none."""
        is_odd = found.strip().lower() in _ODD_NUMBERS
        reason = "not a number" if is_odd else "value"
        self.problems.add(Problem("a number", repr(found[:60]), where, reason))

    def leave_out(self, expected: str, found: str, where: str, reason: str) -> None:
        """Count something that is left out."""
        self.problems.add(Problem(expected, found, where, reason))

    def batch(self, now_ns: int, bytes_sent: int) -> Batch | None:
        """Give the batch; None where there is no reading at all, and nothing was left out."""
        if not self._count:
            return None
        checker = Checker(now_ns, self.problems)
        place = 0
        for signal_id, found in sorted(self._by_signal.items()):
            signal: Signal = by_id(signal_id)
            found.sort(key=lambda reading: reading[0])
            times = [time_ns for time_ns, _ in found]
            column = Column(
                place,
                signal_id,
                times[0],
                [later - sooner for sooner, later in pairwise(times)],
                little_endian(array("d", [value for _, value in found])),
            )
            checker.column(column, signal, signal.name)
            place += len(found)
        batch = Batch(0, 0, self._count, "", checker.good, checker.problems, bytes_sent)
        return finished(batch) if checker.good.columns else batch


def not_the_form(where: str, expected: str, found: str) -> Refusal:
    """Make the refusal of a request that is none of this dialect at all."""
    return Refusal(400, where, expected, found[:100])
