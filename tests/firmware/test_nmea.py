"""Sentences of the GNSS receiver as integers."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firmware_stubs import nmea, signals
from firmware_stubs.nmea import Receiver

RMC = "GNRMC,081523.00,A,4807.03812,N,01131.00045,W,022.457,084.40,010526,,,A"
GGA = "GNGGA,081523.00,4807.03812,S,01131.00045,E,1,08,0.94,545.4,M,46.9,M,,"
EPOCH_MS = int(datetime.datetime(2026, 5, 1, 8, 15, 23, tzinfo=datetime.UTC).timestamp() * 1000)


def line(body: str) -> bytes:
    """Give a sentence with its checksum."""
    total = 0
    for byte in body.encode():
        total ^= byte
    return f"${body}*{total:02X}\r\n".encode()


def read(*bodies: str) -> list[nmea.Sentence]:
    """Read sentences of one burst."""
    return Receiver().feed(b"".join(line(body) for body in bodies), 5000)


def test_rmc_gives_position_speed_heading_and_the_instant() -> None:
    """Every number is in the sentence's own steps, with the hemisphere's sign."""
    (sentence,) = read(RMC)
    assert sentence.utc_ms == EPOCH_MS
    assert sentence.dated
    assert sentence.tick_ms == 5000
    assert dict(sentence.values) == {
        signals.LAT: 48 * 6_000_000 + 703812,
        signals.LON: -(11 * 6_000_000 + 3100045),
        signals.GPS_SPEED: 22457,
        signals.GPS_HEADING: 8440,
    }


def test_gga_takes_its_date_from_rmc() -> None:
    """GGA alone has no instant; behind an RMC it has the same."""
    assert read(GGA)[0].utc_ms == 0
    gga = read(RMC, GGA)[1]
    assert gga.utc_ms == EPOCH_MS
    assert not gga.dated
    assert dict(gga.values)[signals.LAT] == -(48 * 6_000_000 + 703812)
    assert dict(gga.values)[signals.ALT] == 5454
    assert dict(gga.values)[signals.HDOP] == 94
    assert dict(gga.values)[signals.SATS] == 8


def test_a_gga_that_comes_before_the_first_rmc_of_a_day_has_the_new_day() -> None:
    """Over midnight, time goes on by a second, not back by a day."""
    last = RMC.replace("081523.00", "235959.00")
    first = GGA.replace("081523.00", "000000.00")
    before, after = read(last, first)
    assert after.utc_ms - before.utc_ms == 1000


def test_without_a_fix_there_is_time_and_no_position() -> None:
    """A void RMC with time and date sets the clock only; one without time says nothing."""
    (sentence,) = read("GNRMC,081523.00,V,,,,,,,010526,,,N")
    assert sentence.utc_ms == EPOCH_MS
    assert sentence.values == []
    assert read("GNRMC,,V,,,,,,,,,,N") == []
    assert read("GNGGA,081523.00,,,,,0,00,99.99,,,,,,") == []


@pytest.mark.parametrize(
    ("text", "digits", "value"),
    [
        ("22.457", 3, 22457),
        ("0.4", 3, 400),
        ("7", 2, 700),
        ("-0.5", 1, -5),
        ("545.449", 1, 5454),
        ("545.450", 1, 5455),
        ("0.0049999", 2, 0),
    ],
)
def test_decimals_become_whole_steps(text: str, digits: int, value: int) -> None:
    """Missing digits are zeros, finer ones are rounded."""
    assert nmea.decimal(text, digits) == value


@given(st.integers(1704067200_00, 3471206400_00))
def test_dates_and_times_become_utc(hundredths: int) -> None:
    """The integer calendar agrees with Python's, from 2024 to 2079."""
    when = datetime.datetime.fromtimestamp(hundredths // 100, datetime.UTC)
    day = nmea.midnight_ms(when.strftime("%d%m%y"))
    time = nmea.time_ms(when.strftime("%H%M%S") + f".{hundredths % 100:02d}")
    assert day + time == hundredths * 10


@given(st.lists(st.integers(0, 999)))
def test_sentences_come_whole_however_they_are_cut(cuts: list[int]) -> None:
    """Pieces of any size give the same sentences."""
    stream = line(RMC) + line(GGA) + line(RMC)
    places = sorted({cut % len(stream) for cut in cuts} | {0, len(stream)})
    receiver = Receiver()
    found = []
    for a, b in zip(places, places[1:], strict=False):  # noqa: RUF007
        found += receiver.feed(stream[a:b], 0)
    assert [len(sentence.values) for sentence in found] == [4, 5, 4]
    assert receiver.bad_lines == 0


@given(st.binary(max_size=300))
@example(b"$GNRMC*00\r\n")
@example(b"$GNRMC,1e5,A,,,,,,,010526*55\n")
def test_garbage_is_counted_and_hides_nothing_behind_it(garbage: bytes) -> None:
    """Noise, then a newline, then a sentence: the sentence is read."""
    receiver = Receiver()
    receiver.feed(garbage + b"\n", 0)
    found = receiver.feed(line(RMC), 0)
    assert [sentence.utc_ms for sentence in found] == [EPOCH_MS]


def test_a_line_without_an_end_is_dropped() -> None:
    """A receiver at the wrong baud rate fills no memory."""
    receiver = Receiver()
    for _ in range(100):
        receiver.feed(b"x" * 100, 0)
    assert len(receiver._line) <= nmea.MOST_LINE_BYTES
    assert receiver.bad_lines >= 40


@pytest.mark.parametrize(
    "body",
    [
        RMC.replace("4807.03812", "9107.03812"),
        RMC.replace("4807.03812", "4860.03812"),
        RMC.replace(",N,", ",X,"),
        RMC.replace("081523.00", "251523.00"),
        RMC.replace("010526", "001326"),
        RMC.replace("022.457", "2_2.457"),
        RMC.replace("022.457", "+22.457"),
    ],
)
def test_fields_that_make_no_sense_are_refused(body: str) -> None:
    """The checksum fits, the content does not: the line is counted and gives nothing."""
    receiver = Receiver()
    assert receiver.feed(line(body), 0) == []
    assert receiver.bad_lines == 1
