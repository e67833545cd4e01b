"""CSV recordings: columns by name, units by header, odd rows skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.drives import Recording, RecordingError, read_recording


def _read(tmp_path: Path, text: str) -> Recording:
    path = tmp_path / "drive.csv"
    path.write_text(text, encoding="utf-8")
    return read_recording(path)


@pytest.mark.parametrize(
    ("header", "kph"),
    [
        ("t_s,speed_kph", 10.0),
        ("Time,Speed", 10.0),
        ("time,Vehicle Speed (km/h)", 10.0),
        ("Time (sec),Vehicle Speed (kph)", 10.0),
        ("time_s,speed_mps", 36.0),
        ("Time [s],GPS Speed (Meters/second)", 36.0),
        ("time,speed_mph", 16.09344),
        ("time,Speed (MPH)", 16.09344),
        ("time,ground speed [kn]", 18.52),
        ("Device Time,Speed (OBD)(km/h)", 10.0),
        ('"time","speed_kph"', 10.0),
        ("\ufefftime,speed_kph", 10.0),
    ],
)
def test_units_come_from_the_header(tmp_path: Path, header: str, kph: float) -> None:
    """The header names the unit; without one a speed is in km/h."""
    recording = _read(tmp_path, f"{header}\n0,10\n1,10\n")
    assert recording.speeds_kph == pytest.approx((kph, kph))


@pytest.mark.parametrize(
    ("header", "first", "second"),
    [
        ("time", "5", "6"),
        ("time_ms", "5000", "6000"),
        ("Time (min)", "1", "1.0166667"),
        ("timestamp", "1609459200.5", "1609459201.5"),
        ("timestamp", "1609459200500", "1609459201500"),
        ("timestamp", "1609459200500000000", "1609459201500000000"),
        ("time", "07:16:30.444", "07:16:31.444"),
        ("time", "23:59:59.5", "00:00:00.5"),
        ("time", "11:59:59 AM", "12:00:00 PM"),
        ("datetime", "2021-06-30T13:30:32Z", "2021-06-30T13:30:33Z"),
        ("datetime", "2021-06-30 13:30:32", "2021-06-30 13:30:33"),
        ("datetime", "2021-10-31T02:59:59+02:00", "2021-10-31T02:00:00+01:00"),
        ("Device Time", "30-Jun-2021 13:30:32.123", "30-Jun-2021 13:30:33.123"),
        ("Date Time", "06/30/2021 23:59:59", "07/01/2021 00:00:00"),
        ("Date Time", "30.06.2021 23:59:59", "01.07.2021 00:00:00"),
    ],
)
def test_times_of_every_kind_are_a_second_apart(
    tmp_path: Path, header: str, first: str, second: str
) -> None:
    """Seconds, epochs, times of day past midnight, and dates with zones."""
    recording = _read(tmp_path, f"{header},speed_kph\n{first},10\n{second},20\n")
    assert recording.times_s == pytest.approx((0.0, 1.0), abs=1e-4)


@pytest.mark.parametrize(
    "text",
    [
        "time;speed\n0;10,5\n1;11,5\n",
        "time\tspeed\n0\t10.5\n1\t11.5\n",
        "Logger v2, serial 77\nmade by me\n\ntime,speed\n0,10.5\n1,11.5\n",
        "# my drive\ntime,speed\n# a note\n0,10.5\n1,11.5\n",
        "time,speed,rpm\r\n0,10.5,900\r\n1,11.5,950\r\n",
        "rpm,time,speed\n900,0,10.5\n900,1,11.5\n",
        "time,speed\ns,km/h\n0,10.5\n1,11.5\n",
        "time,rpm,speed\n0,900,10.5\n0.5,910,\n1,,11.5\n",
    ],
)
def test_loggers_write_in_many_ways(tmp_path: Path, text: str) -> None:
    """Delimiters, decimal commas, preambles, comments, rows of units, signals in turns."""
    recording = _read(tmp_path, text)
    assert recording.speeds_kph == (10.5, 11.5)
    assert recording.times_s == (0.0, 1.0)
    assert recording.skipped == 0


def test_decimal_commas_in_times(tmp_path: Path) -> None:
    """Where semicolons part the columns a time has its comma, too."""
    recording = _read(tmp_path, "Zeit (s);Geschwindigkeit (km/h)\n0,0;10,5\n0,5;11,0\n")
    assert recording.times_s == (0.0, 0.5)
    assert recording.speeds_kph == (10.5, 11.0)


def test_rows_of_names_and_values_become_columns(tmp_path: Path) -> None:
    """`telerig export` of a session: the wheels' speed, positions of latitude and longitude."""
    rows = [
        f"2026-01-02T03:04:0{second}.000000Z,{second},{source},{signal},{value},{unit},measured\n"
        for second in range(3)
        for source, signal, value, unit in (
            ("gps", "LAT", 49.0 + second, "°"),
            ("gps", "LON", 12.0, "°"),
            ("gps", "GPS_SPEED", 99, "km/h"),
            ("obd", "RPM", 800, "rpm"),
            ("obd", "SPEED", 10 * second, "km/h"),
        )
    ]
    head = "time,time_ns,source,signal,value,unit,state\n"
    recording = _read(tmp_path, head + "".join(rows))
    assert recording.times_s == (0.0, 1.0, 2.0)
    assert recording.speeds_kph == (0.0, 10.0, 20.0)
    assert recording.positions is not None
    assert [lat for lat, _, _ in recording.positions] == [49.0, 50.0, 51.0]


