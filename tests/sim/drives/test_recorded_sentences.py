"""NMEA and GENIVI logs as recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.drives import Recording, RecordingError, read_recording
from sim.drives.nmea import checksum, degrees, parse_sentence, time_of_day_s


def _sentence(body: str) -> str:
    return f"${body}*{checksum(body):02X}"


def _rmc(clock: str, knots: str = "10.0", lat: str = "4901.5940", *, status: str = "A") -> str:
    return _sentence(f"GPRMC,{clock},{status},{lat},N,01203.9163,E,{knots},131.9,110410,1.6,E,A")


def _gga(clock: str, altitude: str = "336.7", lat: str = "4901.5940", fix: str = "1") -> str:
    return _sentence(f"GPGGA,{clock},{lat},N,01203.9163,E,{fix},07,1.0,{altitude},M,46.6,M,,")


def _read(tmp_path: Path, *lines: str) -> Recording:
    path = tmp_path / "drive.nmea"
    path.write_text("\r\n".join(lines) + "\r\n", encoding="latin-1")
    return read_recording(path)


def test_rmc_gives_speed_and_gga_altitude(tmp_path: Path) -> None:
    """Knots become km/h; position from RMC, altitude from GGA, in either order."""
    recording = _read(
        tmp_path, _rmc("165744.00"), _gga("165744.00"), _rmc("165745.50", "20.0"), "# note"
    )
    assert recording.times_s == (0.0, 1.5)
    assert recording.speeds_kph == pytest.approx((18.52, 37.04))
    assert recording.positions == [pytest.approx((49.02656667, 12.06527167, 336.7), abs=1e-7)] * 2


def test_a_published_sentence_checks() -> None:
    """The checksum is that of a real receiver's sentence."""
    line = "$GPRMC,165744,A,4901.5940,N,01203.9163,E,0.0,131.9,110410,1.6,E,A*1F"
    fields = parse_sentence(f"12:00:00.1 > {line}\r")
    assert fields is not None
    assert fields[:3] == ["GPRMC", "165744", "A"]
    assert parse_sentence(line.replace("4901", "4902")) is None
    assert parse_sentence(line[:-3]) is None


def test_bad_and_void_sentences_are_counted(tmp_path: Path) -> None:
    """Wrong checksums, cut lines and fixes that are none are skipped and counted."""
    wrong = _rmc("165745")[:-2] + "00"
    recording = _read(
        tmp_path, _rmc("165744"), wrong, _rmc("165746", status="V"), _rmc("165747")[:40],
        _sentence("GPRMC,165748,A"), _rmc("165749"),
    )  # fmt: skip
    assert recording.times_s == (0.0, 5.0)
    assert recording.skipped == 4


def test_a_drive_past_midnight_goes_on(tmp_path: Path) -> None:
    """The date of RMC carries the clock past midnight."""
    after = _sentence("GNRMC,000000.00,A,4901.5940,N,01203.9163,E,11.0,131.9,120410,,,A,V")
    assert _read(tmp_path, _rmc("235959.00"), after).times_s == (0.0, 1.0)


def test_gga_alone_gives_speed_from_positions(tmp_path: Path) -> None:
    """Without RMC the speed is that between the positions; epochs without a fix do not count."""
    lines = [_gga(f"2359{58 + s}" if s < 2 else "000000", lat=f"4901.{s}000") for s in range(3)]
    recording = _read(tmp_path, _gga("235957", fix="0"), *lines)
    assert recording.times_s == (0.0, 1.0, 2.0)
    assert recording.speeds_kph == pytest.approx([667.2 * 0.6] * 3, rel=0.001)


def test_a_log_without_a_fix_is_refused(tmp_path: Path) -> None:
    """A cold start alone is no drive, and the error says so."""
    with pytest.raises(RecordingError, match="RMC without a fix"):
        _read(tmp_path, *(_rmc(f"16574{digit}", status="V") for digit in range(5)))


def test_genivi_logs(tmp_path: Path) -> None:
    """Position lines of a GENIVI log: milliseconds, degrees, m/s; others are passed over."""
    line = "7860,0,$GVGNSPOS,{ms},49.0247292,12.0567650, {alt}, 381.9, {v},9999.0,  0.00"
    recording = _read(
        tmp_path,
        "#START",
        "7010,0,$GVSNSACC,7008, 0.2394, 0.5375,10.8212,  7.2,0X0000000F",
        "7860,0,$GVGNSPOS,7800,49.0247292,12.0567650,   0.0,   0.0, 0.2,9999.0",
        line.format(ms=7810, alt=335.8, v=10.0),
        line.format(ms=8808, alt=336.7, v=20.0),
        "9000,0,$GVGNSPOS,9800,x,y,z,0,0",
        "9000,0,$GVGNSPOS,98",
    )
    assert recording.times_s == pytest.approx((0.0, 0.998))
    assert recording.speeds_kph == pytest.approx((36.0, 72.0))
    assert recording.skipped == 3
    assert recording.positions is not None
    assert recording.positions[0] == (49.0247292, 12.056765, 335.8)


@given(st.text(max_size=80))
def test_any_text_is_a_sentence_or_none(text: str) -> None:
    """The sentence parser never fails, and what it takes has a right checksum."""
    fields = parse_sentence(text)
    assert fields is None or isinstance(fields, list)


@given(st.text("$ABCGPRMV0123456789,.-", max_size=60).filter(lambda text: "$" not in text))
def test_a_sentence_with_its_checksum_is_taken(body: str) -> None:
    """Any body with the right checksum comes back as its fields."""
    assert parse_sentence(_sentence(body)) == body.split(",")


@given(st.text(max_size=12), st.text(max_size=2))
def test_fields_never_crash(text: str, side: str) -> None:
    """Coordinates and times that are none give None."""
    value = degrees(text, side)
    assert value is None or -1e7 < value < 1e7 or value is not None
    clock = time_of_day_s(text)
    assert clock is None or 0.0 <= clock < 86_402.0


@given(st.integers(0, 89), st.floats(0.0, 59.999), st.sampled_from("NS"))
def test_degrees_come_back(degree: int, minute: float, side: str) -> None:
    """ddmm.mmmm is degrees and minutes, south negative."""
    value = degrees(f"{degree:02d}{minute:07.4f}", side)
    if f"{minute:07.4f}" != "60.0000":
        sign = 1 if side == "N" else -1
        assert value == pytest.approx(sign * (degree + minute / 60.0), abs=1e-5)
