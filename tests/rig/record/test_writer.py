from __future__ import annotations

import errno
import json

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from rig.record.errors import RecordError
from rig.record.reader import RecordReader
from rig.record.streams import TRUTH, wire_stream
from rig.record.writer import CHUNK_ROWS, RecordWriter

EPOCH_NS = 1_700_000_000_000_000_000
MANIFEST = {"scenario": "s", "seed": 1, "mode": "virtual", "epoch_ns": EPOCH_NS}
# Of `write("a")` with its twenty rows. It may change only with the record's format, and must be the
# same on every Python that is supported.
KNOWN_TRACE = "d24d50b0d4d2e381b9e52039a698c4c9c3d69b0fc7bd716d57582fc2ed406133"


def test_what_is_written_is_read_back(write):
    """Every stream comes back as it went in, bytes included."""
    record = RecordReader(write("a"))
    assert record.finished
    assert record.links == ["gps", "obd"]
    assert record.truth[2] == [EPOCH_NS + 200_000_000, 812.25, 0.2]
    assert record.samples[0][2:] == ("RPM", 812.35, 812.25)
    reply = record.wire("obd")[1]
    assert (reply.direction, reply.data) == (">", b"7E8 04 41 0C 0C B1 \r\r>\x00\xff")
    assert record.published[0].seq == 1
    assert record.published[0].arrived_ns == EPOCH_NS + 50_000_000
    assert record.stored[-1].device == "car-1"
    assert record.stored[-1].written_ns == EPOCH_NS + 1_960_000_000
    assert record.stored_at[0].boot == 5
    assert record.events[0].detail == {"name": "drop", "phase": "start"}
    assert record.log_lines == ["a line"]
    assert record.manifest.result == {"sim_s": 2.0, "wall_s": 0.1}
    assert record.wire("mesh") == []


def test_the_trace_is_the_same_wherever_it_is_written(write):
    """The hash depends on the rows alone: not on the folder, the boot, or the Python."""
    first, second = (RecordReader(write(name, boot=boot)) for name, boot in (("a", 1), ("b", 2)))
    assert first.manifest.trace_sha256 == second.manifest.trace_sha256 == KNOWN_TRACE
    assert first.trace_sha256() == KNOWN_TRACE


def test_any_changed_row_changes_the_trace(write):
    """One value that differs in its last digit is another trace."""
    assert RecordReader(write("a", rpm=812.26)).manifest.trace_sha256 != KNOWN_TRACE


def test_bytes_of_two_links_are_not_taken_for_each_other(tmp_path):
    """The same bytes on another link are another trace."""
    hashes = set()
    for link in ("obd", "gps"):
        writer = RecordWriter(tmp_path / link, MANIFEST)
        writer.wire(link, EPOCH_NS, True, b"x")
        hashes.add(writer.close({}))
    assert len(hashes) == 2


def test_rows_are_canonical_json(tmp_path):
    """Integers stay integers, floats are shortest, and what is no number becomes null."""
    writer = RecordWriter(tmp_path / "a", MANIFEST | {"truth_columns": ["x", "y", "z"]})
    writer.truth(EPOCH_NS, [0.1 + 0.2, 5, float("nan")])
    writer.close({})
    data = (tmp_path / "a" / TRUTH.file_name).read_bytes()
    assert zstandard.ZstdDecompressor().decompress(data) == (
        b"[1700000000000000000,0.30000000000000004,5,null]\n"
    )


def test_a_killed_run_leaves_its_full_chunks(tmp_path):
    """What was flushed before the end of the process can be read; the run counts as unfinished."""
    writer = RecordWriter(tmp_path / "a", MANIFEST)
    for i in range(CHUNK_ROWS + 10):
        writer.wire("obd", EPOCH_NS + i, True, b"x")
    for file in writer._files.values():
        file._file.flush()
    record = RecordReader(tmp_path / "a")
    assert len(record.wire("obd")) == CHUNK_ROWS
    assert not record.finished
    writer.close()


def test_an_exception_closes_the_record_unfinished(tmp_path):
    """A run that raised has its rows, but no trace."""

    def run():
        with RecordWriter(tmp_path / "a", MANIFEST) as writer:
            writer.wire("obd", EPOCH_NS, True, b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    record = RecordReader(tmp_path / "a")
    assert len(record.wire("obd")) == 1
    assert not record.finished


def test_closing_twice_changes_nothing(write, tmp_path):
    """The second close gives the same trace."""
    writer = RecordWriter(tmp_path / "x", MANIFEST)
    assert writer.close({"sim_s": 1.0}) == writer.close({"sim_s": 2.0})
    assert RecordReader(tmp_path / "x").manifest.result == {"sim_s": 1.0}


def test_a_used_folder_is_refused(write):
    """A record never overwrites another one."""
    folder = write("a")
    with pytest.raises(RecordError, match="expected a new folder, found the record of another run"):
        RecordWriter(folder, MANIFEST)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": "many"}, "seed"),
        ({"phases": [["a", 1]]}, "phases"),
        ({"format": 99}, "format 99"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path, wrong, message):
    """The message names what is wrong, before anything is written."""
    with pytest.raises(RecordError, match=message):
        RecordWriter(tmp_path / "a", MANIFEST | wrong)
    assert not (tmp_path / "a").exists()


def test_truth_has_the_columns_that_were_declared(tmp_path):
    """A row of another length is an error at once, not a riddle later."""
    with (
        RecordWriter(tmp_path / "a", MANIFEST | {"truth_columns": ["x"]}) as writer,
        pytest.raises(RecordError, match="expected 1 values"),
    ):
        writer.truth(EPOCH_NS, [1.0, 2.0])


def test_a_full_disk_is_one_clear_line(tmp_path):
    """The message says what failed and what to do."""
    writer = RecordWriter(tmp_path / "a", MANIFEST)
    writer.wire("obd", EPOCH_NS, True, b"x")

    class Full:
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    writer._files["wire.obd"]._file.close()
    writer._files["wire.obd"]._file = Full()
    with pytest.raises(RecordError, match="No space left on device; free space"):
        writer.close({})


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    """A file where the folder should be is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="expected to write it"):
        RecordWriter(tmp_path / "file" / "run", MANIFEST)


def test_the_manifest_is_for_people_too(write):
    """run.json is indented JSON with the phases as they were given."""
    text = (write("a") / "run.json").read_text()
    assert json.loads(text)["phases"] == [["calm", EPOCH_NS, EPOCH_NS + 10_000_000_000]]
    assert "\n " in text


@given(chunks=st.lists(st.tuples(st.booleans(), st.binary(max_size=80)), max_size=30))
def test_any_bytes_survive(tmp_path_factory, chunks):
    """Whatever a link carries comes back, line ends and all."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    writer = RecordWriter(folder, MANIFEST)
    for i, (to_host, data) in enumerate(chunks):
        writer.wire("obd", EPOCH_NS + i, to_host, data)
    writer.close({})
    record = RecordReader(folder)
    assert [(c.direction == ">", c.data) for c in record.wire("obd")] == chunks
    assert len(list(record.lines(wire_stream("obd")))) == len(chunks)
