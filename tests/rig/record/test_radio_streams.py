"""The streams of the air: only in the records of runs that have radios."""

from __future__ import annotations

from pathlib import Path

from rig.record.reader import RecordReader
from rig.record.streams import Reception, Transmission
from rig.record.writer import RecordWriter

MANIFEST = {"scenario": "s", "seed": 1, "mode": "virtual", "epoch_ns": 0}
FRAME = Transmission(5, 1, "own", 1, 0xFFFFFFFF, 77, 100, 500_000, "\x08\xff")
HEARD = Reception(9, 2, 1, 1, 77, "ok", 3.25)


def write(folder: Path, *, with_radio: bool) -> str:
    """Write a record and give its trace hash."""
    with RecordWriter(folder, MANIFEST) as writer:
        if with_radio:
            writer.air(FRAME)
            writer.heard(HEARD)
        return writer.close({})


def test_frames_and_receptions_are_read_back(tmp_path: Path) -> None:
    """As they were written, the packet's bytes too; and they belong to the trace."""
    trace = write(tmp_path / "a", with_radio=True)
    record = RecordReader(tmp_path / "a")
    assert (record.air, record.heard) == ([FRAME], [HEARD])
    assert record.air[0].data == b"\x08\xff"
    assert record.trace_sha256() == trace
    assert {"air", "heard"} <= {stream.name for stream in record.streams}


def test_without_radios_there_is_no_trace_of_them(tmp_path: Path) -> None:
    """No file, no stream: the hash is that of before there were radios."""
    trace = write(tmp_path / "a", with_radio=False)
    record = RecordReader(tmp_path / "a")
    assert (record.air, record.heard) == ([], [])
    assert not {"air", "heard"} & {stream.name for stream in record.streams}
    assert not list((tmp_path / "a").glob("air*"))
    assert trace != write(tmp_path / "b", with_radio=True)
