"""NMEA fields are exact: no 60 in a place of minutes or seconds, no negative zero."""

from __future__ import annotations

import datetime
import functools
import operator
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.gnss.fields import (
    angle,
    checksum,
    cut_to_digits,
    date,
    date_fields,
    decimal,
    position,
    sentence,
    time_of_day,
)

NS = 10**9
DAY_NS = 86_400 * NS


@given(st.binary(max_size=600))
@example(bytes(range(256)) * 3 + b"x")
def test_checksum_is_the_xor_of_all_bytes(body: bytes) -> None:
    """Folding an integer gives what a loop over the bytes gives, at any length."""
    assert checksum(body) == functools.reduce(operator.xor, body, 0)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300))
@example("PSRFTXT," + "A1" * 100)
def test_sentence_carries_its_checksum(body: str) -> None:
    """The written-out fast path and the general one agree, below and above 128 bytes."""
    raw = body.encode()
    assert sentence(body) == b"$" + raw + b"*%02X\r\n" % functools.reduce(operator.xor, raw, 0)


def test_a_known_sentence() -> None:
    """The void sentence of a recorded cold start comes out byte for byte."""
    assert sentence("GPRMC,,V,,,,,,,,,,N") == b"$GPRMC,,V,,,,,,,,,,N*53\r\n"


@pytest.mark.parametrize("digits", [4, 5])
@given(data=st.data())
def test_position_round_trips(digits: int, data: st.DataObject) -> None:
    """Degrees and minutes give back the very integer; minutes stay below 60."""
    per_degree = 60 * 10**digits
    lat = data.draw(st.integers(-90 * per_degree, 90 * per_degree))
    lon = data.draw(st.integers(-180 * per_degree, 180 * per_degree - 1))
    north, north_letter, east, east_letter = position(lat, lon, digits).split(",")
    assert re.fullmatch(rf"\d\d[0-5]\d\.\d{{{digits}}}", north)
    assert re.fullmatch(rf"\d\d\d[0-5]\d\.\d{{{digits}}}", east)
    north_units = int(north[:2]) * per_degree + int(north[2:].replace(".", ""))
    east_units = int(east[:3]) * per_degree + int(east[3:].replace(".", ""))
    assert (north_units if north_letter == "N" else -north_units) == lat
    assert (east_units if east_letter == "E" else -east_units) == lon


def test_minutes_carry_into_degrees() -> None:
    """One step below a full degree prints 59.99999; the next one the degree and no 60."""
    per_degree = 60 * 10**5
    assert angle(50 * per_degree - 1, per_degree, 2, 5) == "4959.99999"
    assert angle(50 * per_degree, per_degree, 2, 5) == "5000.00000"


def test_zero_is_north_and_east() -> None:
    """The null island has no negative zero."""
    assert position(0, 0, 5) == "0000.00000,N,00000.00000,E"


@pytest.mark.parametrize(
    ("units", "digits", "text"),
    [(0, 1, "0.0"), (-5, 1, "-0.5"), (5, 2, "0.05"), (-1234, 1, "-123.4"), (7, 0, "7")],
)
def test_decimal(units: int, digits: int, text: str) -> None:
    """Decimals are padded, signs stand before the whole number, zero has none."""
    assert decimal(units, digits) == text


@given(st.integers(0, 4_102_444_800 * NS), st.sampled_from([2, 3]))
def test_time_and_date_are_those_of_the_calendar(time_ns: int, digits: int) -> None:
    """Time is cut to its digits and date agrees with the standard library, to the year 2100."""
    moment = datetime.datetime.fromtimestamp(time_ns // NS, datetime.UTC)
    text = time_of_day(time_ns, digits)
    assert text[:6] == moment.strftime("%H%M%S")
    assert int(text[7:]) == time_ns % NS // 10 ** (9 - digits)
    assert date(time_ns) == moment.strftime("%d%m%y")
    assert date_fields(time_ns) == moment.strftime("%d,%m,%Y")


def test_the_last_moment_before_midnight_is_not_rounded_up() -> None:
    """23:59:59.999999999 stays on its day; a receiver's clock never runs ahead."""
    last_ns = DAY_NS * 20_000 - 1
    assert time_of_day(last_ns, 2) == "235959.99"
    assert time_of_day(last_ns + 1, 2) == "000000.00"
    assert date(last_ns) != date(last_ns + 1)


def test_leap_day() -> None:
    """2024 has a 29 February, 2025 has none."""
    for year, text in ((2024, "290224"), (2025, "010325")):
        eve = datetime.datetime(year, 2, 28, 23, 59, 59, tzinfo=datetime.UTC)
        assert date(int(eve.timestamp()) * NS + NS) == text


def test_cut_to_digits() -> None:
    """The instant on the wire is the instant cut to hundredths."""
    assert cut_to_digits(1_239_999_999, 2) == 1_230_000_000
