"""The synthetic sky moves as a real one does."""

from __future__ import annotations

import math
import random

import pytest

from sim.gnss.constellation import Constellation
from sim.gnss.sky import System

UTC_S = 1_760_000_000.0
ALL = tuple(System)


def test_number_in_view_is_that_of_a_real_sky() -> None:
    """Over a day at 50 degrees north 7-14 GPS satellites stand above 2 degrees, 9-12 on average."""
    constellation = Constellation([System.GPS], random.Random(1))
    counts = [
        len(constellation.view(UTC_S + hour * 1800.0, 50.0, 7.0).satellites) for hour in range(48)
    ]
    assert min(counts) >= 6
    assert max(counts) <= 15
    assert 9 <= sum(counts) / len(counts) <= 13


def test_geometry_is_good_under_an_open_sky() -> None:
    """With GPS and GLONASS the HDOP stays between 0.4 and 1.6, the year round, anywhere."""
    for seed in range(6):
        constellation = Constellation([System.GPS, System.GLONASS], random.Random(seed))
        for lat_deg in (-60.0, 0.0, 50.0, 70.0):
            view = constellation.view(UTC_S + seed * 1e6, lat_deg, 100.0)
            assert 0.4 < view.dop.hdop < 1.6


def test_satellites_move_smoothly() -> None:
    """In ten seconds no satellite moves by more than 0.2 degrees over the sky."""
    constellation = Constellation(ALL, random.Random(2))
    before = constellation.view(UTC_S, 50.0, 7.0).satellites
    after = {(s.system, s.svid): s for s in constellation.view(UTC_S + 10.0, 50.0, 7.0).satellites}
    shared = [(s, after[s.system, s.svid]) for s in before if (s.system, s.svid) in after]
    assert len(shared) >= len(before) - 1
    for old, new in shared:
        assert abs(new.elevation_deg - old.elevation_deg) < 0.2
        across_deg = math.remainder(new.azimuth_deg - old.azimuth_deg, 360.0)
        assert abs(across_deg) * math.cos(math.radians(old.elevation_deg)) < 0.2


def test_gps_stands_where_it_stood_a_sidereal_day_ago() -> None:
    """Orbit and earth come round together: the classical check of period and rotation rate."""
    constellation = Constellation([System.GPS], random.Random(3))
    before = constellation.view(UTC_S, 50.0, 7.0).satellites
    after = constellation.view(UTC_S + 86_164.1, 50.0, 7.0).satellites
    for old, new in zip(before, after, strict=True):
        assert (new.system, new.svid) == (old.system, old.svid)
        assert new.elevation_deg == pytest.approx(old.elevation_deg, abs=1.0)


def test_same_seed_same_sky() -> None:
    """The sky depends on the stream and on time, on nothing else."""
    views = [Constellation(ALL, random.Random(7)).view(UTC_S, 50.0, 7.0) for _ in range(2)]
    assert views[0] == views[1]
    assert Constellation(ALL, random.Random(8)).view(UTC_S, 50.0, 7.0) != views[0]


def test_signal_grows_with_elevation() -> None:
    """High satellites are received about 20 dB better than low ones."""
    constellation = Constellation(ALL, random.Random(4))
    seen = [
        s for step in range(20) for s in constellation.view(UTC_S + step * 900, 50, 7).satellites
    ]
    high = [s.snr_dbhz for s in seen if s.elevation_deg > 60 and s.snr_dbhz is not None]
    low = [s.snr_dbhz for s in seen if s.elevation_deg < 15 and s.snr_dbhz is not None]
    assert 12.0 < sum(high) / len(high) - sum(low) / len(low) < 24.0