def test_rows_of_car_scanner(tmp_path: Path) -> None:
    """Seconds of the day past midnight, quotes, a unit and (spelt so) a place in each row."""
    head = '"SECONDS";"PID";"VALUE";"UNITS";"LATITUDE";"LONGTITUDE";\n'
    rows = "".join(
        f'"{second}";"Engine RPM";"800";"rpm";"49.0";"12.{n}";\n'
        f'"{second}";"Vehicle speed";"{10 + n}";"mph";"49.0";"12.{n}";\n'
        for n, second in enumerate(("86398.5", "86399.5", "0.5"))
    )
    recording = _read(tmp_path, head + rows)
    assert recording.times_s == (0.0, 1.0, 2.0)
    assert recording.speeds_kph == pytest.approx([1.609344 * mph for mph in (10, 11, 12)])
    assert recording.positions is not None
    assert [lon for _, lon, _ in recording.positions] == [12.0, 12.1, 12.2]
    assert recording.skipped == 0
    with pytest.raises(RecordingError, match=r"expected a signal that is a speed .* engine rpm"):
        _read(tmp_path, head + rows.replace("Vehicle speed", "Boost"))


def test_a_row_of_units_is_obeyed(tmp_path: Path) -> None:
    """Units below the header count as those in it."""
    recording = _read(tmp_path, "time,speed\nms,m/s\n0,10\n500,20\n")
    assert recording.speeds_kph == (36.0, 72.0)
    assert recording.times_s == (0.0, 0.5)


def test_odd_rows_are_skipped_and_counted(tmp_path: Path) -> None:
    """Garbage, impossible speeds, times that go back and cut rows do not spoil the rest."""
    rows = [
        "0,10",
        "x,11",
        "1,oops",
        "2,9999",
        "3,-5",
        "4",
        "5,inf",
        "6,12",
        "6,13",
        "2,14",
        "7,15",
    ]
    recording = _read(tmp_path, "time,speed\n" + "\n".join(rows) + "\n")
    assert recording.times_s == (0.0, 6.0, 7.0)
    assert recording.speeds_kph == (10.0, 12.0, 15.0)
    assert recording.skipped == 8


def test_one_leap_of_the_clock_does_not_swallow_the_rest(tmp_path: Path) -> None:
    """A single time far ahead is dropped, and the following ones stay."""
    recording = _read(tmp_path, "time,speed\n0,1\n1,2\n99999,3\n2,4\n3,5\n")
    assert recording.times_s == (0.0, 1.0, 2.0, 3.0)
    assert recording.skipped == 1


def test_nothing_usable_is_refused_with_the_first_bad_line(tmp_path: Path) -> None:
    """The error names file, line, what was expected and what came."""
    with pytest.raises(RecordingError) as caught:
        _read(tmp_path, "time,speed\n0,10\nx,y\n")
    error = caught.value
    assert error.path == tmp_path / "drive.csv"
    assert error.line == 3
    assert "at least two samples" in error.expected
    assert "'x'" in error.got
    assert str(error).startswith(f"{error.path}:3: expected ")


def test_speeds_come_from_positions_without_a_speed(tmp_path: Path) -> None:
    """A degree of latitude is 111.2 km: 0.0001 degrees a second are 40 km/h."""
    rows = "\n".join(f"{second},{49.0 + second * 1e-4},12.0,350" for second in range(10))
    recording = _read(tmp_path, f"time,lat,lon,alt\n{rows}\n")
    assert recording.speeds_kph == pytest.approx([40.03] * 10, abs=0.02)
    assert recording.positions is not None
    assert recording.positions[3] == pytest.approx((49.0003, 12.0, 350.0))


def test_positions_are_held_where_they_are_missing(tmp_path: Path) -> None:
    """There is one position per sample: the last known, null island never."""
    recording = _read(
        tmp_path, "time,speed,lat,lon\n0,1,0,0\n1,2,49,12\n2,3,,\n3,4,49.1,12.1\n4,5,0.0,0.0\n"
    )
    assert recording.positions == [
        (49.0, 12.0, 0.0),
        (49.0, 12.0, 0.0),
        (49.0, 12.0, 0.0),
        (49.1, 12.1, 0.0),
        (49.1, 12.1, 0.0),
    ]


def test_the_obd_speed_is_preferred_to_that_of_the_gps(tmp_path: Path) -> None:
    """Where a file has both, the car's own speed counts."""
    recording = _read(tmp_path, "Time,GpsSpeed,Speed\n0,1,10\n1,1,10\n")
    assert recording.speeds_kph == (10.0, 10.0)
