from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rig.record.errors import RecordError
from rig.record.folders import find_run, find_runs, new_run_folder

STARTED = datetime(2026, 5, 1, 12, 30, 15, tzinfo=UTC)


def test_a_folder_tells_when_what_and_which_seed(tmp_path):
    """The name sorts by time and reads well."""
    folder = new_run_folder(tmp_path / "runs", STARTED, "Hard driving, twice!", 42)
    assert folder.name == "20260501-123015-hard-driving-twice-42"
    assert folder.is_dir()


def test_two_runs_in_one_second_get_two_folders(tmp_path):
    """Workers side by side never share a folder."""
    names = {new_run_folder(tmp_path, STARTED, "idle", 1).name for _ in range(3)}
    assert len(names) == 3


def test_a_file_in_the_way_is_named(tmp_path):
    """A runs folder that is a file is one clear line."""
    (tmp_path / "runs").write_text("")
    with pytest.raises(RecordError, match="runs"):
        new_run_folder(tmp_path / "runs", STARTED, "idle", 1)


def test_runs_are_found_by_folder_name_or_as_the_last(write, tmp_path):
    """`last` is the latest by name."""
    first, second = write("20260101-a-1"), write("20260102-b-1")
    assert find_runs(tmp_path) == [first, second]
    assert find_run("last", tmp_path) == second
    assert find_run("20260101-a-1", tmp_path) == first
    assert find_run(str(second), tmp_path / "elsewhere") == second


def test_an_unknown_run_is_answered_with_those_there_are(write, tmp_path):
    """The message helps to find the right one."""
    write("20260101-a-1")
    with pytest.raises(RecordError, match="20260101-a-1"):
        find_run("nonesuch", tmp_path)
    with pytest.raises(RecordError, match="telerig run FILE"):
        find_run("last", tmp_path / "empty")
