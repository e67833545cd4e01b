"""The door of the pipeline: deliveries that never enter it, or two times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from server.catalogue import by_name
from server.pipeline import Pipeline
from server.readings import Reading

from .patching import around

SECOND_NS = 1_000_000_000
FIRST_GPS_SIGNAL = by_name("LAT").id  # OBD signals have smaller ids


def obd_reading_not_accepted() -> None:
    """One OBD reading in fifty never enters the pipeline."""
    _refuse_offers(lambda reading: reading.signal < FIRST_GPS_SIGNAL, each=50)


def obd_reading_rarely_not_accepted() -> None:
    """One OBD reading in 150 never enters the pipeline."""
    _refuse_offers(lambda reading: reading.signal < FIRST_GPS_SIGNAL, each=150)


def epoch_not_accepted() -> None:
    """One GPS epoch in twenty never enters the pipeline."""
    _refuse_offers(lambda reading: reading.signal >= FIRST_GPS_SIGNAL, each=20)


def one_epoch_not_accepted() -> None:
    """One single GPS epoch never enters the pipeline."""
    numbers = itertools.count(1)

    @around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        if readings[0].signal < FIRST_GPS_SIGNAL or next(numbers) != 20:
            original(pipeline, readings)


def batch_not_accepted() -> None:
    """What came in one half second, and in no other, never enters the pipeline."""
    start_ns: list[int] = []

    def is_in_that_half_second(reading: Reading) -> bool:
        if not start_ns:
            start_ns.append(reading.received_ns + 20 * SECOND_NS)
        return 0 <= reading.received_ns - start_ns[0] < SECOND_NS // 2

    _refuse_offers(is_in_that_half_second, each=1)


def _refuse_offers(concerns: Callable[[Reading], bool], each: int) -> None:
    numbers = itertools.count(1)

    @around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        if not concerns(readings[0]) or next(numbers) % each:
            original(pipeline, readings)


def batch_accepted_twice() -> None:
    """One delivery in fifty enters the pipeline two times."""
    numbers = itertools.count(1)

    @around(Pipeline, "offer")
    def offer(original: Any, pipeline: Pipeline, readings: Sequence[Reading]) -> None:
        original(pipeline, readings)
        if next(numbers) % 50 == 0:
            original(pipeline, readings)
