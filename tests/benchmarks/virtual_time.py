"""Virtual time: simulated seconds per second of one core, and what a query and a sentence cost.

A virtual run with everything real: python-OBD, pyserial and pynmea2 on PTYs, the gateway, its
WebSocket and its PostgreSQL. python-OBD asks five PIDs flat out; the receiver sends RMC, GGA,
GSA, VTG and GSV ten times a second (100 sentences). Costs come from differences between runs.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.record.reader import RecordReader
from rig.runner.databases import URL_VARIABLE
from rig.runner.runner import Request, Runner
from rig.scenario import load_scenario
from server.store.embedded import EmbeddedPostgres
from tests.benchmarks.figures import Beside, Goal, Options, Row
from tests.benchmarks.machine import cost_of_children, one_core

SCENARIO = """\
rig: 1
name: {name}
needs: [{needs}]
seed: 1
world:
  vehicle: focus_st
  obd: {{profile: stn_fast, baud: 115200, ecu_latency: [{ecu}]}}
  gps: {{profile: ublox_m8, rate: 10 Hz, baud: 115200, sentences: [RMC, GGA, GSA, VTG, GSV]}}
gateway:
  plan:
    {{RPM: 1000 Hz, SPEED: 1000 Hz, ENGINE_LOAD: 1000 Hz, THROTTLE_POS: 1000 Hz,
      COOLANT_TEMP: 1000 Hz}}
  flush: {flush}
  publish: {publish}
phases:
  - {{cruise: {{speed: 100 km/h, for: {drive_s} s}}}}
limits:
  readings.lost: {{equals: 0}}
"""
DRIVE_S, QUICK_DRIVE_S, SHORT_DRIVE_S = 285, 45, 1
RUNS = 3
# python-OBD over a port that answers at once: its own CPU, in microseconds a query.
OWN_COST = """
import time, serial, obd
serial.protocol_handler_packages.append("tests.benchmarks")
obd.logger.setLevel("ERROR")
connection = obd.OBD("trivial://", baudrate=115200, protocol="6")
c = obd.commands
plan = (c.RPM, c.SPEED, c.ENGINE_LOAD, c.THROTTLE_POS, c.COOLANT_TEMP)
for _ in range(3):
    assert all(not connection.query(command).is_null() for command in plan)
count, start = 0, time.process_time()
while time.process_time() - start < 2.0:
    for command in plan:
        connection.query(command)
    count += len(plan)
print((time.process_time() - start) / count * 1e6)
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of run."""

    name: str
    needs: str = "obd, gps"
    ecu: str = "8 ms, 20 ms"
    flush: str = "500 ms"
    publish: str = "50 ms"
    preload: str = ""
    is_short: bool = False


# 24 queries a simulated second: what a good real car gives. The models and the gateway are the
# same.
REAL = Variant("24 queries/s", ecu="30 ms, 42 ms")
FLAT_OUT = Variant("flat out")
NO_GPS = Variant("no gps", needs="obd")
NO_OBD = Variant("no obd", needs="gps")
RARE_FLUSH = Variant("a commit each 5 s", flush="5 s")
RARE_PUBLISH = Variant("published each 500 ms", publish="500 ms")
NO_OBSERVER = Variant("no web client", ecu=REAL.ecu, preload="no_observer")
WEB = Variant("4 WebSocket clients and 4 HTTP requests/s", ecu=REAL.ecu, preload="web_clients")
START = Variant("start alone", is_short=True)
VARIANTS = (REAL, FLAT_OUT, NO_GPS, NO_OBD, RARE_FLUSH, RARE_PUBLISH, NO_OBSERVER, WEB, START)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run: wall seconds from its first simulated second on, CPU seconds of the process."""

    sim_s: float
    wall_s: float
    cpu_s: float
    queries: int
    sentences: int
    commits: int


