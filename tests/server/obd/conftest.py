"""An ELM327 at the other end of a PTY, scripted, and what a link reports and delivers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.links.conftest import Collector, Report, SerialDevice

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


@pytest.fixture
def elm(tmp_path: Path) -> Iterator[ScriptedElm]:
    """A scripted ELM327 at `elm.path`."""
    device = ScriptedElm(tmp_path / "ttyOBD")
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
