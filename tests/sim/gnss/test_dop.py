"""Dilution of precision follows from geometry."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gnss.dop import NO_GEOMETRY, dop


def test_textbook_geometry() -> None:
    """Three at the horizon 120 degrees apart and one overhead: HDOP 2/sqrt(3), VDOP 2/sqrt(3)."""
    value = dop([(0.0, 0.0), (0.0, 120.0), (0.0, 240.0), (90.0, 0.0)])
    assert value.hdop == pytest.approx(2 / math.sqrt(3))
    assert value.vdop == pytest.approx(2 / math.sqrt(3))
    assert value.pdop == pytest.approx(math.hypot(value.hdop, value.vdop))


@pytest.mark.parametrize("directions", [[], [(45.0, 0.0)] * 3, [(45.0, 10.0)] * 8])
def test_no_geometry(directions: list[tuple[float, float]]) -> None:
    """Too few satellites, or all in one direction, give 99.99."""
    assert dop(directions) == NO_GEOMETRY


DIRECTIONS = st.tuples(st.floats(5.0, 90.0), st.floats(0.0, 360.0))


@given(st.lists(DIRECTIONS, min_size=4, max_size=30), DIRECTIONS)
def test_one_more_satellite_never_hurts(
    directions: list[tuple[float, float]], more: tuple[float, float]
) -> None:
    """Adding a satellite does not raise any DOP, and all stay in range."""
    before, after = dop(directions), dop([*directions, more])
    assert after.pdop <= before.pdop * (1 + 1e-6)
    assert 0.0 < after.hdop <= 99.99
    assert 0.0 < after.vdop <= 99.99
