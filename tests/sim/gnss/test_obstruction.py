"""Tunnels and canyons cover the sky in their windows."""

from __future__ import annotations

import random

import pytest

from sim.gnss.constellation import Constellation
from sim.gnss.errors import GnssError
from sim.gnss.obstruction import Obstructions, Outage, obstruct
from sim.gnss.sky import Satellite, SkyView, System


def test_windows_are_half_open_and_a_tunnel_wins() -> None:
    """An outage counts from its start up to, not including, its end."""
    obstructions = Obstructions()
    obstructions.add(Outage(10.0, 30.0, "canyon"))
    obstructions.add(Outage(15.0, 20.0, "tunnel"))
    kinds = [obstructions.kind_at(t) for t in (9.9, 10.0, 15.0, 19.9, 20.0, 29.9, 30.0)]
    assert kinds == [None, "canyon", "tunnel", "tunnel", "canyon", "canyon", None]


@pytest.mark.parametrize(
    ("start_s", "end_s", "kind", "words"),
    [(5.0, 4.0, "tunnel", "start <= end"), (1.0, 2.0, "bridge", "canyon.*got 'bridge'")],
)
def test_wrong_outages_are_refused(start_s: float, end_s: float, kind: str, words: str) -> None:
    """A wrong outage says what was expected and what came."""
    with pytest.raises(GnssError, match=words):
        Outage(start_s, end_s, kind)  # type: ignore[arg-type]


def test_a_tunnel_leaves_no_signal() -> None:
    """In a tunnel the receiver still knows who should be there, and hears nobody."""
    view = Constellation([System.GPS], random.Random(1)).view(0.0, 50.0, 7.0)
    covered = obstruct(view, "tunnel", 0.0)
    assert len(covered.satellites) == len(view.satellites)
    assert not covered.used


def test_a_canyon_shows_the_street_and_the_zenith() -> None:
    """Low satellites are seen along the street only, and what is left is weaker and worse."""

    def satellite(svid: int, elevation_deg: float, azimuth_deg: float) -> Satellite:
        return Satellite(System.GPS, svid, elevation_deg, azimuth_deg, 40.0)

    view = SkyView(
        (satellite(1, 20, 90), satellite(2, 20, 0), satellite(3, 20, 180), satellite(4, 70, 90))
    )
    covered = obstruct(view, "canyon", course_deg=90.0)
    assert [s.svid for s in covered.used] == [1, 4]
    assert covered.error_factor > 2.0
    assert all((s.snr_dbhz or 0.0) < 40.0 for s in covered.used)