def measure(options: Options) -> list[Row]:
    runs = 1 if options.quick else RUNS
    outcomes: dict[Variant, list[Outcome]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder = Path(text)
        with _database_beside(), one_core(), Runner(folder / "runs") as runner:
            _run(runner, folder, START, options)  # warms the caches
            # One after another and again from the start: a busy minute then hits every variant.
            for _ in range(runs):
                for variant in VARIANTS:
                    outcomes[variant].append(_run(runner, folder, variant, options))
        with one_core(), Runner(folder / "runs") as runner:
            _run(runner, folder, START, options)  # starts PostgreSQL on the same core
            shared = [_run(runner, folder, REAL, options) for _ in range(runs)]
    middle = {variant: _median(found) for variant, found in outcomes.items()}
    return [*_speed(middle, _median(shared)), *_costs(middle)]


def _speed(middle: dict[Variant, Outcome], shared: Outcome) -> list[Row]:
    real, flat, web = middle[REAL], middle[FLAT_OUT], middle[WEB]
    unwatched = middle[NO_OBSERVER]
    goal = Goal(least=50)
    per_wall, per_cpu = "simulated s / wall s", "simulated s / CPU s"
    queries_s = real.queries / real.sim_s
    return [
        Row("queries a simulated second", queries_s, "1/s", goal=Goal(least=23)),
        Row(
            "speed",
            real.sim_s / real.wall_s,
            per_wall,
            Beside("strong goal", 80),
            goal,
        ),
        Row(
            "speed, PostgreSQL on the same core", shared.sim_s / shared.wall_s, per_wall, goal=goal
        ),
        Row("speed by CPU, start included", real.sim_s / real.cpu_s, per_cpu, goal=goal),
        Row(
            f"speed at {flat.queries / flat.sim_s:.0f} queries a simulated second",
            flat.sim_s / flat.wall_s,
            per_wall,
            goal=goal,
        ),
        Row("the same by CPU", flat.sim_s / flat.cpu_s, per_cpu, goal=goal),
        Row("speed without a web client", unwatched.sim_s / unwatched.wall_s, per_wall, goal=goal),
        Row(
            "speed with " + WEB.name,
            web.sim_s / web.wall_s,
            per_wall,
            goal=Goal(least=25),
        ),
        Row("queries", flat.queries / flat.cpu_s, "1 / CPU s"),
    ]


def _costs(middle: dict[Variant, Outcome]) -> list[Row]:
    flat, start = middle[FLAT_OUT], middle[START]
    own_us = float(
        subprocess.run(
            [sys.executable, "-c", OWN_COST], check=True, stdout=subprocess.PIPE
        ).stdout.split()[-1]
    )
    query_us = (flat.cpu_s - middle[NO_OBD].cpu_s) / flat.queries * 1e6
    sentence_us = (flat.cpu_s - middle[NO_GPS].cpu_s) / flat.sentences * 1e6
    rare = middle[RARE_FLUSH]
    commit_us = (flat.cpu_s - rare.cpu_s) / max(1, flat.commits - rare.commits) * 1e6
    ticks = flat.sim_s * (20 - 2)
    publish_us = (flat.cpu_s - middle[RARE_PUBLISH].cpu_s) / ticks * 1e6
    # The short run has 16 simulated seconds in it, which are no start.
    per_sim_s = (flat.cpu_s - start.cpu_s) / (flat.sim_s - start.sim_s)
    unit = "us CPU"
    return [
        Row("a query", query_us, unit, Beside("python-OBD's own", own_us)),
        Row("an NMEA sentence", sentence_us, unit),
        Row("a commit (PostgreSQL's own CPU not counted)", commit_us, unit),
        Row("a publication to one WebSocket, both ends", publish_us, unit),
        Row("a simulated second flat out", per_sim_s * 1e6, unit),
        Row("the start of a worker", (start.cpu_s - per_sim_s * start.sim_s) * 1e6, unit),
    ]


def _run(runner: Runner, folder: Path, variant: Variant, options: Options) -> Outcome:
    drive_s = SHORT_DRIVE_S if variant.is_short else QUICK_DRIVE_S if options.quick else DRIVE_S
    path = folder / "flat_out.scenario.yaml"
    path.write_text(
        SCENARIO.format(
            name=variant.name,
            needs=variant.needs,
            ecu=variant.ecu,
            flush=variant.flush,
            publish=variant.publish,
            drive_s=drive_s,
        ),
        encoding="utf-8",
    )
    preload = f"tests.benchmarks.preloads:{variant.preload}" if variant.preload else ""
    scenario = load_scenario(path)
    with cost_of_children() as cost:
        run = runner.run(Request(scenario, seed=1, mode="virtual", preload=preload))
    if run.failure:
        raise RuntimeError(f"{variant.name}: {run.failure}")
    record = RecordReader(run.folder)
    counters = record.manifest.result["counters"]
    return Outcome(
        sim_s=run.sim_s,
        wall_s=run.wall_s,
        cpu_s=cost.cpu_s,
        queries=counters.get("obd", {}).get("queries", 0),
        sentences=counters.get("gps", {}).get("sentences", 0),
        commits=len(record.stored_at),
    )


def _median(found: list[Outcome]) -> Outcome:
    return Outcome(
        sim_s=found[0].sim_s,
        wall_s=statistics.median(outcome.wall_s for outcome in found),
        cpu_s=statistics.median(outcome.cpu_s for outcome in found),
        queries=found[0].queries,
        sentences=found[0].sentences,
        commits=found[0].commits,
    )


@contextlib.contextmanager
def _database_beside() -> Iterator[None]:
    """PostgreSQL on any core, as in production; only world and gateway share one."""
    if os.environ.get(URL_VARIABLE):
        yield
        return
    server = EmbeddedPostgres(durable=False)
    os.environ[URL_VARIABLE] = str(server.start())
    try:
        yield
    finally:
        del os.environ[URL_VARIABLE]
        server.stop()
