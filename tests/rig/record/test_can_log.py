"""A run's CAN traffic as BLF, ASC, candump and CSV: read back by others, the same every time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import can
import pytest
import time_machine

from rig.record.can_log import BLF_CONTAINER_BYTES, SUFFIXES, CanLogWriter, write_can_log
from rig.record.errors import RecordError
from rig.record.streams import CAN_ERROR, CAN_EXTENDED, CAN_REMOTE, CanRow
from sim.broadcast import DBC_PATH
from sim.can_log import CanLog
from sim.can_log.entry import ERROR_FRAME

EPOCH_NS = 1_764_000_000_123_456_789


def _rows(count: int = 400) -> list[CanRow]:
    rng = random.Random(4)
    rows, time_ns = [], EPOCH_NS
    for number in range(count):
        time_ns += rng.randrange(100_000, 3_000_000)
        kind = number % 20
        data = rng.randbytes(rng.randrange(9)).decode("latin-1")
        if kind == 3:
            rows.append(CanRow(time_ns, "PCM", 0x090, CAN_ERROR, "bit"))
        elif kind == 7:
            rows.append(CanRow(time_ns, "tester", 0x123, CAN_REMOTE, ""))
        elif kind > 13:
            rows.append(CanRow(time_ns, "tester", rng.randrange(1 << 29), CAN_EXTENDED, data))
        else:
            rows.append(CanRow(time_ns, "ABS", rng.randrange(1 << 11), 0, data))
    return rows


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, list[CanRow]], Path]:
    def run(suffix: str, rows: list[CanRow]) -> Path:
        path = tmp_path / f"can{suffix}"
        assert write_can_log(path, rows) == len(rows)
        return path

    return run


Write = Callable[[str, list[CanRow]], Path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_read_back_by_python_can(write: Write, suffix: str) -> None:
    """python-can reads every frame, in order, at its time."""
    rows = _rows()
    messages = list(can.LogReader(write(suffix, rows)))
    assert len(messages) == len(rows)
    start_ns = rows[0].time_ns if suffix == ".asc" else 0
    for message, row in zip(messages, rows, strict=True):
        assert message.timestamp == pytest.approx((row.time_ns - start_ns) / 1e9, abs=1.5e-6)
        assert message.is_error_frame == bool(row.flags & CAN_ERROR)
        if not message.is_error_frame:
            assert message.arbitration_id == row.id
            assert bytes(message.data) == row.data
            assert message.is_extended_id == bool(row.flags & CAN_EXTENDED)
            assert message.is_remote_frame == bool(row.flags & CAN_REMOTE)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_can_be_played_again(write: Write, suffix: str) -> None:
    """The world's own reader makes the same frames of the file."""
    rows = _rows()
    entries = list(CanLog(write(suffix, rows)))
    assert len(entries) == len(rows)
    for entry, row in zip(entries, rows, strict=True):
        if row.flags & CAN_ERROR:
            assert entry.skipped == ERROR_FRAME
            continue
        assert entry.frame is not None
        lost_ns = {".blf": 500, ".csv": 240, ".log": 800, ".asc": 800}[suffix]
        start_ns = rows[0].time_ns if suffix == ".asc" else 0
        assert abs(row.time_ns - start_ns - entry.time_ns) <= lost_ns
        assert (entry.frame.arbitration_id, entry.frame.data) == (row.id, row.data)
        assert entry.frame.is_extended == bool(row.flags & CAN_EXTENDED)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_rows_same_bytes(write: Write, suffix: str) -> None:
    """Neither the day nor the time zone of the machine gets into a file."""
    rows = _rows()
    first = write(suffix, rows).read_bytes()
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = "Asia/Kathmandu"
        time.tzset()
        with time_machine.travel("2031-03-04 05:06:07"):
            assert write(suffix, rows).read_bytes() == first
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_run(write: Write, suffix: str) -> None:
    """A run without a frame leaves a file that says so."""
    assert list(can.LogReader(write(suffix, []))) == []


