"""Recordings of every kind are told by their content and fail with one clear error."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.drives import RecordingError, read_recording
from sim.vehicle import Trace

CHARS = '0123456789.,;:-/ \n"$*AN<>eE'
CSV = "t_s,speed_kph\n0,0\n1,10\n2,20\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_packed_files_are_unpacked_whatever_their_name(tmp_path: Path) -> None:
    """gzip and xz are told by their first bytes."""
    plain = read_recording(_write(tmp_path / "plain.csv", CSV))
    (tmp_path / "a.csv").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "b.csv").write_bytes(lzma.compress(CSV.encode()))
    for name in ("a.csv", "b.csv"):
        assert read_recording(tmp_path / name).speeds_kph == plain.speeds_kph == (0.0, 10.0, 20.0)


def test_a_recording_is_a_trace(tmp_path: Path) -> None:
    """What was read can be driven as it is."""
    recording = read_recording(str(_write(tmp_path / "drive.csv", CSV)))
    trace = Trace("mine", recording.times_s, recording.speeds_kph)
    assert trace.duration_s == recording.duration_s == 2.0


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error says which file and why."""
    with pytest.raises(RecordingError, match=r"none\.csv: expected a readable file, got No such"):
        read_recording(tmp_path / "none.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder is not a recording."""
    with pytest.raises(RecordingError, match="expected a readable file, got Is a directory"):
        read_recording(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(CSV.encode() * 50, mtime=0)[:60],
        lzma.compress(CSV.encode() * 50)[:60],
        b"\x1f\x8bgarbage",
    ],
    ids=["gzip", "xz", "garbage"],
)
def test_a_cut_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    """A half download is told from a bad drive."""
    (tmp_path / "drive.csv.gz").write_bytes(data)
    with pytest.raises(RecordingError, match="expected an intact gzip or xz file"):
        read_recording(tmp_path / "drive.csv.gz")


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "an empty file"),
        ("\n\n", "an empty file"),
        ("hello world\n", "'hello world'"),
        ("a,b,c\n1,2,3\n", "'a,b,c'"),
        ("\x00\x01\x02\x00,\x00\n", "binary data"),
    ],
)
def test_something_else_is_refused(tmp_path: Path, text: str, got: str) -> None:
    """The error says what was expected and quotes what came."""
    with pytest.raises(RecordingError) as caught:
        read_recording(_write(tmp_path / "drive.csv", text))
    assert "expected CSV with a header line" in str(caught.value)
    assert caught.value.got == got


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    head=st.sampled_from(
        [b"", b"t_s,speed_kph\n", b"Time;Speed (mph)\n", b"<gpx><trkpt ", b"$GPRMC,", b"$GVGNSPOS,",
         b"lat,lon,time\n", b"\x1f\x8b", b"\xfd7zXZ\x00"]
    ),
    body=st.binary(max_size=300) | st.text(CHARS, max_size=300).map(str.encode),
)  # fmt: skip
def test_any_bytes_give_a_recording_or_one_error(tmp_path: Path, head: bytes, body: bytes) -> None:
    """Whatever a file holds, the answer is a drive with rising times or a RecordingError."""
    path = tmp_path / "any"
    path.write_bytes(head + body)
    try:
        recording = read_recording(path)
    except RecordingError:
        return
    Trace("any", recording.times_s, recording.speeds_kph)
    assert recording.times_s[0] == 0.0
    if recording.positions is not None:
        assert len(recording.positions) == len(recording.times_s)
