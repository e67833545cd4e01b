"""GSA and GSV tell the sky in groups of twelve and four."""

from __future__ import annotations

import pynmea2
import pytest

from sim.gnss.acquisition import Stage
from sim.gnss.profiles import MT3339, SIRF_V, UBLOX_M8, UBLOX_M9
from sim.gnss.sky import Satellite, SkyView, System
from sim.gnss.sky_text import write_sky


def _sky(system: System, count: int) -> list[Satellite]:
    return [Satellite(system, n + 1, 10.0 + n * 4, n * 50.0 % 360, 30.0 + n) for n in range(count)]


def _view(**counts: int) -> SkyView:
    return SkyView(tuple(s for name, count in counts.items() for s in _sky(System[name], count)))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 12, 16])
def test_gsv_lists_every_satellite_once(count: int) -> None:
    """Groups of four, the last one short, no group at all still says that there are none."""
    text = write_sky(UBLOX_M8, _view(GPS=count), Stage.POSITION)
    groups = [line for line in text.gsv if line.startswith(b"$GPGSV")]
    assert len(groups) == max(1, -(-count // 4))
    numbers = []
    for index, line in enumerate(groups):
        fields = line.decode().split("*")[0].split(",")
        assert fields[1:4] == [str(len(groups)), str(index + 1), f"{count:02d}"]
        assert fields[-1] == "1"  # signal id of L1 C/A
        numbers += fields[4:-1:4]
    assert numbers == [f"{n + 1:02d}" for n in range(count)]


def test_glonass_numbers_and_system_ids() -> None:
    """GLONASS slot 1 is 65; GSA of NMEA 4.1 ends with the system, GSV of Galileo with signal 7."""
    text = write_sky(UBLOX_M9, _view(GPS=6, GLONASS=5, GALILEO=5, BEIDOU=3), Stage.POSITION)
    assert [line.decode().split("*")[0][-2:] for line in text.gsa] == [",1", ",2", ",3", ",4"]
    assert b",65," in text.gsa[1]
    assert any(line.startswith(b"$GAGSV") and b",7*" in line for line in text.gsv)
    assert text.satellites == 19


def test_older_chips_have_no_ids() -> None:
    """GSA of an MT3339 has 17 fields, GSV no signal id, GGA at most its own number."""
    text = write_sky(MT3339, _view(GPS=9), Stage.POSITION)
    assert len(text.gsa[0].split(b",")) == 18
    assert pynmea2.parse(text.gsv[-1].decode().strip(), check=True).num_sv_in_view == "09"


def test_at_most_twelve_in_gsa_and_gga() -> None:
    """An M8 with 20 satellites says 12, as NMEA before 4.1 allows and recorded ones do."""
    text = write_sky(UBLOX_M8, _view(GPS=14, GLONASS=6), Stage.POSITION)
    assert text.satellites == 12
    assert text.per_system == (12, 6)


def test_without_position_no_satellite_is_used() -> None:
    """GSA mode 1, DOP 99.99; before the time is known nothing is listed in view."""
    view = _view(GPS=8, GLONASS=4)
    text = write_sky(UBLOX_M8, view, Stage.TIME)
    assert text.gsa[0].startswith(b"$GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99,1*")
    assert (text.hdop, text.satellites) == ("99.99", 0)
    assert b",08,01," in text.gsv[0]
    assert write_sky(UBLOX_M8, view, Stage.NOTHING).gsv[0].startswith(b"$GPGSV,1,1,00,1*")


def test_two_gga_of_sirf_v_count_their_own() -> None:
    """SiRFstarV says per system how many it uses; `satellites` is the first GGA's number."""
    text = write_sky(SIRF_V, _view(GPS=7, GLONASS=3), Stage.POSITION)
    assert text.per_system == (7, 3)
    assert text.satellites == 7


def test_values_stay_in_their_fields() -> None:
    """Azimuth 359.9 prints 359, a signal over 99 prints 99, an untracked one nothing."""
    view = SkyView(
        (
            Satellite(System.GPS, 1, 89.9, 359.9, 140.0),
            Satellite(System.GPS, 2, 5.0, 360.0, None),
        )
    )
    line = write_sky(MT3339, view, Stage.POSITION).gsv[0].decode()
    assert "01,89,359,99,02,05,000,*" in line
