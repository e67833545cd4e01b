"""Clients of an slcan port, in a process of their own; each prints what it found as JSON.

`python -m tests.benchmarks.slcan_client count PORT FRAMES`  os.read, and ends of lines counted
`python -m tests.benchmarks.slcan_client recv PORT FRAMES`   python-can's slcan client
`python -m tests.benchmarks.slcan_client ask PORT SECONDS`   the same, request by request
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import tty
from dataclasses import asdict, dataclass
from typing import Any

SILENCE_S = 1.0
WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Heard:
    """Frames that came, how fast, and the CPU time of the listening process."""

    frames: int
    frames_per_s: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Asked:
    """How long replies took."""

    p50_ms: float
    p99_ms: float
    per_s: float


def run(mode: str, port: str, amount: float) -> dict[str, Any]:
    """Start a client process and wait for what it found."""
    client = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.slcan_client", mode, port, str(amount)],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = json.loads(client.stdout.splitlines()[-1])
    return found


def _heard(frames: int, first_s: float, last_s: float, cpu_s: float) -> Heard:
    return Heard(frames, frames / max(last_s - first_s, 1e-9), cpu_s / max(frames, 1) * 1e6)


def _count(port: str, frames: int) -> Heard:
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor)
    for command in (b"S6\r", b"O\r"):
        os.write(descriptor, command)
        assert os.read(descriptor, 1) == b"\r"
    seen, first_s, last_s = 0, 0.0, 0.0
    start_cpu_s = time.process_time()
    while seen < frames and select.select([descriptor], [], [], SILENCE_S)[0]:
        seen += os.read(descriptor, 65536).count(b"\r")
        last_s = time.perf_counter()
        first_s = first_s or last_s
    return _heard(seen, first_s, last_s, time.process_time() - start_cpu_s)


def _open(port: str) -> Any:
    import can

    return can.Bus(interface="slcan", channel=port, bitrate=500_000, sleep_after_open=0)


def _recv(port: str, frames: int) -> Heard:
    bus = _open(port)
    seen, first_s, last_s = 0, 0.0, 0.0
    start_cpu_s = time.process_time()
    while seen < frames and bus.recv(SILENCE_S) is not None:
        seen += 1
        last_s = time.perf_counter()
        first_s = first_s or last_s
    found = _heard(seen, first_s, last_s, time.process_time() - start_cpu_s)
    bus.shutdown()
    return found


def _ask(port: str, seconds: float) -> Asked:
    import can

    bus = _open(port)
    request = can.Message(arbitration_id=0x7E0, data=b"\x02\x01\x0c", is_extended_id=False)
    for _ in range(WARM_UP):
        bus.send(request)
        assert bus.recv(1.0) is not None
    took_s: list[float] = []
    start_s = now_s = time.perf_counter()
    while now_s - start_s < seconds:
        before_s = now_s
        bus.send(request)
        assert bus.recv(1.0) is not None
        now_s = time.perf_counter()
        took_s.append(now_s - before_s)
    bus.shutdown()
    took_s.sort()
    count = len(took_s)
    return Asked(
        took_s[count // 2] * 1e3, took_s[count * 99 // 100] * 1e3, count / (now_s - start_s)
    )


if __name__ == "__main__":
    mode, port, amount = sys.argv[1], sys.argv[2], float(sys.argv[3])
    found = (
        _count(port, int(amount))
        if mode == "count"
        else _recv(port, int(amount))
        if mode == "recv"
        else _ask(port, amount)
    )
    print(json.dumps(asdict(found)))
