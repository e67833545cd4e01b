"""The stream of the CAN bus: only in the records of runs that have the link."""

from __future__ import annotations

from pathlib import Path

from rig.record.reader import RecordReader
from rig.record.streams import CAN_ERROR, CAN_EXTENDED, CanRow
from rig.record.writer import RecordWriter

MANIFEST = {"scenario": "s", "seed": 1, "mode": "virtual", "epoch_ns": 0}
FRAME = CanRow(5, "PCM", 0x18DAF110, CAN_EXTENDED, "\x08\xff", 111)
ERROR = CanRow(9, "ABS", 0x190, CAN_ERROR, "crc", 40)


def write(folder: Path, *rows: CanRow) -> str:
    """Write a record and give its trace hash."""
    with RecordWriter(folder, MANIFEST) as writer:
        for row in rows:
            writer.can(row)
        return writer.close({})


def test_frames_and_error_frames_are_read_back(tmp_path: Path) -> None:
    """As they were written; an error frame has no data; they belong to the trace."""
    trace = write(tmp_path / "a", FRAME, ERROR)
    record = RecordReader(tmp_path / "a")
    assert record.can == [FRAME, ERROR]
    assert [row.data for row in record.can] == [b"\x08\xff", b""]
    assert record.trace_sha256() == trace
    assert trace != write(tmp_path / "b", FRAME)


def test_without_the_link_there_is_no_trace_of_it(tmp_path: Path) -> None:
    """No file, no stream: the hash is that of before there was such a link."""
    write(tmp_path / "a")
    record = RecordReader(tmp_path / "a")
    assert record.can == []
    assert "can" not in {stream.name for stream in record.streams}
    assert not list((tmp_path / "a").glob("can*"))
