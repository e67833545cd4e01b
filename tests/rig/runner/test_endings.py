"""However a run ends, nothing stays but its record: Ctrl-C, SIGTERM, kill -9, two at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

LONG = "rig: 1\nneeds: [gps]\nphases: [{idle: 10 h}]\nlimits: {readings.lost: {equals: 0}}\n"
MARK = "TELERIG_TEST_MARK"
PATIENCE_S = 60.0


class Started:
    """A `telerig run` of its own process group; everything that it starts carries its mark."""

    def __init__(self, folder: Path, *words: str, url: str = "") -> None:
        self.folder = folder
        self.mark = f"{MARK}={uuid.uuid4().hex}".encode()
        self.seen: set[tuple[int, str]] = set()
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        name, _, value = self.mark.decode().partition("=")
        environment = {**os.environ, name: value, "TMPDIR": str(self.temporary)}
        environment.pop("TELERIG_DATABASE_URL", None)
        if url:
            environment["TELERIG_DATABASE_URL"] = url
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rig.cli", "run", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def offspring(self) -> dict[int, str]:
        """Living processes that the command started, by number, with their command lines.

        They carry the mark, or are below one that does (PostgreSQL overwrites its environment), or
        were seen there before.
        """
        parents, lines, marked = {}, {}, set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            number = int(folder.name)
            if fields[0] != "Z":
                parents[number], lines[number] = int(fields[1]), line
                marked |= {number} if self.mark in environment else set()
        for _ in range(5):  # generations
            marked |= {number for number, parent in parents.items() if parent in marked}
        marked -= {self.process.pid}
        self.seen |= {(number, lines[number]) for number in marked}
        return {number: line for number, line in self.seen if lines.get(number) == line}

    def wait_for(self, *words: str) -> None:
        """Wait until each word stands in the command line of as many processes as say it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            lines = self.offspring().values()
            if all(sum(word in line for line in lines) >= words.count(word) for word in words):
                return
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.1)
        pytest.fail(f"expected {words} among {self.offspring()}")

    def database_folders(self) -> set[Path]:
        """The temporary folders of the embedded servers of the run."""
        found = set()
        for number, words in self.offspring().items():
            if "postgres" in words:
                cwd = Path(os.readlink(f"/proc/{number}/cwd"))
                found |= {cwd, *cwd.parents}
        return {path for path in found if path.name.startswith("tr-pg-")}

    def assert_nothing_stays(self, databases: set[Path]) -> None:
        """No process, no database's folder; at once, or as soon as the kernel has told all."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            if not self.offspring() and not any(path.exists() for path in databases):
                return
            time.sleep(0.1)
        pytest.fail(f"stays: {self.offspring()}, {[p for p in databases if p.exists()]}")


@pytest.fixture
def long(tmp_path: Path) -> Iterator[Path]:
    """A folder with a scenario that does not end by itself."""
    (tmp_path / "long.scenario.yaml").write_text(LONG)
    return tmp_path


WORKERS = {
    "virtual": ("rig.worker nursery", "rig.worker nursery", "checkpointer"),
    "paced": ("rig.worker paced", " serve --config", "checkpointer"),
}


@pytest.mark.parametrize(
    ("mode", "number", "code", "word"),
    [
        ("virtual", signal.SIGINT, 130, "telerig run: interrupted\n"),
        ("paced", signal.SIGINT, 130, "telerig run: interrupted\n"),
        ("virtual", signal.SIGTERM, 143, "telerig run: ended by SIGTERM\n"),
        ("virtual", signal.SIGKILL, -9, ""),
        ("paced", signal.SIGKILL, -9, ""),
    ],
)
def test_a_run_that_is_ended(
    long: Path, mode: str, number: signal.Signals, code: int, word: str
) -> None:
    """A signal in the middle of a run: one word, its exit code, and no process or port stays."""
    run = Started(long, "long.scenario.yaml", "--mode", mode)
    run.wait_for(*WORKERS[mode])
    databases = run.database_folders()
    assert databases
    if number is signal.SIGINT:  # as a terminal does: to the whole foreground group
        os.killpg(run.process.pid, number)
    else:
        run.process.send_signal(number)
    _, err = run.process.communicate(timeout=PATIENCE_S)
    assert (run.process.returncode, err) == (code, word)
    run.assert_nothing_stays(databases)
    if number is not signal.SIGKILL:
        assert [*run.temporary.iterdir()] == []


def test_two_at_once_in_one_folder(tiny: Path, server_url: str) -> None:
    """Two runs of one file at the same time keep apart and come to the same trace."""
    both = [Started(tiny.parent, tiny.name, "--json", url=server_url) for _ in range(2)]
    documents = []
    for run in both:
        out, err = run.process.communicate(timeout=2 * PATIENCE_S)
        assert (run.process.returncode, err) == (0, "")
        documents.append(json.loads(out)["runs"][0])
    assert documents[0]["record"] != documents[1]["record"]
    assert documents[0]["trace_sha256"] == documents[1]["trace_sha256"] != ""
