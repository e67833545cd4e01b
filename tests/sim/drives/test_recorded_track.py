"""GPX tracks as recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.drives import Recording, RecordingError, read_recording

HEAD = (
    '<?xml version="1.0" encoding="{encoding}"?>\n<gpx xmlns="http://www.topografix.com/GPX/1/1">'
)


def _point(second: int, speed: str = "", lat: str | None = None) -> str:
    place = lat if lat is not None else f"{49.0 + second * 1e-4:.6f}"
    return (
        f'<trkpt lat="{place}" lon="12.0"><ele>350.5</ele>'
        f"<time>2021-06-30T13:30:{second:02d}Z</time>{speed}</trkpt>"
    )


def _read(tmp_path: Path, body: str, encoding: str = "UTF-8") -> Recording:
    path = tmp_path / "track.gpx"
    path.write_text(HEAD.format(encoding=encoding) + body, encoding="utf-8")
    return read_recording(path)


def test_speed_from_positions(tmp_path: Path) -> None:
    """A track without speeds gives those between its points."""
    body = "<trk><trkseg>" + "".join(map(_point, range(5))) + "</trkseg></trk></gpx>"
    recording = _read(tmp_path, body)
    assert recording.times_s == (0.0, 1.0, 2.0, 3.0, 4.0)
    assert recording.speeds_kph == pytest.approx([40.03] * 5, abs=0.02)
    assert recording.positions is not None
    assert recording.positions[0] == (49.0, 12.0, 350.5)


@pytest.mark.parametrize(
    "speed",
    [
        "<speed>10</speed>",
        '<extensions><x:TrackPointExtension xmlns:x="u"><x:speed>10</x:speed>'
        "</x:TrackPointExtension></extensions>",
    ],
)
def test_speed_from_the_file(tmp_path: Path, speed: str) -> None:
    """GPX 1.0 and the extensions of 1.1 name a speed in m/s."""
    body = "<trk><trkseg>" + _point(0, speed) + _point(1, speed) + "</trkseg></trk></gpx>"
    assert _read(tmp_path, body).speeds_kph == (36.0, 36.0)


def test_odd_points_are_skipped_and_counted(tmp_path: Path) -> None:
    """A point without a time or with a broken latitude does not spoil the track."""
    body = (
        "<trk><trkseg>" + _point(0) + '<trkpt lat="49" lon="12"/>' + _point(1, lat="x")
        + _point(2, lat="91") + _point(3) + "</trkseg></trk></gpx>"
    )  # fmt: skip
    recording = _read(tmp_path, body, encoding="ISO-8859-1")
    assert recording.times_s == (0.0, 3.0)
    assert recording.skipped == 3


def test_a_cut_file_gives_what_came_before(tmp_path: Path) -> None:
    """A logger that lost power leaves an open track, which is still a drive."""
    recording = _read(tmp_path, "<trk><trkseg>" + "".join(map(_point, range(4))) + '<trkpt lat="4')
    assert len(recording.times_s) == 4
    assert recording.skipped == 1


def test_broken_xml_is_refused_with_its_line(tmp_path: Path) -> None:
    """XML without a single point names the line of the mistake."""
    with pytest.raises(RecordingError, match=r"track\.gpx:3: expected well-formed GPX, got"):
        _read(tmp_path, "\n<trk></wrong>")


def test_a_track_without_times_is_refused(tmp_path: Path) -> None:
    """Points alone tell no speed."""
    with pytest.raises(RecordingError, match="track point 1 with"):
        _read(tmp_path, '<trk><trkpt lat="49" lon="12"/><trkpt lat="49.1" lon="12"/></trk></gpx>')


def test_entities_are_refused(tmp_path: Path) -> None:
    """A file that could unfold to gigabytes is not parsed."""
    path = tmp_path / "bomb.gpx"
    path.write_text('<?xml version="1.0"?>\n<!DOCTYPE g [<!ENTITY a "aaaa">]>\n<gpx>&a;</gpx>')
    with pytest.raises(RecordingError, match="an XML entity declaration"):
        read_recording(path)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("<kml><Document/></kml>", "got another format: <kml>"),
        ("<gpx><rte><rtept lat='1' lon='2'/></rte></gpx>", "got no track point"),
    ],
)
def test_what_is_no_track_is_named(tmp_path: Path, text: str, got: str) -> None:
    """Other XML files and routes, which have no times."""
    path = tmp_path / "track.xml"
    path.write_text(text)
    with pytest.raises(RecordingError, match=f"expected a GPX file with a track, {got}"):
        read_recording(path)
