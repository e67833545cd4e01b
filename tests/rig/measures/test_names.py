"""The names of measures: found, unknown, listed."""

from __future__ import annotations

import pytest

from rig.measures.names import MEASURE_NAMES, all_names, find_measure, link_of
from rig.scenario.limits import dimension_of


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("obd.latency.p95", "ms"),
        ("gps.latency.stored.max", "ms"),
        ("obd.age.p50", "s"),
        ("gps.counter.bad_checksums", ""),
        ("readings.lost", ""),
        ("gps.position_error.p95", "m"),
        ("ingest.throughput", "/s"),
    ],
)
def test_a_known_name_has_its_unit(name: str, unit: str) -> None:
    """A family's member is found with the family's unit."""
    entry = find_measure(name)
    assert entry is not None
    assert entry.unit == unit


@pytest.mark.parametrize(
    "name",
    ["", "latency", "obd.latency", "obd.latency.p42", "lan.rate", "obd.counter.", "obdXrate"],
)
def test_an_unknown_name_is_not_found(name: str) -> None:
    """Nothing is found by likeness."""
    assert find_measure(name) is None


def test_every_listed_name_is_found_once() -> None:
    """Families neither overlap nor miss their own names."""
    names = all_names()
    assert len(names) == len(set(names))
    for name in names:
        assert [entry for entry in MEASURE_NAMES if entry.matches(name)] == [find_measure(name)]


def test_every_measure_has_a_unit_that_limits_can_be_written_in() -> None:
    """A measure without a dimension could have no limit."""
    for entry in MEASURE_NAMES:
        assert dimension_of(entry.unit).parse(dimension_of(entry.unit).example) is not None


def test_a_name_begins_with_its_link() -> None:
    """Names of the run have none."""
    assert link_of("gps.rate") == "gps"
    assert link_of("readings.lost") is None
