"""Temporary folders: gone at the end, also those of a runner that was killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rig.runner.scratch import ScratchFolder

KILLED = """
import os, signal
from rig.runner.scratch import ScratchFolder
(ScratchFolder().path / "link").symlink_to("/dev/pts/0")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_folder_is_gone_at_the_end(root: Path) -> None:
    """Closing removes the folder with what is in it, and no other."""
    first, second = ScratchFolder(), ScratchFolder()
    (first.path / "inner").mkdir()
    first.close()
    assert [*root.iterdir()] == [second.path]
    second.close()
    assert [*root.iterdir()] == []


def test_what_a_killed_process_left_goes_with_the_next(root: Path) -> None:
    """The folder of a process that was killed is removed when the next one is made."""
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    (left,) = root.iterdir()
    assert (left / "link").is_symlink()
    (root / "telerig-of-somebody").mkdir()  # without a lock: not ours
    folder = ScratchFolder()
    assert sorted(root.iterdir()) == sorted([folder.path, root / "telerig-of-somebody"])
    folder.close()
