"""Wires: what a tap costs, and how fast a recorded drive is played.

The tap stands between a client and a PTY whose other end echoes in a process of its own; the same
client at that PTY directly is what it is compared with. A drive of 8 minutes is recorded in virtual
time, and its wires are played to the same gateway.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import serial  # type: ignore[import-untyped]

from rig.record.reader import RecordReader
from rig.runner.runner import Request, Run, Runner
from rig.scenario import load_scenario
from rig.wires.diff import diff, read_rules
from rig.wires.kept import series_of
from rig.wires.scenario_file import write_scenario
from rig.wires.tap import Tap
from tests.benchmarks.figures import Beside, Goal, Row

BAUD = 115_200
REQUEST = b"010C\r"
PAUSE_S = 0.001
FRAME_S = 0.001  # a USB adapter hands over what has come on frames of a millisecond
FULL_BYTES_PER_S = BAUD // 10
MS = 1000.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SCENARIO = """
rig: 1
name: played drive
needs: [obd, gps]
seed: 7
phases: [{{cruise: {{speed: 80 km/h, for: {duration_s} s}}}}]
limits: {{readings.lost: {{equals: 0}}}}
"""


def measure(quick: bool) -> list[Row]:
    """Run everything; `quick` is short and once."""
    repeats = 1 if quick else 3
    taps = [_tap(500 if quick else 3000, 2.0 if quick else 10.0) for _ in range(repeats)]
    rows = []
    for name, part in (("p50", 0.5), ("p95", 0.95)):
        direct = [_percentile(times, part) for times, _, _, _ in taps]
        through = [_percentile(times, part) for _, times, _, _ in taps]
        beside = Beside("without a tap", sorted(direct)[len(direct) // 2])
        rows.append(Row(f"round trip through a tap, {name}", through, "ms", None, beside))
    cpu = [used for _, _, used, _ in taps]
    rows.append(Row(f"CPU of a tap at {BAUD} baud, full", cpu, "%", Goal(most=20.0)))
    rows.append(Row("bytes lost by it", [float(lost) for *_, lost in taps], "", Goal(most=0.0)))
    return rows + _played(60 if quick else 465)


# -- the tap ---------------------------------------------------------------------------------------
def _tap(times: int, full_s: float) -> tuple[list[float], list[float], float, int]:
    """Return round trips without and with a tap (ms), its CPU in % and what it lost."""
    master, slave = os.openpty()
    tty.setraw(slave)
    place = os.ttyname(slave)
    echo = multiprocessing.get_context("fork").Process(target=_echo, args=(master,), daemon=True)
    echo.start()
    direct = _round_trips(place, times)
    with _tapped(place) as (path, tap):
        through = _round_trips(path, times)
        echo.terminate()
        echo.join()
        used, lost = _full_load(master, path, tap, full_s)
    os.close(master)
    os.close(slave)
    return direct, through, used, lost


def _echo(master: int) -> None:
    while data := os.read(master, 4096):
        os.write(master, data)


@contextlib.contextmanager
def _tapped(place: str) -> Iterator[tuple[str, int]]:
    """Give the path of a tap and the number of its process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "port")
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(place, path), daemon=True
        )
        process.start()
        while not path.is_symlink():
            time.sleep(0.01)
        try:
            assert process.pid is not None
            yield str(path), process.pid
        finally:
            process.kill()
            process.join()


def _serve(place: str, path: Path) -> None:
    kept: list[bytes] = []
    tap = Tap("obd", place, baud=BAUD, path=path, on_bytes=lambda _t, _h, data: kept.append(data))
    tap.start()
    while True:
        time.sleep(60.0)


def _round_trips(place: str, times: int) -> list[float]:
    found = []
    with serial.Serial(place, BAUD, timeout=5) as client:
        time.sleep(0.2)  # the tap sees its client
        for _ in range(times):
            start_s = time.perf_counter()
            client.write(REQUEST)
            client.read(len(REQUEST))
            found.append((time.perf_counter() - start_s) * MS)
            time.sleep(PAUSE_S)
    return found


def _full_load(master: int, path: str, tap: int, duration_s: float) -> tuple[float, int]:
    """Let the device speak without a pause; return the CPU of the tap in %, and lost bytes."""
    said = heard = 0
    with serial.Serial(path, BAUD, timeout=0) as client:
        time.sleep(0.2)
        before_s, start_s = _cpu_s(tap), time.monotonic()
        while (passed_s := time.monotonic() - start_s) < duration_s:
            due = int(passed_s * FULL_BYTES_PER_S) - said
            said += os.write(master, b"x" * due) if due > 0 else 0
            heard += len(client.read(4096))
            time.sleep(FRAME_S)
        used = 100.0 * (_cpu_s(tap) - before_s) / duration_s
        time.sleep(0.2)
        while data := client.read(4096):
            heard += len(data)
    return used, said - heard


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


# -- playing ---------------------------------------------------------------------------------------
def _played(duration_s: int) -> list[Row]:
    """Record a drive, play it, and compare."""
    with tempfile.TemporaryDirectory() as folder, Runner(Path(folder, "runs")) as runner:
        path = Path(folder, "drive.scenario.yaml")
        path.write_text(SCENARIO.format(duration_s=duration_s), encoding="utf-8")
        before = _run(runner, path)
        record = RecordReader(before.folder)
        after = _run(runner, write_scenario(record, Path(folder, "played")))
        played = RecordReader(after.folder)
        result = diff(series_of(record), series_of(played), read_rules(()))
        wrong = sum(s.missing + s.extra + s.values + s.instants for s in result.signals)
        same = all(record.wire(link) == played.wire(link) for link in record.links)
    return [
        Row(
            "a drive is played, simulated s per wall s",
            [after.sim_s / after.wall_s],
            "",
            None,
            Beside("the drive itself", before.sim_s / before.wall_s),
        ),
        Row("readings that differ", [float(wrong)], "", Goal(most=0.0)),
        Row("readings compared", [float(sum(s.found for s in result.signals))], ""),
        Row("wires that are equal to the byte and nanosecond", [float(same)], "", Goal(least=1.0)),
    ]


def _run(runner: Runner, path: Path) -> Run:
    scenario = load_scenario(path)
    run = runner.run(Request(scenario, scenario.seed, "virtual"))
    assert not run.failure, run.failure
    return run
