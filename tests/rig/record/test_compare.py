from __future__ import annotations

from rig.record.compare import CONTEXT_ROWS, compare
from rig.record.reader import RecordReader
from rig.record.writer import RecordWriter

EPOCH_NS = 1_700_000_000_000_000_000
MANIFEST = {
    "scenario": "s",
    "seed": 1,
    "mode": "virtual",
    "epoch_ns": EPOCH_NS,
    "phases": [["cruise", EPOCH_NS, EPOCH_NS + 10**12]],
}


def record(folder, wire, published=()):
    writer = RecordWriter(folder, MANIFEST)
    for time_ns, data in wire:
        writer.wire("obd", EPOCH_NS + time_ns, True, data)
    for time_ns, seq in published:
        writer.published(EPOCH_NS + time_ns, [(seq, 12, EPOCH_NS, 800.0, EPOCH_NS, 0)])
    writer.close({})
    return RecordReader(folder)


def test_equal_records_have_no_divergence(write):
    """Two runs of the same seed."""
    assert compare(RecordReader(write("a")), RecordReader(write("b", boot=9))) is None


def test_the_first_difference_in_time_is_found(tmp_path):
    """A late difference in one stream does not hide an earlier one in another."""
    wire = [(i * 10**9, b"reply %d" % i) for i in range(100)]
    other = [*wire[:80], (80 * 10**9, b"garbage"), *wire[81:]]
    a = record(tmp_path / "a", wire, [(5 * 10**9, 1), (99 * 10**9, 2)])
    b = record(tmp_path / "b", other, [(5 * 10**9, 1), (99 * 10**9, 3)])
    found = compare(a, b)
    assert (found.stream, found.row) == ("wire.obd", 80)
    assert found.time_ns == EPOCH_NS + 80 * 10**9
    only = compare(a, b, only=("published", "stored"))
    assert (only.stream, only.row) == ("published", 1)
    assert found.row_a[2] == "reply 80"
    assert found.row_b[2] == "garbage"
    assert [row[2] for row in found.context] == [f"reply {i}" for i in range(75, 80)]
    assert len(found.context) == CONTEXT_ROWS


def test_the_cause_is_named_before_its_effect(tmp_path):
    """Of two differences at one instant, the one nearer to the world is told."""
    a = record(tmp_path / "a", [(10**9, b"x")], [(10**9, 1)])
    b = record(tmp_path / "b", [(10**9, b"y")], [(10**9, 2)])
    assert compare(a, b).stream == "wire.obd"


def test_a_record_that_ends_early_differs_at_its_end(tmp_path):
    """The row that only one record has is shown."""
    a = record(tmp_path / "a", [(0, b"x"), (10**9, b"y")])
    b = record(tmp_path / "b", [(0, b"x")])
    found = compare(a, b)
    assert (found.row, found.row_b) == (1, None)
    assert compare(b, a).row_a is None


def test_the_description_says_where_and_what(tmp_path):
    """Stream, row, time and phase, then the rows of both."""
    a = record(tmp_path / "a", [(0, b"x"), (1_500_000_000, b"y")])
    b = record(tmp_path / "b", [(0, b"x")])
    text = compare(a, b).describe(a.manifest)
    assert text.splitlines()[0] == (
        "first divergence: stream wire.obd, row 1, at 1.500000 s in phase cruise"
    )
    assert '"y"]' in text
    assert "(the record has ended)" in text


def test_files_that_were_altered_after_the_run_count_as_they_were(tmp_path):
    """The hashes of the manifest tell which streams need no look."""
    a = record(tmp_path / "a", [(0, b"x")])
    b = record(tmp_path / "b", [(0, b"x")])
    assert compare(a, b) is None
    b.manifest.hashes.clear()
    assert compare(a, b) is None
