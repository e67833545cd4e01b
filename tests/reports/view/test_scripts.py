"""The scripts of the pages that need no page: run by Node."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "js"
OLDEST = 20


def test_scripts() -> None:
    """All tests of `js/` pass."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node on this machine (node)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", version)[0]) < OLDEST:
        pytest.skip(f"Node is older than {OLDEST} on this machine: {version.strip()}")
    files = sorted(map(str, FOLDER.glob("*.test.mjs")))
    command = [node, "--test-reporter=tap", str(FOLDER / "all.mjs"), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    failed = re.findall(r"^not ok .*(?:\n .*)*", done.stdout, re.MULTILINE)
    assert done.returncode == 0, "\n".join(failed) or done.stdout + done.stderr
    begun = sum(len(re.findall(r"^test\(", Path(file).read_text(), re.MULTILINE)) for file in files)
    passed = re.search(r"^# pass (\d+)", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) >= begun
