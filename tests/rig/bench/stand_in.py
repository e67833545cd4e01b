"""A device on a PTY, as a process of its own: python stand_in.py KIND BAUD LINK

Prints the PTY's path when it is there. A client that has set another rate gets, and sends, what a
UART makes of bytes at a wrong rate: garbage. Imports nothing of ours.
"""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty
from pathlib import Path

RATES = {
    getattr(termios, f"B{rate}"): rate
    for rate in (4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 500_000)
}
FIX = "GPRMC,080000.00,A,5221.0000,N,00440.0000,E,30.0,90.0,010526,,,A"
NO_FIX = "GPRMC,080000.00,V,,,,,,,010526,,,N"
TALK_S = 0.3
ANSWERS = {
    b"ATI": b"ELM327 v1.5",
    b"AT@1": b"OBDII to RS232 Interpreter",
    b"ATRV": b"12.6V",
}


def sentence(body: str) -> bytes:
    """Make an NMEA sentence."""
    check = 0
    for character in body.encode():
        check ^= character
    return f"${body}*{check:02X}\r\n".encode()


class StandIn:
    """One device.

    Args:
        kind: "gps", "gps-without-fix", "elm327", "dead-car", "gateway", "noise" or "silent".
        baud: at which it speaks.
        link: symbolic link to its PTY.
    """

    def __init__(self, kind: str, baud: int, link: Path) -> None:
        self.kind = kind
        self.baud = baud
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave  # the PTY stays while no client has it open
        link.symlink_to(self.path)

    def rate(self) -> int:
        """Return the rate that the client has set."""
        return RATES.get(termios.tcgetattr(self.master)[4], 0)

    def garbled(self, data: bytes) -> bytes:
        """Return bytes as they arrive at another rate."""
        if self.rate() == self.baud:
            return data
        return bytes(0x80 | (byte * 7 & 0x7F) for byte in data[::3])

    def say(self, data: bytes) -> None:
        """Send bytes."""
        os.write(self.master, self.garbled(data))

    def run(self) -> None:
        """Speak and answer until killed."""
        held = b""
        while True:
            if self.kind in ("gps", "gps-without-fix"):
                self.say(sentence(FIX if self.kind == "gps" else NO_FIX))
            elif self.kind == "gateway":
                self.say(b"ATZ\r")
            elif self.kind == "noise":
                self.say(bytes(range(0x80, 0x90)))
            end_s = time.monotonic() + TALK_S
            while (left_s := end_s - time.monotonic()) > 0:
                if select.select([self.master], [], [], left_s)[0]:
                    held += self.garbled(os.read(self.master, 4096))
                    held = self.answer(held)

    def answer(self, held: bytes) -> bytes:
        """Answer whole lines; return what is left."""
        if self.kind not in ("elm327", "dead-car"):
            return b""
        *lines, rest = re.split(rb"\r", held)
        for line in lines:
            word = line.strip().upper()
            text = ANSWERS.get(word, b"?")
            if self.kind == "dead-car" and word == b"ATRV":
                text = b"0.2V"
            self.say(line + b"\r" + text + b"\r\r>")
        return rest


def main() -> None:
    """Stand in for a device."""
    device = StandIn(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    print(device.path, flush=True)
    device.run()


if __name__ == "__main__":
    main()
