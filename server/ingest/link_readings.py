"""Readings that a link of the gateway brings for remote devices, which do not number them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise

from server.catalogue import by_id
from server.ingest.batch import PLAIN_FIELD_BYTES, PLAIN_RECORD_BYTES, Batch, Checker
from server.ingest.protobuf_readings import finished
from server.readings import Reading
from server.store.body import Column, little_endian


def batch_of(readings: Sequence[Reading], now_ns: int) -> Batch:
    """Give the batch of these readings: the same ones again have the same numbers.

    They count as sent in full, so that they change no ratio of what the device itself compresses.

    Raises:
        Refusal: there are none.
    """
    by_signal: dict[int, list[Reading]] = {}
    for reading in readings:
        by_signal.setdefault(reading.signal, []).append(reading)
    checker = Checker(now_ns)
    place = 0
    for signal, found in sorted(by_signal.items()):
        found.sort(key=lambda reading: reading.time_ns)
        times = [reading.time_ns for reading in found]
        column = Column(
            place,
            signal,
            times[0],
            [later - sooner for sooner, later in pairwise(times)],
            little_endian(array("d", [reading.value for reading in found])),
        )
        known = by_id(signal)
        checker.column(column, known, known.name)
        place += len(found)
    good = checker.good
    sent = PLAIN_RECORD_BYTES * good.longest + PLAIN_FIELD_BYTES * good.readings
    return finished(Batch(0, 0, len(readings), "", good, checker.problems, bytes_sent=sent))
