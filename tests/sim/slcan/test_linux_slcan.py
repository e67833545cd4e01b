"""What Linux makes of an adapter: slcand's commands, and the line discipline's way of reading.

The reader below follows drivers/net/can/slcan/slcan-core.c (slcan_unesc, slc_bump_frame): up to 30
characters before a CR or BELL, looked at if there are more than four; trailing characters, such as
time stamps, are ignored.
"""

from __future__ import annotations

import pytest

from sim.can.frame import CanFrame
from sim.slcan import SlcanMemory

LINE_CHARACTERS = 30


class KernelReader:
    """Reads characters as the slcan line discipline does."""

    def __init__(self) -> None:
        self.frames: list[CanFrame] = []
        self.errors = 0
        self._line = b""

    def read(self, data: bytes) -> None:
        """Take characters of the tty."""
        for number in range(len(data)):
            character = data[number : number + 1]
            if character in b"\r\a":
                if 4 < len(self._line) <= LINE_CHARACTERS:
                    self._bump(self._line)
                elif len(self._line) > LINE_CHARACTERS:
                    self.errors += 1
                self._line = b""
            else:
                self._line += character

    def _bump(self, line: bytes) -> None:
        letter = chr(line[0])
        if letter not in "tTrR":
            return
        end = 9 if letter.isupper() else 4
        remote = letter in "rR"
        length = line[end] - 0x30
        try:
            data = b"" if remote else bytes.fromhex(line[end + 1 : end + 1 + 2 * length].decode())
            identifier = int(line[1:end], 16)
        except ValueError:
            self.errors += 1
            return
        requested = length if remote else 0
        self.frames.append(CanFrame(identifier, data, letter.isupper(), remote, requested))


FRAMES = [
    CanFrame(0x123, bytes(range(8))),
    CanFrame(0x7FF),
    CanFrame(0x18DAF110, b"\xaa\x55", True),
    CanFrame(0x1FFFFFFF, bytes(8), True),
    CanFrame(0x7E0, b"", False, True, 8),
    CanFrame(0x100, b"", True, True),
]


@pytest.mark.parametrize("stamps", [False, True])
@pytest.mark.parametrize("profile", ["lawicel_canusb", "lawicel_can232", "canable", "canable2"])
def test_slcand_and_the_line_discipline(make_bench, profile, stamps):
    """slcand's C, S6, O; frames both ways; F by -f; C at the end. Nothing is misread."""
    bench = make_bench(profile, memory=SlcanMemory(auto_poll=True, timestamps=stamps))
    reader = KernelReader()
    reader.read(bench.type("C\rS6\r"))
    reader.read(bench.type("F\r"))
    reader.read(bench.type("O\r"))
    for frame in FRAMES:
        reader.read(bench.broadcast(frame))
    assert reader.frames == FRAMES
    # slc_encaps writes upper-case hexadecimal digits.
    for text in ("t1238AABBCCDDEEFF0011\r", "T000001230\r", "r1230\r", "R000001238\r"):
        reader.read(bench.type(text))
    reader.read(bench.type("F\rC\r"))
    assert len(bench.passed) == len(FRAMES) + 4
    assert reader.frames == FRAMES
    assert reader.errors == 0


def test_slcand_with_registers_and_listen_only(make_bench):
    """slcand -b 001C -l: C, s001C, L."""
    bench = make_bench()
    assert bench.type("C\rs001C\r") == b"\a\r"
    assert bench.type("L\r") == b"\r"
    assert bench.adapter.channel.listen_only
    assert bench.adapter.channel.bitrate_bps == 500_000
