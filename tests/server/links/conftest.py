"""Devices at the other end of a PTY, scripted, in a thread: enough to answer, mute, lie or hang
up."""

from __future__ import annotations

import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from server.readings import Reading

REPLIES: dict[bytes, bytes] = {
    b"ATZ": b"\r\rELM327 v1.5\r\r>",
    b"ATE0": b"ATE0\rOK\r\r>",
    b"ATH1": b"OK\r\r>",
    b"ATL0": b"OK\r\r>",
    b"ATRV": b"12.6V\r\r>",
    b"ATTP6": b"OK\r\r>",
    b"0100": b"7E8 06 41 00 BE 3F B8 13 \r\r>",
    b"0120": b"7E8 06 41 20 80 01 20 01 \r\r>",
    b"0140": b"7E8 06 41 40 7A 1C 80 00 \r\r>",
    b"0600": b"NO DATA\r\r>",
    b"0900": b"7E8 06 49 00 55 40 00 00 \r\r>",
    b"0902": (
        b"7E8 10 14 49 02 01 57 46 30 \r7E8 21 44 58 58 47 41 4B 44 \r"
        b"7E8 22 44 4B 31 32 33 34 35 \r\r>"
    ),
    b"0105": b"7E8 03 41 05 7B \r\r>",
    b"010B": b"7E8 03 41 0B C8 \r\r>",
    b"010C": b"7E8 04 41 0C 1A F8 \r\r>",
    b"010D": b"7E8 03 41 0D 40 \r\r>",
    b"0133": b"7E8 03 41 33 64 \r\r>",
}
"""A genuine 1.5 on a CAN car at 1726 rpm, 64 km/h, 83 °C, 200 kPa manifold, 100 kPa outside."""

UNKNOWN = b"?\r\r>"


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


class ScriptedElm(SerialDevice):
    """Answers after a table; a test replaces entries or `answer`.

    Attributes:
        replies: command (upper case, without spaces) -> bytes; with a response digit it is found
            too.
        asked: every command, as it came; b"" is a lone return.
        answer: gives the reply to a command, or None to stay mute.
    """

    def __init__(self, path: Path) -> None:
        self.replies = dict(REPLIES)
        self.asked: list[bytes] = []
        self.answer: Callable[[bytes], bytes | None] = self.by_table
        self._line = b""
        self._last = b""
        super().__init__(path)

    def by_table(self, command: bytes) -> bytes | None:
        """The normal answer."""
        return self.replies.get(command) or self.replies.get(command[:4]) or UNKNOWN

    def receive(self, data: bytes) -> None:
        self._line += data
        while b"\r" in self._line:
            line, _, self._line = self._line.partition(b"\r")
            command = line.replace(b" ", b"").upper()
            self.asked.append(command)
            self._last = command or self._last
            reply = self.answer(self._last)
            if reply is not None:
                self.send(reply)


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
def elm(tmp_path: Path) -> Iterator[ScriptedElm]:
    """A scripted ELM327 at `elm.path`."""
    device = ScriptedElm(tmp_path / "ttyOBD")
    yield device
    if Path(device.path).is_symlink():
        device.unplug()


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


@pytest.fixture
def short_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """python-OBD sleeps 1 s after ATZ; nobody here needs it."""
    import time

    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.005)))
