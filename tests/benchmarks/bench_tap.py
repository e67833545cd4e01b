"""A tap on a real adapter: the gateway flat out at ELM327-emulator, with a tap and without.

Whole runs on a bench: the emulator and the gateway are processes of their own, the tap stands in
the process of the world. What is told is the time from one reading to the next, of one PID that is
asked again and again. TELERIG_ELM_EMULATOR names the emulator's program (or `elm` on PATH).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rig.measures.measures import measure as figures_of
from rig.record.reader import RecordReader
from rig.runner.runner import Request, Runner
from rig.scenario import load_scenario
from tests.benchmarks.figures import Beside, Row

SCENARIO = """\
rig: 1
needs: [obd, gps]
gateway: {{plan: {{RPM: 1000 Hz}}}}
phases: [{{idle: {duration_s} s}}]
limits: {{readings.lost: {{equals: 0}}}}
"""
START_LIMIT_S = 20.0
PERCENTILES = (50, 95, 99)


def measure(quick: bool) -> list[Row]:
    """Run with and without a tap, in turn."""
    program = os.environ.get("TELERIG_ELM_EMULATOR") or shutil.which("elm")
    if program is None:
        return []
    times: dict[bool, list[list[float]]] = {True: [], False: []}
    counts: dict[bool, list[float]] = {True: [], False: []}
    latency_ms: list[list[float]] = []
    duration_s = 10 if quick else 30
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Runner(Path(name)) as runner:
        for _ in range(1 if quick else 3):
            for tapped in (False, True):
                run = _run(runner, Path(name), program, duration_s, tapped=tapped)
                record = RecordReader(run)
                link = figures_of(record).links["obd"]
                inside = link.received_ns[link.received_ns > record.manifest.start_ns]
                steps_ms = np.diff(inside) / 1e6
                times[tapped].append([float(np.percentile(steps_ms, p)) for p in PERCENTILES])
                counts[tapped].append(len(inside) / duration_s)
                if tapped:
                    found = link.latency_series("received")[1]
                    latency_ms.append([float(np.percentile(found, p)) for p in PERCENTILES])
    rows = []
    for column, percent in enumerate(PERCENTILES):
        straight = [each[column] for each in times[False]]
        beside = Beside("without a tap", sorted(straight)[len(straight) // 2])
        through = [each[column] for each in times[True]]
        rows.append(Row(f"reading to reading, p{percent}", through, "ms", beside=beside))
    for column, percent in enumerate(PERCENTILES):
        values = [each[column] for each in latency_ms]
        rows.append(Row(f"last byte at the tap to received, p{percent}", values, "ms"))
    beside = Beside("without a tap", sorted(counts[False])[len(counts[False]) // 2])
    return [*rows, Row("readings", counts[True], "/s", beside=beside)]


def _run(runner: Runner, folder: Path, program: str, duration_s: int, *, tapped: bool) -> Path:
    scenario, bench = folder / "flat_out.scenario.yaml", folder / "desk.yaml"
    scenario.write_text(SCENARIO.format(duration_s=duration_s))
    with _emulator(program, folder) as place:
        tap = "true" if tapped else "false"
        bench.write_text(f"bench: 1\nlinks: {{obd: {{real: {place}, tap: {tap}}}}}\n")
        run = runner.run(Request(load_scenario(scenario), 1, "paced", bench=bench))
    assert not run.failure, run.failure
    return run.folder


@contextlib.contextmanager
def _emulator(program: str, folder: Path) -> Iterator[Path]:
    batch, place = folder / "emulator.txt", folder / "adapter"
    batch.unlink(missing_ok=True)
    process = subprocess.Popen(
        [program, "-s", "car", "-b", batch],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline_s = time.monotonic() + START_LIMIT_S
        while not (batch.exists() and "\n" in batch.read_text()):
            assert time.monotonic() < deadline_s, "the emulator did not offer a port"
            time.sleep(0.05)
        place.symlink_to(batch.read_text().partition("\n")[0].strip())
        yield place
    finally:
        place.unlink(missing_ok=True)
        process.kill()
        process.wait()
