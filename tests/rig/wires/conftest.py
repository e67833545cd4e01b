"""Stands a PTY in the place of a serial port."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.record.manifest import PhaseWindow
from rig.record.writer import RecordWriter

PATIENCE_S = 30.0
EPOCH_NS = 1_777_622_400_000_000_000
MS = 1_000_000
LISTEN_MS = 20


def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until `condition()` is true, and return what it gave."""
    end_s = time.monotonic() + PATIENCE_S
    while not (value := condition()):
        assert time.monotonic() < end_s, f"waited {PATIENCE_S} s for {what or condition}"
        time.sleep(0.002)
    return value


class StandIn:
    """A port that can be unplugged; `heard` is what came to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard = b""
        self.answer: Callable[[bytes], bytes] = lambda _data: b""
        self.plug_in()

    def plug_in(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.path.symlink_to(os.ttyname(self.slave))
        self._there = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        self._there = False
        self._thread.join()  # a descriptor that is being read lives on after its close
        for descriptor in (self.slave, self.master):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def say(self, data: bytes) -> None:
        os.write(self.master, data)

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        while self._there:
            if poll.poll(LISTEN_MS):
                data = os.read(self.master, 4096)
                self.heard += data
                if answer := self.answer(data):
                    os.write(self.master, answer)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    port = StandIn(tmp_path / "device")
    yield port
    port.unplug()


def words_of(name: str, *words: object) -> list[str]:
    """Return what starts the command `name` in a process of its own.

    It is the real command line: at SIGTERM it ends cleanly, and a record is closed.
    """
    return [sys.executable, "-m", "rig.cli", name, *map(str, words)]


@contextlib.contextmanager
def started(name: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Start a command that says its ports in a line of JSON; at the end it is gone."""
    process = subprocess.Popen(
        words_of(name, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def sentence(body: str) -> bytes:
    total = 0
    for character in body:
        total ^= ord(character)
    return f"${body}*{total:02X}\r\n".encode()


@pytest.fixture
def sky(tmp_path: Path) -> Path:
    """A record of a receiver: ten epochs, one each 200 ms."""
    manifest = {
        "scenario": "sky",
        "seed": 0,
        "mode": "captured",
        "epoch_ns": EPOCH_NS,
        "phases": [PhaseWindow("captured", EPOCH_NS, EPOCH_NS + 3_000 * MS)],
    }
    with RecordWriter(tmp_path / "sky", manifest) as writer:
        for n in range(10):
            body = f"GPRMC,0800{n * 0.2:05.2f},A,5206.{n:03d},N,00948.000,E,1.0,90.0,010526,,"
            writer.wire("gps", EPOCH_NS + (500 + 200 * n) * MS, True, sentence(body))
        writer.close({"sim_s": 3.0})
    return tmp_path / "sky"
