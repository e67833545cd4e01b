from __future__ import annotations

import pytest

from rig.record.errors import RecordError
from rig.record.folders import find_run, find_runs


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
