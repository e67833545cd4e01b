"""Dilution of precision follows from geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gnss.dop import NO_GEOMETRY, dop, dop_shares


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


@given(st.lists(DIRECTIONS, min_size=4, max_size=12))
def test_shares_are_those_of_the_inverse(directions: list[tuple[float, float]]) -> None:
    """North, east and time are the roots of the diagonal of (G^T G)^-1, as numpy inverts it."""
    if dop(directions).pdop > 20.0:
        assert len(dop_shares(directions)) == 3
        return
    elevation, azimuth = np.radians(np.array(directions)).T
    flat = np.cos(elevation)
    geometry = np.stack(
        [flat * np.sin(azimuth), flat * np.cos(azimuth), np.sin(elevation), np.ones(len(flat))]
    ).T
    east, north, _, time = np.sqrt(np.diag(np.linalg.inv(geometry.T @ geometry)))
    assert dop_shares(directions) == pytest.approx((north, east, time), rel=1e-6)
    assert np.hypot(north, east) == pytest.approx(dop(directions).hdop, rel=1e-6)


def test_no_geometry_has_no_shares() -> None:
    """Three satellites are too few."""
    assert dop_shares([(45.0, 0.0), (45.0, 120.0), (45.0, 240.0)]) == (99.99, 99.99, 99.99)
