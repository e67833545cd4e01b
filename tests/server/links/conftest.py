"""Devices at the other end of a PTY, scripted, in a thread: enough to answer, mute, lie or hang
up."""

from __future__ import annotations

import os
import pty
import select
import threading
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from server.readings import Reading


class SerialDevice:
    """A device on the far end of a PTY; `path` is a link, so that it can be plugged in again."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._stop = threading.Event()
        self.plug()

    def plug(self) -> None:
        """Make the port appear."""
        self._master, slave = pty.openpty()
        tty.setraw(self._master)
        # "Readable" may mean that nobody has the other end open: a blocking read could then wait.
        os.set_blocking(self._master, False)
        tty.setraw(slave)
        link = Path(self.path)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(slave))
        os.close(slave)
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Make the port vanish: the host gets EIO, then "no such file"."""
        self._stop.set()
        self._thread.join()
        os.close(self._master)
        Path(self.path).unlink(missing_ok=True)

    def send(self, data: bytes) -> None:
        """Write towards the host."""
        while data:
            select.select([], [self._master], [])
            data = data[os.write(self._master, data) :]

    def _serve(self) -> None:
        while not self._stop.is_set():
            if select.select([self._master], [], [], 0.01)[0]:
                try:
                    self.receive(os.read(self._master, 4096))
                except OSError:  # nobody has the other end open (yet), or nothing to read
                    self._stop.wait(0.005)

    def receive(self, data: bytes) -> None:
        """Take bytes from the host; nothing to do for a receiver that only talks."""


class Report:
    """Keeps what a link reports."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []
        self.vins: list[str] = []

    def up(self, reason: str = "") -> None:
        self.states.append(("up", reason))

    def degraded(self, reason: str) -> None:
        self.states.append(("degraded", reason))

    def vehicle(self, vin: str) -> None:
        self.vins.append(vin)


class Collector:
    """A sink that keeps everything and lets a test wait for it."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.batches: list[list[Reading]] = []

    def __call__(self, readings: Sequence[Reading]) -> None:
        self.batches.append(list(readings))
        self.readings.extend(readings)

    def values(self, signal: int) -> list[float]:
        """The values of one signal."""
        return [reading.value for reading in self.readings if reading.signal == signal]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[SerialDevice]:
    """A silent device at `receiver.path`; a test sends sentences through it."""
    device = SerialDevice(tmp_path / "ttyGPS")
    yield device
    if Path(device.path).is_symlink():
        device.unplug()


@pytest.fixture
def report() -> Report:
    """What a link reports."""
    return Report()


@pytest.fixture
def sink() -> Collector:
    """What a link delivers."""
    return Collector()