def test_blf_header(write: Write) -> None:
    """The header of a BLF file has the times of the first and the last frame, and the count."""
    rows = _rows()
    reader = can.BLFReader(write(".blf", rows))
    assert reader.start_timestamp == pytest.approx(rows[0].time_ns / 1e9, abs=1e-3)
    assert reader.stop_timestamp == pytest.approx(rows[-1].time_ns / 1e9, abs=1e-3)
    assert reader.object_count == len(rows)
    assert reader.file_size == (write(".blf", rows)).stat().st_size
    reader.stop()


def test_blf_of_several_containers(write: Write) -> None:
    """A long run takes several containers, and every frame is found again."""
    rows = [
        CanRow(EPOCH_NS + number * 1000, "ABS", number & 0x7FF, 0, "12345678")
        for number in range(9000)
    ]
    messages = list(can.LogReader(write(".blf", rows)))
    assert [message.arbitration_id for message in messages] == [row.id for row in rows]


def test_asc_header(write: Write) -> None:
    """Both dates of an ASC file are the first frame's, with three digits of milliseconds."""
    rows = [CanRow(EPOCH_NS // 10**9 * 10**9 + 5_000_000, "ABS", 1, 0, "")]
    lines = write(".asc", rows).read_text().splitlines()
    assert lines[0] == "date Mon Nov 24 16:00:00.005 2025"
    assert lines[3] == "Begin Triggerblock Mon Nov 24 16:00:00.005 2025"


def test_cantools_decodes_the_log(write: Write) -> None:
    """The cantools program reads the candump file with the car's DBC."""
    row = CanRow(EPOCH_NS, "PCM", 0x090, 0, bytes.fromhex("0000C20161A30000").decode("latin-1"))
    text = write(".log", [row]).read_text()
    program = [sys.executable, "-m", "cantools", "decode", "--single-line", str(DBC_PATH)]
    done = subprocess.run(program, input=text, capture_output=True, text=True, check=True)
    assert "EngineSpeedStatus(EngineState: Running, EngineSpeed: 838 rpm)" in done.stdout


_ENDLESS = """
import sys, time
from pathlib import Path
from rig.record.can_log import CanLogWriter
log = CanLogWriter(Path(sys.argv[1]))
for number in range(3000):
    log.write(1_700_000_000_000_000_000 + number * 1_000_000, number & 0x7FF, bytes(4))
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_killed_recorder(tmp_path: Path, suffix: str) -> None:
    """A recorder that is killed leaves a file without its last container, at worst."""
    path = tmp_path / f"live{suffix}"
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    lost = 3000 - len(list(can.LogReader(path)))
    assert 0 <= lost <= (BLF_CONTAINER_BYTES // 48 if suffix == ".blf" else 0)


def test_sent_and_remote(tmp_path: Path) -> None:
    """Frames of the recorder's own node and remote frames are told of in BLF."""
    path = tmp_path / "live.blf"
    with CanLogWriter(path) as log:
        log.write(EPOCH_NS, 0x123, b"\x01", is_sent=True)
        log.write(EPOCH_NS + 5, 0x124, dlc=8, is_remote=True)
        assert log.count == 2
    first, second = can.LogReader(path)
    assert not first.is_rx
    assert second.is_remote_frame
    assert second.dlc == 8
    log.close()


def test_unknown_suffix(tmp_path: Path) -> None:
    """A suffix that no format has is refused, with those that there are."""
    with pytest.raises(RecordError, match=r"expected a name that ends in .blf.*got '.mf4'"):
        CanLogWriter(tmp_path / "a.mf4")


def test_no_folder(tmp_path: Path) -> None:
    """A path that cannot be written is refused with the reason."""
    with pytest.raises(RecordError, match="expected to write it, got: No such file"):
        CanLogWriter(tmp_path / "none" / "a.blf")
