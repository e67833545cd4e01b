"""Virtual time: simulated seconds per second of one core, and what each thing costs.

Virtual runs with everything real: python-OBD, pyserial and pynmea2 on PTYs, the gateway, its
WebSocket with one client, and its PostgreSQL. python-OBD asks for five PIDs flat out; the ECU
needs 28 to 40 ms, so that there are 25 answers a second. The receiver measures 10 times a second
and sends RMC and GGA (20 sentences/s) or all that it has (100). World and gateway share one core;
PostgreSQL may use another unless said otherwise. Costs are differences between runs, in CPU time.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.record.reader import RecordReader
from rig.runner.databases import URL_VARIABLE
from rig.runner.runner import Request, Runner
from rig.scenario import load_scenario
from server.store.embedded import EmbeddedPostgres
from tests.benchmarks.devices import trivial_adapter
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.machine import cores, cost_of_children
from tests.benchmarks.obd_client import ask_in_process

SCENARIO = """\
rig: 1
name: {name}
needs: [obd, gps]
seed: 1
world:
  obd: {{profile: stn_fast, baud: 115200, ecu_latency: [{ecu}]}}
  gps: {{profile: ublox_m8, rate: 10 Hz, baud: 115200, sentences: [{sentences}]}}
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
OWN_COST_S = 2.0
GOAL, STRONG_GOAL, CROWD_GOAL = Goal(50), Goal(80), Goal(25)
QUERIES_GOAL = Goal(23)


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of run."""

    name: str
    ecu: str = "28 ms, 40 ms"
    sentences: str = "RMC, GGA"
    flush: str = "500 ms"
    publish: str = "50 ms"
    preload: str = ""
    is_short: bool = False


BASE = Variant("25 queries/s, 20 sentences/s")
TALKATIVE = Variant("25 queries/s, 100 sentences/s", sentences="RMC, GGA, GSA, VTG, GSV")
QUICK_ECU = Variant("50 queries/s, 20 sentences/s", ecu="8 ms, 20 ms")
COMMITS = Variant("a commit each 50 ms", flush="50 ms")
RARE_PUBLISH = Variant("published each 500 ms", publish="500 ms")
UNWATCHED = Variant("no WebSocket client", preload="no_observer")
CROWD = Variant("4 WebSocket clients, 4 HTTP requests/s", preload="web_clients")
START = Variant("start alone", is_short=True)
VARIANTS = (BASE, TALKATIVE, QUICK_ECU, COMMITS, RARE_PUBLISH, UNWATCHED, CROWD, START)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run: wall seconds of its simulated time, CPU seconds of the whole process."""

    sim_s: float
    wall_s: float
    cpu_s: float
    queries: int
    sentences: int
    commits: int


Outcomes = dict[Variant, list[Outcome]]


class Bench:
    """Runs variants, each in a worker of its own."""

    def __init__(self, runner: Runner, folder: Path, quick: bool) -> None:
        self._runner = runner
        self._folder = folder
        self._drive_s = QUICK_DRIVE_S if quick else DRIVE_S

    def run(self, variant: Variant, preload: str = "") -> Outcome:
        """Run once."""
        if not preload and variant.preload:
            preload = f"tests.benchmarks.preloads:{variant.preload}"
        path = self._folder / "bench.scenario.yaml"
        drive_s = SHORT_DRIVE_S if variant.is_short else self._drive_s
        path.write_text(
            SCENARIO.format(
                name=variant.name,
                ecu=variant.ecu,
                sentences=variant.sentences,
                flush=variant.flush,
                publish=variant.publish,
                drive_s=drive_s,
            ),
            encoding="utf-8",
        )
        # Anew: the CPU time of what a nursery forked would be known only when the nursery ends.
        request = Request(load_scenario(path), seed=1, mode="virtual", preload=preload, anew=True)
        with cost_of_children() as cost:
            run = self._runner.run(request)
        if run.failure:
            raise RuntimeError(f"{variant.name}: {run.failure}")
        record = RecordReader(run.folder)
        counters = record.manifest.result["counters"]
        return Outcome(
            sim_s=run.sim_s,
            wall_s=run.wall_s,
            cpu_s=cost.cpu_s,
            queries=counters["obd"]["queries"],
            sentences=counters["gps"]["sentences"],
            commits=len(record.stored_at),
        )


