"""Each trap of pynmea2 and of real receivers is closed."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.links.nmea_lines import checksum
from server.links.nmea_sentence import (
    NS_PER_DAY,
    NS_PER_S,
    Sentence,
    SentenceError,
    read_date,
    read_sentence,
    read_time,
)

RMC = "GNRMC,171926.00,A,4404.14063,N,12118.85478,W,10.0,84.4,180325,,,A"
GGA = "GNGGA,171926.00,4404.14063,N,12118.85478,W,1,12,0.91,1147.2,M,-21.3,M,,"


def sentence(body: str) -> Sentence:
    """Read `body` with its checksum."""
    text = body.encode()
    found = read_sentence(b"$%s*%02X" % (text, checksum(text)))
    assert found is not None
    return found


def test_rmc_is_read_in_units() -> None:
    """Position in signed degrees, speed in km/h, course, date and time of day."""
    rmc = sentence(RMC)
    assert rmc.kind == "RMC"
    assert rmc.time_of_day_ns == (17 * 3600 + 19 * 60 + 26) * NS_PER_S
    assert rmc.date == datetime.date(2025, 3, 18)
    assert rmc.fix is True
    assert rmc.lat_deg == pytest.approx(44 + 4.14063 / 60)
    assert rmc.lon_deg == pytest.approx(-(121 + 18.85478 / 60))
    assert rmc.speed_kph == pytest.approx(18.52)
    assert rmc.heading_deg == 84.4


def test_gga_is_read_as_numbers() -> None:
    """Satellites and dilution are numbers, though pynmea2 gives strings."""
    gga = sentence(GGA)
    assert (gga.alt_m, gga.hdop, gga.satellites, gga.fix) == (1147.2, 0.91, 12, True)


def test_nav_status_v_of_a_valid_fix_is_a_fix() -> None:
    """NMEA 4.1 u-blox fixes end in navigational status V; pynmea2 calls 23 % of fixes invalid."""
    assert sentence("GNRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091222,,,A,V").fix


@pytest.mark.parametrize("mode", ["N", "E", "M", "S"])
def test_a_mode_that_is_no_measurement_is_no_fix(mode: str) -> None:
    """No fix, dead reckoning, manual and simulator positions are not measured."""
    assert sentence(RMC[:-1] + mode).fix is False


@pytest.mark.parametrize("quality", ["0", "6", "7", "8", "", "x"])
def test_a_quality_that_is_no_measurement_is_no_fix(quality: str) -> None:
    """GGA quality 0, 6, 7, 8 or unreadable is no measured position."""
    assert sentence(GGA.replace(",W,1,", f",W,{quality},")).fix is False


def test_status_v_is_no_fix() -> None:
    """A void RMC is no fix even if it repeats the last position."""
    assert sentence(RMC.replace(",A,4404", ",V,4404")).fix is False


def test_no_position_is_none_and_not_null_island() -> None:
    """Empty fields are None where pynmea2 says latitude and longitude 0.0."""
    void = sentence("GPRMC,,V,,,,,,,,,,N")
    assert (void.lat_deg, void.lon_deg, void.time_of_day_ns, void.date) == (None,) * 4


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        ("0000.00000,N", "00000.00000,E"),
        ("4404.14063,", "12118.85478,W"),
        ("4404.14063,N", ",W"),
        ("9104.14063,N", "12118.85478,W"),
        ("4404.14063,N", "18118.85478,W"),
        ("4475.14063,N", "12118.85478,W"),
        ("4404.1x063,N", "12118.85478,W"),
        ("4404,N", "12118,W"),
        ("4404.14063,Q", "12118.85478,W"),
    ],
)
def test_an_impossible_position_is_none(lat: str, lon: str) -> None:
    """Null island, a lost hemisphere, 91 degrees, 75 minutes and text are no positions."""
    found = sentence(f"GNRMC,171926.00,A,{lat},{lon},0.0,,180325,,,A")
    assert (found.lat_deg, found.lon_deg) == (None, None)


def test_fields_that_do_not_convert_are_none() -> None:
    """Speed `xx`, course `nan` and a dilution of 99.99 do not come out as text or numbers."""
    rmc = sentence("GNRMC,171926.00,A,4404.14063,N,12118.85478,W,xx,nan,180325,,,A")
    assert (rmc.speed_kph, rmc.heading_deg) == (None, None)
    gga = sentence("GNGGA,171926.00,4404.14063,N,12118.85478,W,1,1e,99.99,inf,M,,M,,")
    assert (gga.satellites, gga.hdop, gga.alt_m) == (None, None, None)


def test_altitude_in_feet_is_not_taken_for_metres() -> None:
    """An altitude whose unit is not M is left out."""
    assert sentence(GGA.replace("1147.2,M", "1147.2,F")).alt_m is None


def test_course_360_is_0() -> None:
    """A course of 360 degrees is 0; one beyond is left out."""
    assert sentence(RMC.replace("84.4", "360.0")).heading_deg == 0.0
    assert sentence(RMC.replace("84.4", "400.0")).heading_deg is None


def test_a_leap_second_is_a_time() -> None:
    """23:59:60 follows 23:59:59; pynmea2 returns it as a string."""
    assert read_time("235960.25") == NS_PER_DAY + NS_PER_S // 4


@pytest.mark.parametrize(
    "text", ["240000.00", "126000.00", "120060.00", "1200", "12000a", "-10000"]
)
def test_an_impossible_time_is_refused(text: str) -> None:
    """No 24 o'clock, no minute 60, no leap second at noon."""
    with pytest.raises(SentenceError, match="expected a time hhmmss"):
        read_time(text)


