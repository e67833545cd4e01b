"""Sentences are written as the chips write them, with and without a position."""

from __future__ import annotations

import pytest

from sim.gnss.acquisition import Stage
from sim.gnss.fields import NS_PER_S
from sim.gnss.profiles import MT3339, SIRF, SIRF_V, UBLOX_M8, ReceiverProfile
from sim.gnss.sentences import SentenceWriter
from sim.gnss.sky import SkyView
from sim.gnss.sky_text import SkyText, write_sky
from sim.gnss.solution import Solution

# 2017-01-10 00:09:41 UTC: the first epoch of the recorded MAX-M8Q.
RECORDED_NS = 1_484_006_981 * NS_PER_S
RECORDED = Solution(
    RECORDED_NS, Stage.POSITION, 264413387, -727885628, 11448, 29, 53, None, (1.0, 1.2, 2.0)
)
SKY = SkyText((), (), "1.01", 1.01, 12, (8, 6))


def _write(
    profile: ReceiverProfile, name: str, solution: Solution, sky: SkyText = SKY
) -> list[str]:
    writer = SentenceWriter(profile, -21.4, RECORDED_NS - 5 * NS_PER_S)
    return [line.decode().strip() for line in writer.write([name], solution, sky)]


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("VTG", "$GNVTG,,T,,M,0.029,N,0.053,K,A*30"),
        ("GGA", "$GNGGA,000941.00,4404.13387,N,12118.85628,W,1,12,1.01,1144.8,M,-21.4,M,,*4D"),
        ("GLL", "$GNGLL,4404.13387,N,12118.85628,W,000941.00,A,A*69"),
        ("ZDA", "$GNZDA,000941.00,10,01,2017,00,00*70"),
    ],
)
def test_the_same_solution_gives_the_recorded_bytes(name: str, recorded: str) -> None:
    """The values of a recorded u-blox epoch come out as that chip wrote them, checksum included."""
    assert _write(UBLOX_M8, name, RECORDED) == [recorded]


def test_rmc_has_the_navigational_status() -> None:
    """RMC is the recorded one plus NMEA 4.1's status V, which is no invalid fix."""
    (line,) = _write(UBLOX_M8, "RMC", RECORDED)
    recorded = "$GNRMC,000941.00,A,4404.13387,N,12118.85628,W,0.029,,100117,,,A"
    assert line.startswith(recorded + ",V*")


def _void(stage: Stage) -> Solution:
    return Solution(RECORDED_NS, stage)


@pytest.mark.parametrize(
    ("profile", "name", "stage", "body"),
    [
        (UBLOX_M8, "RMC", Stage.NOTHING, "GNRMC,,V,,,,,,,,,,N,V"),
        (UBLOX_M8, "RMC", Stage.TIME, "GNRMC,000941.00,V,,,,,,,,,,N,V"),
        (UBLOX_M8, "RMC", Stage.DATE, "GNRMC,000941.00,V,,,,,,,100117,,,N,V"),
        (UBLOX_M8, "GGA", Stage.NOTHING, "GNGGA,,,,,,0,00,99.99,,,,,,"),
        (UBLOX_M8, "VTG", Stage.DATE, "GNVTG,,,,,,,,,N"),
        (UBLOX_M8, "GLL", Stage.TIME, "GNGLL,,,,,000941.00,V,N"),
        (UBLOX_M8, "ZDA", Stage.NOTHING, "GNZDA,,,,,00,00"),
        (UBLOX_M8, "GST", Stage.TIME, "GNGST,000941.00,,,,,,,"),
        (UBLOX_M8, "GBS", Stage.TIME, "GNGBS,000941.00,,,,,,,,,"),
        (SIRF, "RMC", Stage.NOTHING, "GPRMC,,V,,,,,,,,,,N"),
        (SIRF, "GGA", Stage.TIME, "GPGGA,000941.000,,,,,0,00,50.0,,M,0.0,M,,0000"),
        (MT3339, "RMC", Stage.NOTHING, "GPRMC,000005.000,V,,,,,0.00,0.00,060180,,,N"),
        (MT3339, "RMC", Stage.DATE, "GPRMC,000941.000,V,,,,,0.00,0.00,100117,,,N"),
        (MT3339, "GGA", Stage.DATE, "GPGGA,000941.000,,,,,0,0,,,M,,M,,"),
        (MT3339, "VTG", Stage.DATE, "GPVTG,0.00,T,,M,0.00,N,0.00,K,N"),
    ],
)
def test_void(profile: ReceiverProfile, name: str, stage: Stage, body: str) -> None:
    """What is not known is empty; an MTK's clock counts from 1980 until it is."""
    (line,) = _write(profile, name, _void(stage), write_sky(profile, SkyView(()), stage))
    assert line.split("*")[0] == "$" + body


def test_sirf_v_sends_a_gga_per_system() -> None:
    """Two GGA, each with its own number of satellites."""
    assert [line[:6] for line in _write(SIRF_V, "GGA", RECORDED)] == ["$GPGGA", "$GLGGA"]
    counts = [line.split(",")[7] for line in _write(SIRF_V, "GGA", RECORDED)]
    assert counts == ["08", "06"]


def test_gst_and_gbs_have_their_fields() -> None:
    """Error statistics in metres, with the empty ids of NMEA 4.1 at the end of GBS."""
    assert _write(UBLOX_M8, "GST", RECORDED)[0].startswith("$GNGST,000941.00,2.0,,,,1.0,1.2,2.0*")
    assert _write(UBLOX_M8, "GBS", RECORDED)[0].startswith("$GNGBS,000941.00,1.0,1.2,2.0,,,,,,*")
