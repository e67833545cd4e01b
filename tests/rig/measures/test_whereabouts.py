"""Where a limit on single values was broken: by name of the phase, from the record alone."""

from __future__ import annotations

from rig.judge.limits import Limit, judge
from rig.judge.whereabouts import whereabouts
from rig.record.reader import RecordReader

RPM = 12


def where(bench, limit: Limit) -> str:
    measures = bench.measures()
    (verdict,) = judge([limit], measures, mode="virtual")
    return whereabouts(RecordReader(bench.writer.folder), measures, verdict)


def test_the_first_missing_value_is_named(bench):
    """Two are missing, the first one 2 s into the second phase."""
    b = bench()
    b.poll(RPM, [1, 11])
    b.sample(12.0, "obd", "RPM", 800, 800)
    b.sample(13.0, "obd", "RPM", 800, 800)
    limit = Limit("obd.missing", "", equals=0)
    assert where(b, limit) == "first at hard+2.0 s"


def test_nothing_is_named_where_nothing_is_missing(bench):
    """Every value was stored."""
    b = bench()
    b.poll(RPM, [1, 11])
    assert where(b, Limit("obd.missing", "", equals=0)) == ""


def test_the_worst_instant_is_named(bench):
    """The reading that is a second early, not the one that is 40 ms late."""
    b = bench()
    b.sample(1.0, "obd", "RPM", 800, 800)
    b.reading(RPM, 800, measured_s=1.04, received_s=1.05)
    b.sample(13.0, "obd", "RPM", 800, 800)
    b.reading(RPM, 800, measured_s=12.0, received_s=13.05)
    limit = Limit("obd.time_error.max", "ms", max=12)
    assert where(b, limit) == "worst at hard+3.0 s"
