"""Asks a car flat out through the gateway's own OBD over CAN, in a process of its own.

`python -m tests.benchmarks.can_obd_client OPTIONS SECONDS SEVERAL` prints one `Asked` as JSON;
OPTIONS is the table `can` of a link as JSON, SEVERAL how many PIDs a question has.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

from server.catalogue import by_name
from server.clock import SystemClock
from server.config_section import Section, Where
from server.obd.backend import Trouble
from server.obd.can.backend import CanObd
from server.obd.can.options import CanObdOptions
from tests.benchmarks.obd_client import WARM_UP, Asked

NAMES = ("RPM", "SPEED", "COOLANT_TEMP", "THROTTLE_POS", "INTAKE_PRESSURE", "ENGINE_LOAD")


def ask_in_process(options: Mapping[str, object], seconds: float, several: int) -> Asked:
    """Start a client process and wait for what it found."""
    client = subprocess.run(
        [
            sys.executable, "-m", "tests.benchmarks.can_obd_client",
            json.dumps(options), str(seconds), str(several),
        ],
        check=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    return Asked(**json.loads(client.stdout.splitlines()[-1]))


def _ask(table: Mapping[str, object], seconds: float, several: int) -> Asked:
    options = CanObdOptions.parse(Section(table, Where("benchmark")))
    backend = CanObd(options, SystemClock(), None, Counter())
    backend.connect()
    signals = [by_name(name) for name in NAMES]
    backend.supported(signal.id for signal in signals)
    questions = [backend.question(signal) for signal in signals]

    def ask(number: int) -> None:
        if several == 1:
            assert backend.ask(questions[number % 2]) is not None
        else:
            values = backend.ask_together(questions[:several])
            assert not any(isinstance(value, Trouble) for value in values)

    for number in range(WARM_UP):
        ask(number)
    took_s: list[float] = []
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    now_s = start_s
    while now_s - start_s < seconds:
        ask(len(took_s))
        before_s, now_s = now_s, time.perf_counter()
        took_s.append(now_s - before_s)
    cpu_s, wall_s = time.process_time() - start_cpu_s, now_s - start_s
    backend.close()
    took_s.sort()
    count = len(took_s)
    return Asked(
        queries_per_s=count / wall_s,
        p50_ms=took_s[count // 2] * 1e3,
        p99_ms=took_s[count * 99 // 100] * 1e3,
        cpu_us=cpu_s / count * 1e6,
    )


if __name__ == "__main__":
    found = _ask(json.loads(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(asdict(found)))
