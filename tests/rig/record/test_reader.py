from __future__ import annotations

import contextlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rig.record.errors import RecordError
from rig.record.reader import RecordReader
from rig.record.streams import TRUTH


def test_a_folder_without_a_record_is_named(tmp_path):
    """The message says which file was looked for."""
    with pytest.raises(RecordError, match=r"run\.json: expected a run's manifest"):
        RecordReader(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"scenario": 1}', "\x00\xff"])
def test_a_broken_manifest_is_refused(tmp_path, text):
    """Whatever stands in run.json, the answer is one clear line."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RecordError, match=r"run\.json"):
        RecordReader(tmp_path)


def test_a_missing_stream_is_empty(write):
    """A record of which a file was removed can still be read."""
    folder = write("a")
    (folder / TRUTH.file_name).unlink()
    assert RecordReader(folder).truth == []


def test_an_altered_stream_is_found_by_its_hash(write):
    """The trace of the files is no longer the trace of the manifest."""
    folder = write("a")
    path = folder / TRUTH.file_name
    rows = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    path.write_bytes(zstandard.ZstdCompressor().compress(rows.replace(b"812.25", b"812.26")))
    record = RecordReader(folder)
    assert record.trace_sha256() != record.manifest.trace_sha256


def test_a_row_of_another_form_is_named(write):
    """The message says where the form is broken."""
    folder = write("a")
    path = folder / TRUTH.file_name
    path.write_bytes(zstandard.ZstdCompressor().compress(b'[1,2.0,3.0]\n{"a":1}\n'))
    with pytest.raises(RecordError, match="expected rows of truth"):
        _ = RecordReader(folder).truth


def test_a_frame_cut_off_ends_the_stream(write):
    """What the last write could not finish is left out."""
    folder = write("a", count=5000)
    path = folder / TRUTH.file_name
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    rows = RecordReader(folder).truth
    assert 4096 <= len(rows) < 5000


@given(data=st.binary(max_size=200))
def test_random_bytes_never_crash_it(tmp_path_factory, data):
    """Damage is a RecordError or fewer rows."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "run.json").write_text(
        '{"scenario": "s", "seed": 1, "mode": "virtual", "epoch_ns": 0}'
    )
    (folder / TRUTH.file_name).write_bytes(data)
    with contextlib.suppress(RecordError):
        assert isinstance(RecordReader(folder).truth, list)
