"""Readings out of segments, which keep no numbers: figures are those of readings that have them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest

from rig.measures.measures import Measures
from rig.record.streams import Stored
from tests.rig.measures.conftest import RPM, SPEED, at

Bench = Any
MS = 1_000_000


def in_segment(row: Stored) -> Stored:
    """The same reading as a segment gives it back."""
    time_ns = row.time_ns // MS * MS
    return row._replace(seq=0, received_ns=0, written_ns=0, time_ns=time_ns)


def compact(bench: Bench, count: int) -> None:
    """Let the oldest rows stand in segments, by signal and instant."""
    oldest = sorted(map(in_segment, bench.rows[:count]), key=lambda row: (row.signal, row.time_ns))
    bench.rows[:] = [*oldest, *bench.rows[count:]]


def drive(bench: Bench) -> None:
    """Two signals with values of their own, of which some come up again; each commit is heard."""
    for number in range(20):
        time_s = 0.5 + number * 0.9004003
        for signal, name, value in ((RPM, "RPM", 800.0 + number % 3), (SPEED, "SPEED", 50.0)):
            bench.sample(time_s, "obd", name, value, value)
            bench.reading(signal, value, measured_s=time_s, received_s=time_s + 0.03)
        bench.writer.stored_at(77, bench.seq, at(time_s + 0.25))


def value(measures: Measures, name: str) -> float | None:
    found = measures.get(name)
    return None if found is None else found.value


def figures(measures: Measures, without: Collection[str] = ()) -> dict[str, float]:
    return {
        name: found.value
        for name, found in measures.all().items()
        if not name.startswith(("store.", *without))
    }


@pytest.mark.parametrize("count", [7, 40])
def test_figures_are_those_of_the_hot_log(bench: Callable[..., Bench], count: int) -> None:
    """Loss, coverage, fidelity and the latencies are the same, wherever readings stand."""
    before, after = bench(), bench()
    for one in (before, after):
        drive(one)
    compact(after, count)
    hot, compacted = before.measures(), after.measures()
    rounded = ("obd.time_error",)  # by the millisecond that segments keep
    assert figures(compacted, rounded) == figures(hot, rounded)
    assert value(compacted, "obd.latency.stored.p50") == pytest.approx(250.0)
    assert value(compacted, "obd.time_error.max") == pytest.approx(1.0, abs=0.7)
    assert (value(hot, "store.compacted"), value(compacted, "store.compacted")) == (0, count)


@pytest.mark.parametrize("place", [0, 5, 39])
def test_a_reading_that_compaction_lost(bench: Callable[..., Bench], place: int) -> None:
    """It was published, and stands nowhere."""
    one = bench()
    drive(one)
    compact(one, 40)
    del one.rows[place]
    measures = one.measures()
    assert value(measures, "readings.lost") == 1
    assert value(measures, "readings.doubled") == 0


def test_a_reading_that_compaction_doubled(bench: Callable[..., Bench]) -> None:
    """It stands twice in segments, or in a segment and in the hot log."""
    for count, place in ((40, 11), (10, 15)):
        one = bench()
        drive(one)
        twice = in_segment(one.rows[place])
        compact(one, count)
        one.rows.insert(0, twice)
        measures = one.measures()
        assert value(measures, "readings.doubled") == 1
        assert value(measures, "readings.lost") == 0
        assert value(measures, "readings.unpublished") == 0


def test_a_value_that_compaction_changed(bench: Callable[..., Bench]) -> None:
    """What was published is lost, and what stands there nobody published."""
    one = bench()
    drive(one)
    compact(one, 40)
    one.rows[3] = one.rows[3]._replace(value=801.5)
    measures = one.measures()
    assert value(measures, "readings.lost") == 1
    assert value(measures, "readings.unpublished") == 1
    assert value(measures, "obd.fidelity.max") > 0


def test_a_reading_that_no_client_saw(bench: Callable[..., Bench]) -> None:
    """It came before the first client: it may be any number that nobody saw, and has no latency."""
    for is_lost in (False, True):
        one = bench()
        one.seq = 1
        if not is_lost:
            early = Stored("car-1", 1, RPM, at(0.1), 799.0, at(0.13), 0, at(0.3))
            one.rows.append(early)
        drive(one)
        compact(one, len(one.rows))
        measures = one.measures()
        assert value(measures, "readings.lost") == is_lost
        assert value(measures, "readings.unpublished") == 0
        assert value(measures, "obd.latency.max") == pytest.approx(30.0)


def test_equal_readings_of_one_millisecond_are_not_doubled(bench: Callable[..., Bench]) -> None:
    """As many as were published are right."""
    one = bench()
    for time_s in (1.0001, 1.0002, 1.0003):
        one.reading(RPM, 800.0, measured_s=time_s, received_s=time_s)
    compact(one, 3)
    measures = one.measures()
    assert (value(measures, "readings.lost"), value(measures, "readings.doubled")) == (0, 0)


def test_only_loss_and_nothing_stored(bench: Callable[..., Bench]) -> None:
    """A store of which nothing is left has lost what was published."""
    one = bench()
    drive(one)
    one.rows.clear()
    assert value(one.measures(), "readings.lost") == 40
