"""ELM327 model at its own pace: the waits of the datasheet, on the wall clock.

`telerig device obd`, an ELM327 v1.5 at 38400 baud with an ECU that answers within 1 ms. A client
that only writes and reads asks for RPM without a response digit, so the adapter listens for
further ECUs for the whole time set by ATST (datasheet: hh x 4 ms); then it asks for a PID that no
ECU has.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import serial  # type: ignore[import-untyped]

from tests.benchmarks.devices import telerig_device
from tests.benchmarks.figures import Beside, Goal, Row

SCENARIO = """\
rig: 1
name: quick ECU
needs: [obd]
world:
  obd: {profile: elm327_v15, baud: 38400, ecu_latency: 1 ms}
phases:
  - {idle: 10 min}
limits:
  readings.lost: {equals: 0}
"""
PUBLISHED_QUERIES_PER_S = 4.9
TOLERANCE = 0.05
RUNS, QUERIES, SILENT_QUERIES = 5, 20, 3
READ_TIMEOUT_S = 5.0


def measure(quick: bool) -> list[Row]:
    """Time the answers at ST 32, at ST 0A, and the silence at ST FF."""
    runs = 1 if quick else RUNS
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        scenario = folder / "quick.scenario.yaml"
        scenario.write_text(SCENARIO, encoding="utf-8")
        device = stack.enter_context(telerig_device("obd", "--scenario", str(scenario)))
        port = stack.enter_context(serial.Serial(device.port, 38400, timeout=READ_TIMEOUT_S))
        for command in ("ATZ", "ATE0", "ATH1", "ATSP6", "0100"):
            _ask(port, command)
        default_hz = [_rate_hz(port, ("ATST32", "ATAT0"), QUERIES) for _ in range(runs)]
        short_hz = [_rate_hz(port, ("ATST0A", "ATAT0"), QUERIES) for _ in range(runs)]
        _ask(port, "ATSTFF")
        silent_ms = [_silence_ms(port) for _ in range(runs * SILENT_QUERIES)]
    least, most = (PUBLISHED_QUERIES_PER_S * (1 + sign * TOLERANCE) for sign in (-1, 1))
    published = Beside("published, and obdsim", PUBLISHED_QUERIES_PER_S)
    return [
        Row("ATST32, ATAT0", default_hz, "queries/s", Goal(least, most), published),
        Row("ATST0A, ATAT0", short_hz, "queries/s", beside=Beside("expected about", 20)),
        Row("ATSTFF, silent PID: NO DATA after", silent_ms, "ms", Goal(1010, 1030)),
    ]


def _rate_hz(port: serial.Serial, settings: tuple[str, ...], count: int) -> float:
    for command in settings:
        assert "OK" in _ask(port, command)
    start_s = time.perf_counter()
    for _ in range(count):
        assert "41 0C" in _ask(port, "010C")
    return count / (time.perf_counter() - start_s)


def _silence_ms(port: serial.Serial) -> float:
    start_s = time.perf_counter()
    assert "NO DATA" in _ask(port, "01FF")
    return (time.perf_counter() - start_s) * 1e3


def _ask(port: serial.Serial, command: str) -> str:
    port.write(command.encode() + b"\r")
    reply: bytes = port.read_until(b">")
    assert reply.endswith(b">"), f"{command}: expected a prompt, got {reply!r}"
    return reply.decode("ascii", "replace")
