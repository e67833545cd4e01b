"""Rows, snapshots, positions and their order, without a database."""

from __future__ import annotations

import csv
import io
import json
import math
import xml.etree.ElementTree as ET
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue import by_name
from server.export.choice import chosen, split
from server.export.frames import Snapshots
from server.export.gpx import Gpx, decimal, xml_text
from server.export.instants import IsoText
from server.export.job import Format, Job, Packing, Subject, What
from server.export.kml import PLACE_POINTS, Kml
from server.export.slices import slices
from server.export.text import SignalCsv, SignalJson, csv_field
from server.export.track import GAP_NS, Point, Track
from server.history.wanted import Column, rows_of
from server.readings import State
from tests.server.export.conftest import START_NS, column

RPM, SPEED = by_name("RPM").id, by_name("SPEED").id


def snapshots(
    columns: list[Column], period_ms: int, hold_s: float = 10
) -> list[tuple[float, list]]:
    """Snapshots of RPM and SPEED, with their instants in seconds since START_NS."""
    made = Snapshots([RPM, SPEED], period_ms, hold_s)
    frames = [*made.take(columns), *made.rest()]
    return [((at_ns - START_NS) / 1e9, values) for at_ns, values in frames]


def test_a_snapshot_has_the_newest_values() -> None:
    """A value is shown until the next one, and no longer than it is held."""
    columns = [column("RPM", [0.2, 1.2, 1.4], [1, 2, 3]), column("SPEED", [0.5], [50])]
    assert snapshots(columns, 1000, hold_s=0.9) == [(1.0, [1, 50]), (2.0, [3, None])]
    assert snapshots(columns, 0) == [
        (0.2, [1, None]),
        (0.5, [1, 50]),
        (1.2, [2, 50]),
        (1.4, [3, 50]),
    ]


def test_a_gap_has_no_snapshots() -> None:
    """Nothing is written for a time in which nothing was read, however long."""
    year_s = 365 * 86_400.0
    made = snapshots([column("RPM", [0.0, year_s], [1, 2])], 1000, hold_s=3)
    assert [at for at, _ in made] == [0, 1, 2, 3, year_s]


def test_a_lost_value_is_not_shown() -> None:
    """A value that the device has lost, and one that is no number, end what was shown."""
    lost = bytes((State.MEASURED, State.LOST))
    assert snapshots([column("RPM", [0.0, 1.0], [1, 9], lost)], 1000) == [(0.0, [1, None])]
    assert snapshots([column("RPM", [0.0, 1.0], [1, math.nan])], 1000) == [(0.0, [1, None])]


@given(
    st.lists(st.integers(0, 2000), max_size=80),
    st.lists(st.integers(0, 2000), max_size=80),
    st.integers(1, 9),
)
def test_slices_are_in_order_and_whole(first: list[int], second: list[int], most: int) -> None:
    """Cut columns have the same rows, in time order over all pieces, and few in each."""
    columns = [
        Column("d", 1, signal, array("q", sorted(times)), array("d", times), bytes(len(times)))
        for signal, times in ((RPM, first), (SPEED, second))
    ]
    pieces = list(slices(columns, most))
    rows = [row for piece in pieces for row in rows_of(piece)]
    assert [row[0] for row in rows] == sorted(first + second)
    assert sorted(rows) == sorted(rows_of(columns))
    for piece in pieces:
        times = {time_ns for part in piece for time_ns in part.times_ns}
        assert sum(map(len, piece)) <= most or len(times) == 1


def test_csv_and_json_say_the_same() -> None:
    """What is no number is empty, null in JSON; a prediction is told by its state."""
    columns = [
        column("RPM", [0.0, 0.1, 0.2], [1.5, math.nan, 1e300], bytes((0, 3, 2))),
        column("COOLANT_TEMP", [0.05], [-40]),
    ]
    text, document = SignalCsv(), SignalJson(Subject("esp-1"))
    rows = list(csv.DictReader(io.StringIO((text.begin() + text.rows(columns)).decode())))
    parts = [
        document.begin(),
        document.rows(columns[:1]),
        document.rows([]),
        document.rows(columns[1:]),
    ]
    content = json.loads(b"".join(parts) + document.end())
    assert [row["value"] for row in rows] == ["1.5", "-40.0", "", "1e+300"]
    assert [row["state"] for row in rows] == ["measured", "measured", "lost", "held"]
    assert rows[1]["unit"] == "°C"
    assert [reading["value"] for reading in content["readings"]] == [1.5, None, 1e300, -40.0]
    assert content["readings"][3]["unit"] == "°C"


def test_names_that_spreadsheets_would_compute() -> None:
    """A field that begins like a formula is made text; commas and quotes are quoted."""
    assert csv_field("=1+1") == "'=1+1"
    assert csv_field('a,"b"') == '"a,""b"""'


