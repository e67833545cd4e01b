"""python-can's client for socketcand, in a process of its own: counts, or asks.

`python -m tests.benchmarks.socketcand_client count PORT FRAMES` reads FRAMES, numbered;
`… ask PORT SECONDS` asks flat out and times the replies;
`… pump PORT FRAMES` reads the bytes without python-can.
Prints what it found as JSON.
"""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time

import can

from tests.benchmarks.socketcand_world import ASK, CONTENTS, START

PATIENCE_S = 2.0
WARM_UP = 200


def run(what: str, port: int, amount: float) -> dict[str, float]:
    """Start a client and wait for what it found."""
    client = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.socketcand_client", what, str(port), str(amount)],
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(client.stdout)
    return found


def _opened(port: int) -> can.BusABC:
    logging.getLogger("can").setLevel(logging.CRITICAL)
    return can.Bus(interface="socketcand", channel="can0", host="127.0.0.1", port=port)


def _count(port: int, frames: int) -> dict[str, float]:
    bus = _opened(port)
    bus.send(can.Message(arbitration_id=START, is_extended_id=False))
    received = disordered = 0
    start_s = now_s = time.perf_counter()
    cpu_s = time.process_time()
    while received < frames:
        message = bus.recv(PATIENCE_S)
        if message is None:
            break
        if int.from_bytes(message.data[:4], "big") != received % CONTENTS:
            disordered += 1
        received += 1
        now_s = time.perf_counter()
    cpu_s = time.process_time() - cpu_s
    bus.shutdown()
    return {
        "frames": received,
        "disordered": disordered,
        "frames_per_s": received / (now_s - start_s),
        "cpu_us": cpu_s / max(1, received) * 1e6,
    }


def _pump(port: int, frames: int) -> dict[str, float]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
        client.recv(100)
        for command in (b"< open can0 >", b"< rawmode >"):
            client.sendall(command)
            client.recv(100)
        client.sendall(b"< send 001 0 >")
        received = 0
        start_s = time.perf_counter()
        while received < frames:
            received += client.recv(1 << 16).count(b">")
        return {"frames": received, "frames_per_s": received / (time.perf_counter() - start_s)}


def _ask(port: int, seconds: float) -> dict[str, float]:
    bus = _opened(port)
    question = can.Message(arbitration_id=ASK, data=bytes(8), is_extended_id=False)
    took_s: list[float] = []
    end_s = time.perf_counter() + seconds
    now_s = 0.0
    while now_s < end_s:
        start_s = time.perf_counter()
        bus.send(question)
        message = bus.recv(PATIENCE_S)
        assert message is not None
        now_s = time.perf_counter()
        took_s.append(now_s - start_s)
    bus.shutdown()
    took_s = sorted(took_s[WARM_UP:])
    count = len(took_s)
    return {"p50_ms": took_s[count // 2] * 1e3, "p99_ms": took_s[count * 99 // 100] * 1e3}


if __name__ == "__main__":
    what, port, amount = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    if what == "ask":
        found = _ask(port, amount)
    else:
        found = {"count": _count, "pump": _pump}[what](port, int(amount))
    print(json.dumps(found))
