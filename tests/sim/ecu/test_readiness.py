"""Readiness of the emission monitors."""

from __future__ import annotations

from sim.ecu.readiness import RUN_S_BY_BIT, SUPPORTED, readiness


def test_never_cleared_is_ready() -> None:
    """A car that was never cleared has run every monitor."""
    assert readiness(None) == bytes((0x07, SUPPORTED, 0x00))


def test_after_a_clear_monitors_complete_one_by_one() -> None:
    """After a clear all monitors are incomplete, and complete in the order of their run times."""
    assert readiness(0.0)[2] == SUPPORTED
    left = [readiness(run_s)[2].bit_count() for run_s in sorted(RUN_S_BY_BIT.values())]
    assert left == [4, 3, 2, 1, 0]