def test_instants_as_text() -> None:
    """Microseconds are written always, so that all rows have one form."""
    iso = IsoText()
    assert iso(START_NS) == "2026-01-02T03:04:05.000000Z"
    assert iso(START_NS + 1_999) == "2026-01-02T03:04:05.000001Z"
    assert iso(0) == "1970-01-01T00:00:00.000000Z"


def track(*columns: Column) -> list[Point]:
    """The positions of columns."""
    made = Track()
    return [*made.take(columns), *made.rest()]


def test_a_position_needs_both_halves() -> None:
    """Latitude and longitude of one instant, or nearly one, are a position; others are none."""
    points = track(
        column("LAT", [0, 1, 5], [49, 49.1, 49.5]),
        column("LON", [0, 1.2, 9], [12, 12.1, 12.9]),
        column("SPEED", [0], [36]),
    )
    found = [((p.time_ns - START_NS) / 1e9, p.lat_deg, p.lon_deg) for p in points]
    assert found == [(0, 49, 12), (1.2, 49.1, 12.1)]
    assert points[0].speed_mps == 10
    assert points[0].is_first
    assert not points[1].is_first


def test_no_fix_is_no_position() -> None:
    """0, 0 and lost values are left out; a gap begins a new segment."""
    gap_s = GAP_NS / 1e9 + 1
    points = track(
        column("LAT", [0, 1, 2, gap_s + 2], [0, 49, 48, 50], bytes((0, 0, 3, 0))),
        column("LON", [0, 1, 2, gap_s + 2], [0, 12, 12, 12]),
    )
    assert [p.lat_deg for p in points] == [49, 50]
    assert [p.is_first for p in points] == [True, True]


_GPX = "{http://www.topografix.com/GPX/1/1}"
_ORDER = ["ele", "time", "sat", "hdop", "extensions"]  # of the schema's wptType, as far as used


def test_gpx_keeps_to_its_schema() -> None:
    """Elements are in the schema's order, numbers without exponents, longitude below 180."""
    writer = Gpx(Subject("esp-1", session=3, name="A & B <\x07>", opened_ns=START_NS))
    points = [
        Point(START_NS, 1e-7, 180.0, 3e-8, 1.0, 360.0, 0.9, 7, True),
        Point(START_NS, -1e-12, -180.0),
        Point(START_NS, 5, 6, is_first=True),
    ]
    root = ET.fromstring(writer.begin() + writer.rows(points) + writer.end())
    assert root.findtext(f"{_GPX}trk/{_GPX}name") == "A & B <>"
    assert len(root.findall(f"{_GPX}trk/{_GPX}trkseg")) == 2
    found = list(root.iter(f"{_GPX}trkpt"))
    assert [child.tag.removeprefix(_GPX) for child in found[0]] == _ORDER
    assert found[0].attrib == {"lat": "0.0000001", "lon": "-180"}
    assert found[1].attrib["lat"] == "0"


def test_kml_holds_a_bounded_piece() -> None:
    """A long track becomes several placemarks, each beginning where the one before ends."""
    writer = Kml(Subject("esp-1"))
    points = [Point(START_NS + i, 49 + i / 1e6, 12.0) for i in range(PLACE_POINTS + 10)]
    root = ET.fromstring(writer.begin() + writer.rows(points) + writer.end())
    gx = "{http://www.google.com/kml/ext/2.2}"
    pieces = [
        [coord.text for coord in place.iter(f"{gx}coord")] for place in root.iter(f"{gx}Track")
    ]
    assert [len(piece) for piece in pieces] == [PLACE_POINTS, 11]
    assert pieces[0][-1] == pieces[1][0]


@given(st.floats(-1e6, 1e6), st.text())
def test_numbers_and_texts_are_xml(number: float, text: str) -> None:
    """Whatever it is, XML can be read again."""
    assert float(decimal(number)) == pytest.approx(number, abs=1e-9)
    assert "e" not in decimal(number)
    ET.fromstring(f"<a>{xml_text(text)}</a>")


def test_filters() -> None:
    """Names, paths, ids and words of older systems, in whatever case; the filters are all met."""
    assert chosen([], [], []) is None
    assert chosen(["gps"], ["speed"], []) == {by_name("GPS_SPEED").id}
    assert chosen([], ["Speed"], []) == {SPEED, by_name("GPS_SPEED").id}
    assert chosen([], ["SPEED"], []) == {SPEED}
    assert chosen(["obd"], [], ["rpm", "Vehicle.Speed", "5"]) == {RPM, SPEED, 5}
    assert chosen(["obd:010C"], [], []) == {RPM}
    assert split(["a, b", "c", ""]) == ["a", "b", "c"]


def test_file_names() -> None:
    """A name tells device, session, begin and content, and is safe on any system."""
    subject = Subject("car-1", session=12, name="../Über/Nacht: 1", opened_ns=START_NS)
    job = Job("postgresql://a:secret@b/c", subject, What.FRAMES, Format.CSV, Packing.ZSTD)
    assert job.file_name == ("telerig_car-1_session-12_ber-Nacht-1_20260102T030405Z_frames.csv.zst")
    assert "secret" not in repr(job)