def measure(quick: bool) -> list[Row]:
    """Run every variant, one after another and again from the start."""
    runs = 1 if quick else RUNS
    outcomes: Outcomes = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder = Path(text)
        with database_beside(), Runner(folder / "runs") as runner:
            bench = Bench(runner, folder, quick)
            with cores(1):
                bench.run(START)  # warms the caches
                # A busy minute of the machine then hits every variant, and not one alone.
                for _ in range(runs):
                    for variant in VARIANTS:
                        outcomes[variant].append(bench.run(variant))
            loose = [bench.run(BASE) for _ in range(runs)]
        with cores(1), Runner(folder / "runs") as runner:
            bench = Bench(runner, folder, quick)
            bench.run(START)  # starts PostgreSQL on the same core
            shared = [bench.run(BASE) for _ in range(runs)]
    return [*_speeds(outcomes, loose, shared), *_costs(outcomes)]


def _speeds(outcomes: Outcomes, loose: list[Outcome], shared: list[Outcome]) -> list[Row]:
    base, unit = outcomes[BASE], "simulated s / wall s"
    queries_per_s = [each.queries / each.sim_s for each in base]
    by_cpu = [
        (each.sim_s - start.sim_s) / (each.cpu_s - start.cpu_s)
        for each, start in zip(base, outcomes[START], strict=True)
    ]
    return [
        Row("queries a simulated second", queries_per_s, "1/s", QUERIES_GOAL),
        Row(f"speed: {BASE.name}", _per_wall(base), unit, GOAL),
        Row("the same, strong goal", _per_wall(base), unit, STRONG_GOAL),
        Row("the same by CPU", by_cpu, "simulated s / CPU s", GOAL),
        Row("the same, no core set", _per_wall(loose), unit, GOAL),
        Row("the same, PostgreSQL on the same core", _per_wall(shared), unit, GOAL),
        Row(f"speed: {TALKATIVE.name}", _per_wall(outcomes[TALKATIVE]), unit, GOAL),
        Row(f"speed: {QUICK_ECU.name}", _per_wall(outcomes[QUICK_ECU]), unit),
        Row(f"speed: {UNWATCHED.name}", _per_wall(outcomes[UNWATCHED]), unit, GOAL),
        Row(f"speed: {CROWD.name}", _per_wall(outcomes[CROWD]), unit, CROWD_GOAL),
    ]


def _costs(outcomes: Outcomes) -> list[Row]:
    # Other programs only ever add CPU time, so the least of several runs is nearest to the truth.
    least = {variant: min(found, key=_cpu_s) for variant, found in outcomes.items()}
    base, start, rare = least[BASE], least[START], least[RARE_PUBLISH]
    query_us = _more(base, least[QUICK_ECU], "queries")
    publish_us = (base.cpu_s - rare.cpu_s) / (base.sim_s * (20 - 2)) * 1e6
    per_sim_s = (base.cpu_s - start.cpu_s) / (base.sim_s - start.sim_s)
    alone_us = ask_in_process("trivial://", OWN_COST_S).cpu_us
    with trivial_adapter() as device:
        own_us = ask_in_process(device.port, OWN_COST_S).cpu_us
    unit = "us CPU"
    own, alone = Beside("python-OBD, PTY", own_us), Beside("python-OBD, no port", alone_us)
    return [
        Row("a query more", [query_us], unit, beside=own),
        Row("the same", [query_us], unit, beside=alone),
        Row("queries", [1e6 / query_us], "1 / CPU s", beside=Beside(own.name, 1e6 / own_us)),
        Row("an NMEA sentence more", [_more(base, least[TALKATIVE], "sentences")], unit),
        Row("a commit more, without PostgreSQL", [_more(base, least[COMMITS], "commits")], unit),
        Row("a publication more, both ends of a WebSocket", [publish_us], unit),
        Row("a simulated second", [per_sim_s * 1e6], unit),
        Row("the start of a worker", [start.cpu_s - per_sim_s * start.sim_s], "s CPU"),
    ]


def _more(less: Outcome, more: Outcome, what: str) -> float:
    """CPU microseconds for each `what` that one run had more than the other."""
    count: int = getattr(more, what) - getattr(less, what)
    return (more.cpu_s - less.cpu_s) / count * 1e6


def _cpu_s(outcome: Outcome) -> float:
    return outcome.cpu_s


def _per_wall(found: list[Outcome]) -> list[float]:
    return [each.sim_s / each.wall_s for each in found]


@contextlib.contextmanager
def database_beside() -> Iterator[None]:
    """PostgreSQL on any core, as in production; only world and gateway share one."""
    if os.environ.get(URL_VARIABLE):
        yield
        return
    with EmbeddedPostgres(durable=False) as server:
        os.environ[URL_VARIABLE] = server.start()
        try:
            yield
        finally:
            del os.environ[URL_VARIABLE]
