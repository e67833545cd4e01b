"""A receiver's stand-in: plays recorded NMEA through a PTY, with the instants of today.

    python nmea_player.py RECORDING LINK [--ahead SECONDS]

LINK becomes a symbolic link to the PTY. Each epoch of the recording is sent in one burst, 60 ms
after the instant that it tells; its times of day and dates become those of now. With --ahead the
sentences tell an instant that is so much later than this machine's clock.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path

DELAY_S = 0.06


def epochs(lines: list[str]) -> Iterator[list[str]]:
    """Yield the sentences of each instant."""
    group: list[str] = []
    for line in lines:
        if line[3:6] == "RMC" and group:
            yield group
            group = []
        group.append(line)
    yield group


def retimed(line: str, at: datetime.datetime) -> bytes:
    """Return a sentence with another instant in it."""
    fields = line[1:].partition("*")[0].split(",")
    kind = fields[0][2:]
    if kind in ("RMC", "GGA", "GLL", "GNS", "ZDA"):
        fields[5 if kind == "GLL" else 1] = f"{at:%H%M%S}.00"
    if kind == "RMC":
        fields[9] = f"{at:%d%m%y}"
    body = ",".join(fields)
    total = 0
    for character in body:
        total ^= ord(character)
    return f"${body}*{total:02X}\r\n".encode()


def main() -> None:
    """Play until somebody ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recording", type=Path)
    parser.add_argument("link", type=Path)
    parser.add_argument("--ahead", type=float, default=0.0)
    options = parser.parse_args()
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    options.link.symlink_to(os.ttyname(slave))
    print("ready", flush=True)
    groups = list(epochs(options.recording.read_text(encoding="ascii").splitlines()))
    second = int(time.time()) + 1
    while True:
        for group in groups:
            time.sleep(max(0.0, second + DELAY_S - time.time()))
            at = datetime.datetime.fromtimestamp(second + options.ahead, datetime.UTC)
            burst = b"".join(retimed(line, at) for line in group)
            with contextlib.suppress(BlockingIOError):  # nobody reads
                os.write(master, burst)
            second += 1


if __name__ == "__main__":
    sys.exit(main())
