"""On-board test results."""

from __future__ import annotations

import pytest

from sim.ecu.bitmap import is_bitmap
from sim.ecu.monitors import ENGINE_TESTS, MonitorTest


def _signed(test: MonitorTest, data: bytes) -> int:
    return int.from_bytes(data, "big", signed=test.scaling >= 0x80)


@pytest.mark.parametrize("test", ENGINE_TESTS, ids=lambda test: f"{test.mid:02X}-{test.tid:02X}")
def test_sound_car_is_within_limits(test: MonitorTest) -> None:
    """Each test of a sound car passes; with its trouble code stored it fails."""
    assert not is_bitmap(test.mid)
    for failed in (False, True) if test.codes else (False,):
        data = test.encode(failed)
        value, low, high = (_signed(test, data[start : start + 2]) for start in (3, 5, 7))
        passes = low <= value <= high
        # Misfire counts have no limit of their own (J1979: maximum FFFF); they only rise.
        limited = test.tid not in (0x0B, 0x0C)
        assert passes is (not failed or not limited)


def test_not_run_reads_zeros() -> None:
    """A test that has not run since the clear shows zeros for value and limits."""
    test = ENGINE_TESTS[0]
    assert test.encode(False, has_run=False) == bytes((test.mid, test.tid, test.scaling)) + bytes(6)
