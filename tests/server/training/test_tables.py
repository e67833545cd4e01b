"""Tables of values as other people's loggers write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.training.drives import DriveError, load

SPEEDS = [10, 10, 11, 12, 12, 13, 15, 15]


def rows(template: str) -> str:
    """One row each half second: {ms} since the start, {s} the second of a minute, {v} the speed."""
    return "".join(
        template.format(ms=500 * i, s=f"{32 + i / 2:06.3f}", comma=f"{i // 2},{i % 2 * 5}", v=v)
        for i, v in enumerate(SPEEDS)
    )


TORQUE = "GPS Time, Device Time, Longitude,speed,Engine RPM(rpm)\n"
TORQUE_ROW = "Tue Mar 05 13:30:32 GMT+01:00 2024,05-Mar-2024 13:30:{s},11.5,{v},-\n"
TABLES = {
    "ISO 8601": "timestamp,speed\n" + rows("2024-03-05T13:30:{s}Z,{v}\n"),
    "ISO with a blank": "Timestamp,speed\n" + rows("2024-03-05 13:30:{s},{v}\n"),
    "epoch in ms": "time,speed\n" + rows("17096454{ms:05d},{v}\n"),
    "unit in the name": "time_ms\tspeed\n" + rows("{ms}\t{v}\n"),
    "unit in words": "Elapsed Time (milliseconds),speed\n" + rows("{ms},{v}\n"),
    "clock in the name": "Elapsed Time (hh:mm:ss),speed\n" + rows("13:30:{s},{v}\n"),
    "date beside time, am and pm": "Date,Time,speed\n" + rows("03/05/2024,01:30:{s} PM,{v}\n"),
    "dots in the date": "Zeit;speed\n" + rows("05.03.2024 13:30:{s};{v}\n"),
    "decimal commas": "Time (s);speed\n" + rows("{comma};{v},0\n"),
    "preamble and units": "#a,b,c\n#d,e,f\nDriver: Ada\n\nTime,speed\ns,km/h\n" + rows("{s},{v}\n"),
    "Torque": TORQUE + rows(TORQUE_ROW),
    "Torque, two starts": TORQUE + rows(TORQUE_ROW).replace("\n", "\n" + TORQUE, 1),
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_values_and_period_come_out_whatever_wrote_them(
    text: str, encoding: str, tmp_path: Path
) -> None:
    """Delimiters, clocks, preambles, rows of units, repeated headings, decimal commas."""
    path = tmp_path / "drive.csv"
    path.write_text(text, encoding)
    drive = load(str(path))
    at = drive.columns.index("speed")
    assert [float(drive.steps[at]) * (row[at] or 0) for row in drive.rows] == SPEEDS
    assert drive.period_ms == 500


def test_what_stands_for_nothing_is_missing(tmp_path: Path) -> None:
    """A dash, NaN and NO DATA are no values and do not make a column of numbers one of texts."""
    path = tmp_path / "drive.csv"
    cells = ["-", "NO DATA", "NaN", "", "1", "2", "n/a", "4"]
    path.write_text("time,x\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells)))
    assert [row[0] for row in load(str(path)).rows] == [None] * 4 + [1, 2, None, 4]


def test_a_run_time_is_a_signal(tmp_path: Path) -> None:
    """Only what tells the row's instant is left out, not every name that speaks of time."""
    path = tmp_path / "drive.csv"
    path.write_text("Time,Run time since engine start (s)\n0.0,7\n0.1,7\n0.2,8\n")
    drive = load(str(path))
    assert drive.columns == ["Run time since engine start (s)"]
    assert drive.period_ms == 100


def test_rows_of_names_and_values_are_refused(tmp_path: Path) -> None:
    """What `telerig export` writes without --frames has no column for each signal."""
    path = tmp_path / "drive.csv"
    path.write_text("time,signal,value\n0,RPM,800\n1,RPM,801\n")
    with pytest.raises(DriveError, match=r"found rows of names and values .*--frames"):
        load(str(path))
