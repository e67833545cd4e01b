"""Frames of a stream: found by time, read while the file grows, readable where it is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rig.record import writer as writer_module
from rig.record.frames import FrameFile
from rig.record.reader import RecordReader
from rig.record.streams import EVENTS, SAMPLES, TRUTH, wire_stream
from rig.record.writer import RecordWriter
from tests.rig.record.conftest import EPOCH_NS, fill, manifest


def every_row(file: FrameFile) -> list[object]:
    return [row for number in range(len(file.frames)) for row in file.rows(number)]


def test_frames_hold_the_rows_of_the_reader(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame after frame, a stream has the rows that the reader gives as a whole."""
    monkeypatch.setattr(writer_module, "CHUNK_ROWS", 7)
    folder = write("run", count=40)
    record = RecordReader(folder)
    for stream in record.streams:
        file = FrameFile(folder, stream)
        file.scan()
        assert every_row(file) == record.rows(stream), stream.name
        assert (file.damage, file.rest_bytes) == ("", 0)
    file = FrameFile(folder, wire_stream("obd"))
    file.scan()
    assert len(file.frames) == 12


@given(start=st.integers(-5, 45), length=st.integers(0, 30))
def test_between_gives_what_a_search_of_all_rows_gives(
    small_frames: Path, start: int, length: int
) -> None:
    """Rows of a span are found whatever frames it begins and ends in."""
    file = FrameFile(small_frames, TRUTH)
    file.scan()
    start_ns = EPOCH_NS + start * 100_000_000
    end_ns = start_ns + length * 100_000_000
    expected = [row for row in RecordReader(small_frames).truth if start_ns <= row[0] < end_ns]
    assert list(file.between(start_ns, end_ns)) == expected


@pytest.fixture(scope="module")
def small_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "CHUNK_ROWS", 7)
        writer = RecordWriter(folder, manifest())
        fill(writer, 40)
        writer.close({})
    return folder


def test_a_growing_file_is_read_from_where_one_stopped(tmp_path: Path) -> None:
    """`scan` finds what was flushed since; half a frame waits for its rest."""
    writer = RecordWriter(tmp_path / "run", manifest())
    file = FrameFile(tmp_path / "run", SAMPLES)
    assert file.scan() == []
    fill(writer, 3)
    writer.flush()
    assert file.scan() == [0]
    assert len(file.rows(0)) == 3
    fill(writer, 2)
    writer.flush()
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:-3])
    assert (file.scan(), file.rest_bytes > 0, file.damage) == ([], True, "")
    file.path.write_bytes(whole)
    assert file.scan() == [1]
    assert len(file.rows(1)) == 2
    writer.close(None)


def test_rows_beside_damage_are_found(small_frames: Path, tmp_path: Path) -> None:
    """A frame that is damaged is left out and told of; those around it are there."""
    stream = TRUTH
    data = (small_frames / stream.file_name).read_bytes()
    file = FrameFile(small_frames, stream)
    file.scan()
    at = file.frames[2]
    middle = at.offset + at.size // 2
    spoilt = data[:middle] + bytes(8) + data[middle + 8 :]
    (tmp_path / stream.file_name).write_bytes(spoilt)
    damaged = FrameFile(tmp_path, stream)
    damaged.scan()
    found = every_row(damaged)
    assert 0 < len(found) < 40
    assert found[-1] == every_row(file)[-1]
    assert damaged.damage.startswith(stream.file_name)


@pytest.mark.parametrize(
    "data", [b"", b"\x28", b"no frame at all, but text", bytes(5000), b"\x28\xb5\x2f\xfd" * 40]
)
def test_what_is_no_stream_ends_in_words(tmp_path: Path, data: bytes) -> None:
    """Whatever stands in the file, nothing is raised, and no row is made up."""
    (tmp_path / EVENTS.file_name).write_bytes(data)
    file = FrameFile(tmp_path, EVENTS)
    file.scan()
    assert every_row(file) == []
    assert bool(file.damage) == (len(data) > 20)


def test_a_file_that_begins_again_is_another_file(tmp_path: Path) -> None:
    """A file that is shorter than before is read anew."""
    packed = [zstandard.compress(b'[%d,"a",{}]\n' % n) for n in range(4)]
    path = tmp_path / EVENTS.file_name
    path.write_bytes(b"".join(packed))
    file = FrameFile(tmp_path, EVENTS)
    assert file.scan() == [0, 1, 2, 3]
    path.write_bytes(packed[3])
    assert file.scan() == [0]
    assert [row.time_ns for row in every_row(file)] == [3]  # type: ignore[attr-defined]
