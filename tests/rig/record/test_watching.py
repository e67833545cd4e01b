"""Locks say that a run goes on, and that somebody watches it; flushing changes no hash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rig.record.reader import RecordReader
from rig.record.watching import START_S, Watch, is_running, is_starting, is_watched
from rig.record.writer import RecordWriter
from tests.rig.record.conftest import fill, manifest

WRITER = """
import sys, time
from pathlib import Path
from rig.record.writer import RecordWriter
made = {"scenario": "s", "seed": 1, "mode": "virtual", "epoch_ns": 0}
writer = RecordWriter(Path(sys.argv[1]), made)
print("open", flush=True)
time.sleep(60)
"""


def test_a_run_goes_on_until_its_record_is_closed(tmp_path: Path) -> None:
    """From the record's first file to its last word, and for nobody else's folder."""
    folder = tmp_path / "run"
    assert not is_running(folder)
    writer = RecordWriter(folder, manifest())
    assert is_running(folder)
    assert is_running(folder)
    writer.close({})
    assert not is_running(folder)


def test_a_run_that_was_killed_does_not_go_on(tmp_path: Path) -> None:
    """The kernel lets go of the lock of a process that was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "run")], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        assert is_running(tmp_path / "run")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not is_running(tmp_path / "run")
    assert not RecordReader(tmp_path / "run").finished


def test_rows_are_written_at_once_while_somebody_watches(tmp_path: Path) -> None:
    """Nobody there: rows wait. One or two there: they are in the files. All gone: they wait."""
    writer = RecordWriter(tmp_path / "run", manifest())
    fill(writer, 2)
    writer.flush_if_watched()
    assert RecordReader(tmp_path / "run").samples == []
    with Watch(tmp_path / "run"), Watch(tmp_path / "run"):
        writer.flush_if_watched()
        assert len(RecordReader(tmp_path / "run").samples) == 2
        assert len(RecordReader(tmp_path / "run").wire("obd")) == 4
        assert RecordReader(tmp_path / "run").log_lines == ["a line"]
    fill(writer, 1)
    writer.flush_if_watched()
    assert len(RecordReader(tmp_path / "run").samples) == 2
    writer.close({})
    writer.flush_if_watched()
    assert len(RecordReader(tmp_path / "run").samples) == 3


def test_a_watched_run_has_the_trace_of_an_unwatched_one(tmp_path: Path) -> None:
    """Frames are smaller, bytes and hash are the same."""
    traces = []
    for name in ("watched", "alone"):
        writer = RecordWriter(tmp_path / name, manifest())
        for _ in range(5):
            fill(writer, 3)
            if name == "watched":
                writer.flush()
                writer.flush()
        traces.append(writer.close({}))
        assert RecordReader(tmp_path / name).trace_sha256() == traces[-1]
    assert traces[0] == traces[1]


def test_a_folder_without_a_record_is_about_to_begin_only_for_a_while(tmp_path: Path) -> None:
    """A fresh empty folder is starting; an old one, or one with a record, is not."""
    folder = tmp_path / "run"
    folder.mkdir()
    assert is_starting(folder)
    old_s = time.time() - START_S - 5
    os.utime(folder, (old_s, old_s))
    assert not is_starting(folder)
    RecordWriter(tmp_path / "other", manifest()).close({})
    assert not is_starting(tmp_path / "other")
    assert not is_starting(tmp_path / "none")


def test_who_watches_needs_no_log(tmp_path: Path) -> None:
    """A folder without a log, or without anything, is watched in vain and without complaint."""
    with Watch(tmp_path / "none"):
        pass
    (tmp_path / "file").write_bytes(b"")
    with (tmp_path / "file").open() as file:
        assert not is_watched(file.fileno())