@pytest.mark.parametrize("text", ["000000", "290226", "180", "1803251", "1803x5"])
def test_an_impossible_date_is_refused(text: str) -> None:
    """Dates that pynmea2 returns as strings are errors."""
    with pytest.raises(SentenceError, match=r"expected a (calendar )?date"):
        read_date(text)


def test_two_digit_years_of_the_last_century_are_old() -> None:
    """A GPS clock that was never set says 06-01-80: 1980, not 2080."""
    assert read_date("060180") == datetime.date(1980, 1, 6)
    assert read_date("220899") == datetime.date(1999, 8, 22)
    assert read_date("180325") == datetime.date(2025, 3, 18)


def test_a_fraction_is_read_exactly() -> None:
    """pynmea2 makes 289999 microseconds of .29; time is read as digits."""
    assert read_time("000000.29") == 290_000_000
    assert read_time("000001.123456789") == NS_PER_S + 123_456_789


def test_satellites_in_view_are_not_read() -> None:
    """GSV is skipped: its NMEA 4.10 signal id would come out as a phantom satellite."""
    assert read_sentence(b"$GPGSV,1,1,01,23,50,120,41,1*50") is None


def test_gns_vtg_and_zda_are_read() -> None:
    """The kinds that some receivers send instead of GGA and RMC."""
    gns = sentence("GNGNS,014035.00,4332.69262,S,17235.48549,E,RN,13,0.9,25.63,11.24,,")
    assert (gns.fix, gns.satellites, gns.alt_m) == (True, 13, 25.63)
    assert gns.lat_deg == pytest.approx(-43.544877)
    assert sentence("GNGNS,014035.00,,,,,NN,00,99.9,,,,").fix is False
    vtg = sentence("GNVTG,54.7,T,34.4,M,5.5,N,10.2,K,A")
    assert (vtg.speed_kph, vtg.heading_deg, vtg.time_of_day_ns) == (10.2, 54.7, None)
    assert sentence("GPZDA,202640.000,13,04,2025,,").date == datetime.date(2025, 4, 13)
    assert sentence("GPZDA,202640.000,,,,,").date is None


def test_a_foreign_sentence_of_a_known_name_is_an_error_not_a_crash() -> None:
    """Text that is no talker sentence is refused; a proprietary one with such letters is
    skipped."""
    with pytest.raises(SentenceError, match="expected an NMEA sentence"):
        read_sentence(b"$G RMC,1*%02X" % checksum(b"G RMC,1"))
    assert read_sentence(b"$PGRMC,A*%02X" % checksum(b"PGRMC,A")) is None


fields = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "",
                "A",
                "V",
                "N",
                "E",
                "S",
                "W",
                "1",
                "0",
                "171926.00",
                "180325",
                "4404.1",
                "1e9",
                "-5",
            ]
        ),
        st.text(
            st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="$*,"),
            max_size=12,
        ),
    ),
    max_size=16,
)


@given(st.sampled_from(["GPRMC", "GNGGA", "GLGNS", "GPVTG", "GNZDA"]), fields)
def test_random_fields_raise_nothing_but_sentence_error(kind: str, values: list[str]) -> None:
    """Any fields are read, or refused in one way; numbers are finite and in range."""
    try:
        found = sentence(",".join([kind, *values]))
    except SentenceError:
        return
    for name, limit in (("lat_deg", 90), ("lon_deg", 180), ("heading_deg", 360)):
        value = getattr(found, name)
        assert value is None or (isinstance(value, float) and abs(value) <= limit)
    for name in ("alt_m", "speed_kph", "hdop"):
        value = getattr(found, name)
        assert value is None or (isinstance(value, float) and abs(value) < float("inf"))
