"""Sends a bus full of frames to whoever connects, in a process of its own.

`python -m tests.benchmarks.can_blaster socketcand COUNT RATE` listens as socketcand does, prints
its port, sends COUNT frames, RATE a second (0: flat out), stamped as they are sent, and hangs up.
`… slcan COUNT RATE` does it on a PTY, whose path it prints; it ends on a line on stdin.
"""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable, Iterator, Sequence

from tests.benchmarks.can_traffic import frames

RATE = 4400  # frames a second: a full bus of 500 kbit/s
TICK_S = 0.001  # frames of so long are written together: no sender sleeps more finely
FLAT_OUT_FRAMES = 200


@contextlib.contextmanager
def blaster(kind: str, count: int, rate: int) -> Iterator[str]:
    """Run one; give where it is reached."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.can_blaster", kind, str(count), str(rate)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        with contextlib.suppress(OSError):
            process.communicate("\n", timeout=10)


def _pace(pieces: Sequence[str], rate: int, write: Callable[[list[str]], None]) -> None:
    if not rate:
        for place in range(0, len(pieces), FLAT_OUT_FRAMES):
            write(list(pieces[place : place + FLAT_OUT_FRAMES]))
        return
    start_s, sent = time.perf_counter(), 0
    while sent < len(pieces):
        due = min(len(pieces), int((time.perf_counter() - start_s) * rate))
        if due > sent:
            write(list(pieces[sent:due]))
            sent = due
        time.sleep(TICK_S)


def _socketcand(count: int, rate: int) -> None:
    pieces = [f"{can_id:03X} %.6f {data.hex().upper()} >" for can_id, data in frames(count)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        client, _ = listener.accept()
    with client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"< hi >")
        for _ in range(2):
            client.recv(256)
            client.sendall(b"< ok >")
        time.sleep(0.2)

        def write(some: list[str]) -> None:
            now_s = time.time()
            client.sendall("".join(f"< frame {piece % now_s}" for piece in some).encode())

        _pace(pieces, rate, write)


def _slcan(count: int, rate: int) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    pieces = [f"t{can_id:03X}8{data.hex().upper()}\r" for can_id, data in frames(count)]
    heard = b""
    while b"O\r" not in heard:
        heard += os.read(master, 256)
        os.write(master, b"\r")
    time.sleep(0.3)

    def write(some: list[str]) -> None:
        rest = "".join(some).encode()
        while rest:
            rest = rest[os.write(master, rest) :]

    _pace(pieces, rate, write)
    sys.stdin.readline()


if __name__ == "__main__":
    {"socketcand": _socketcand, "slcan": _slcan}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
