"""Fixtures: devices on PTYs with real processes behind them, and bench files that name them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.bench import Bench, read_bench

STAND_IN = Path(__file__).with_name("stand_in.py")
StandIn = Callable[..., Path]
MakeBench = Callable[[str], Bench]


@pytest.fixture
def processes() -> Iterator[contextlib.ExitStack]:
    """Processes that end with the test."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def start(processes: contextlib.ExitStack) -> Callable[..., subprocess.Popen[str]]:
    """Return `start(words)`: a process that has said its first line."""

    def begin(*words: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            list(map(str, words)), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        processes.callback(process.wait)
        processes.callback(process.kill)
        assert process.stdout is not None
        processes.callback(process.stdout.close)
        assert process.stdout.readline(), f"{words} did not start"
        return process

    return begin


@pytest.fixture
def stand_in(tmp_path: Path, start: Callable[..., subprocess.Popen[str]]) -> StandIn:
    """Return `stand_in(kind, baud, name)`: the path of a device's port."""

    def begin(kind: str, baud: int, name: str = "") -> Path:
        link = tmp_path / (name or kind)
        start(sys.executable, STAND_IN, kind, str(baud), link)
        return link

    return begin


@pytest.fixture
def make_bench(tmp_path: Path) -> MakeBench:
    """Return `make_bench(links)`: a bench that was read from a file; line 3 is the first link's."""

    def make(links: str, more: str = "") -> Bench:
        path = tmp_path / "desk.yaml"
        path.write_text(f"bench: 1\nlinks:\n{links}\n{more}", encoding="utf-8")
        return read_bench(path)

    return make
