"""Asks an adapter flat out through python-OBD, in a process of its own, and says what it cost.

`python -m tests.benchmarks.obd_client PORT SECONDS` prints one `Asked` as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

WARM_UP = 50


@dataclass(frozen=True, slots=True)
class Asked:
    """How fast the answers came, and the CPU time of the asking process."""

    queries_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def ask_in_process(port: str, seconds: float) -> Asked:
    """Start a client process and wait for what it found."""
    client = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.obd_client", port, str(seconds)],
        check=True,
        stdout=subprocess.PIPE,
    )
    return Asked(**json.loads(client.stdout.splitlines()[-1]))


def _ask(port: str, seconds: float) -> Asked:
    import obd
    import serial  # type: ignore[import-untyped]

    serial.protocol_handler_packages.append("tests.benchmarks")
    obd.logger.setLevel("ERROR")
    connection = obd.OBD(port, baudrate=115200, protocol="6")
    commands = (obd.commands.RPM, obd.commands.SPEED)
    for number in range(WARM_UP):
        assert not connection.query(commands[number % 2]).is_null()
    took_s: list[float] = []
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    now_s = start_s
    while now_s - start_s < seconds:
        response = connection.query(commands[len(took_s) % 2])
        before_s, now_s = now_s, time.perf_counter()
        took_s.append(now_s - before_s)
        assert not response.is_null()
    cpu_s, wall_s = time.process_time() - start_cpu_s, now_s - start_s
    connection.close()
    took_s.sort()
    count = len(took_s)
    return Asked(
        queries_per_s=count / wall_s,
        p50_ms=took_s[count // 2] * 1e3,
        p99_ms=took_s[count * 99 // 100] * 1e3,
        cpu_us=cpu_s / count * 1e6,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(_ask(sys.argv[1], float(sys.argv[2])))))
