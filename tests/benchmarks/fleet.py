"""A fleet of light vehicles on one gateway: what a vehicle costs, and what gives way first.

`telerig serve` with an embedded PostgreSQL that syncs every commit and `telerig compact` beside it,
which works every two minutes; vehicles at 1 Hz with 20 signals send a batch of ten seconds each,
over connections of their own (`rig.fleet`). First 10,000 of them for ten minutes with columns, then
more and more, a minute each, until the gateway no longer keeps up: at the end packets are left over
from one batch to the next, more than half-way, or answers take ten seconds. Then the same with
codec packets of edge loggers, from 800 on: to decode them is two thirds of what they cost. What
gave way first is named by what was busy: the gateway's process or the compactor's (one core is the
most that each can use), PostgreSQL's, the driver's, or else the disk. CPU is that of the processes;
memory is what they have more of than before the first vehicle came, resident (PostgreSQL's:
proportional, so that shared pages count once). Of the first fleet everything that was acknowledged
is compared with the database afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from rig.fleet.build import models_of, register_in
from rig.fleet.drive import FleetDrive
from rig.fleet.spec import COLUMNS, UPLINK, FleetSpec
from server.commands import LOOKS_FOR_GARBAGE_AFTER
from server.devices.registry import REFRESH_S
from server.store.embedded import EmbeddedPostgres
from sim.fleet.packets import Model
from tests.benchmarks import ingest
from tests.benchmarks.figures import Goal, Row
from tests.benchmarks.machine import TICKS_A_S, cpu_s_of

VEHICLES, RUN_S = 10_000, 600.0
QUICK_VEHICLES, QUICK_RUN_S = 500, 20.0
STEPS, STEP_S = (1.25, 1.6, 2.0, 2.5, 3.2, 4.0), 60.0
EDGE_LOGGERS = (800, 1000, 1250, 1600, 2000, 2500)
MODELS, QUICK_MODELS = 16, 2
LATE_MS = 10_000.0
BUSY = 0.85  # of a core, or of all of them
DRAIN_S = 60.0
LOOK_S = 0.25
STOP_WAIT_S = 30.0
FILES = 65_536
PARTS = ("gateway", "compactor", "postgres", "driver")
GATEWAY = """
[gateway]
device = "bench"
[http]
host = "127.0.0.1"
port = {port}
connections = {connections}
[database]
url = "{url}"
[store]
compactor = "elsewhere"
compact_after_s = 120
compact_bytes = 1073741824
[log]
format = "json"
level = "warning"
"""


@dataclass(frozen=True, slots=True)
class _Used:
    """CPU seconds, resident bytes, and bytes on disk, so far."""

    at_s: float
    gateway_s: float
    compactor_s: float
    postgres_s: float
    driver_s: float
    gateway_bytes: int
    compactor_bytes: int
    postgres_bytes: int
    driver_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class _Run:
    """One fleet for some time.

    Attributes:
        vehicles: how many.
        wire: what they sent.
        figures: of the drive.
        kept_up: whether the gateway did.
        used: at the start and at the end.
        idle: before the first vehicle.
        acknowledged: readings, from start to end.
        missing, doubled: readings; None: not looked at.
    """

    vehicles: int
    wire: str
    figures: dict[str, float]
    kept_up: bool
    used: tuple[_Used, _Used]
    idle: _Used
    acknowledged: int
    missing: int | None = None
    doubled: int | None = None

    @property
    def lasted_s(self) -> float:
        return self.used[1].at_s - self.used[0].at_s

    def cores(self, what: str) -> float:
        """Return how many cores were busy with it."""
        before, after = (getattr(used, f"{what}_s") for used in self.used)
        return float(after - before) / self.lasted_s

    @property
    def gave_way(self) -> str:
        """What was busy when the gateway did not keep up."""
        cores = os.cpu_count() or 1
        if self.cores("driver") > BUSY:
            return "driver CPU"
        for what in ("gateway", "compactor"):
            if self.cores(what) > BUSY:
                return f"{what} CPU"
        total = sum(map(self.cores, PARTS))
        return "CPU of the machine" if total > BUSY * cores else "the disk, or what else runs here"


def measure(quick: bool) -> list[Row]:
    """Drive, then step upwards."""
    _allow_files()
    gc.set_threshold(LOOKS_FOR_GARBAGE_AFTER)  # the vehicles' end pays no more for it than ours
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(quick))


async def _measure(quick: bool) -> list[Row]:
    vehicles = QUICK_VEHICLES if quick else VEHICLES
    first = _spec(vehicles, quick, COLUMNS)
    models = models_of(first, 1)
    with (
        tempfile.TemporaryDirectory(prefix="telerig-fleet-") as name,
        EmbeddedPostgres(Path(name) / "data") as server,
    ):
        server.start()
        numbers = itertools.count(1)
        runs = []
        async with _bench(Path(name), server, next(numbers)) as bench:
            runs.append(await bench.run(first, models, QUICK_RUN_S if quick else RUN_S, True))
        steps = [_spec(round(vehicles * factor), quick, COLUMNS) for factor in STEPS]
        loggers = [_spec(count, quick, UPLINK) for count in EDGE_LOGGERS]
        if quick:
            steps, loggers = [], [_spec(QUICK_VEHICLES // 5, quick, UPLINK)]
        for more in (steps if runs[0].kept_up else [], loggers):
            for spec in more:
                async with _bench(Path(name), server, next(numbers)) as bench:
                    seconds = QUICK_RUN_S if quick else STEP_S
                    runs.append(await bench.run(spec, models, seconds, False))
                if not runs[-1].kept_up:
                    break
    return _rows(runs)


def _spec(vehicles: int, quick: bool, wire: str) -> FleetSpec:
    return FleetSpec(vehicles=vehicles, models=QUICK_MODELS if quick else MODELS, wire=wire)


class _Bench:
    """A gateway and its compactor on a database of their own."""

    def __init__(
        self, folder: Path, server: EmbeddedPostgres, url: str, pids: tuple[int, int], at: str
    ) -> None:
        self._folder = folder
        self._server = server
        self._url = url
        self._gateway, self._compactor = pids
        self._at = at

    async def run(
        self, spec: FleetSpec, models: Sequence[Model], seconds: float, compare: bool
    ) -> _Run:
        """Drive a fleet."""
        keys = await register_in(self._url, spec.devices, 1)
        await asyncio.sleep(REFRESH_S + 1.0)  # until the gateway has read them
        idle = self._used()
        async with FleetDrive(spec, [self._at], keys, seed=1, models=models) as drive:
            await asyncio.sleep(2.0 * spec.batch_s)  # hellos, and every vehicle on its way
            before, packets = self._used(), len(drive.record)
            left = await _left_over(drive, spec, seconds / 2.0)
            left_at_end = await _left_over(drive, spec, seconds / 2.0)
            used = before, self._used()
            taken = (len(drive.record) - packets) * models[0].readings_each
            is_growing = left_at_end > max(2 * left, spec.vehicles // 10)
            drained = await drive.finish(DRAIN_S)
            figures = drive.figures()
        late = figures["latency_p99_ms"] > 1000.0 * spec.batch_s + LATE_MS
        kept_up = drained and not (is_growing or late)
        if not compare:
            return _Run(spec.vehicles, spec.wire, figures, kept_up, used, idle, taken)
        found = await drive.check(self._url)
        lost, doubled = found.missing, found.doubled
        return _Run(spec.vehicles, spec.wire, figures, kept_up, used, idle, taken, lost, doubled)

    def _used(self) -> _Used:
        postgres = _family(self._server.pid or 0)
        return _Used(
            at_s=time.monotonic(),
            gateway_s=cpu_s_of(self._gateway),
            compactor_s=cpu_s_of(self._compactor),
            postgres_s=sum(map(_cpu_s, postgres)) + _reaped_s(postgres[0]),
            driver_s=time.process_time(),
            gateway_bytes=_memory(self._gateway, "Rss"),
            compactor_bytes=_memory(self._compactor, "Rss"),
            postgres_bytes=sum(_memory(pid, "Pss") for pid in postgres),
            driver_bytes=_memory(os.getpid(), "Rss"),
            disk_bytes=_disk(self._server.data_dir or self._folder),
        )


async def _left_over(drive: FleetDrive, spec: FleetSpec, seconds: float) -> int:
    """Wait; give the fewest packets that waited at an instant of the last two batches.

    A cycle of the compactor makes some thousand wait for some seconds, and then they are served: it
    is no backlog. One that grows is never empty.
    """
    looked_s = min(2.0 * spec.batch_s, seconds)
    await asyncio.sleep(seconds - looked_s)
    fewest = spec.vehicles
    for _ in range(round(looked_s / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        fewest = min(fewest, drive.driver.waiting)
    return fewest


@contextlib.asynccontextmanager
async def _bench(folder: Path, server: EmbeddedPostgres, number: int) -> AsyncIterator[_Bench]:
    """Start a gateway on a new database, and its compactor."""
    url = server.create_database(f"fleet_{number}")
    port = ingest._free_port()
    file = folder / f"gateway-{number}.toml"
    file.write_text(GATEWAY.format(port=port, url=url, connections=FILES - 1000), encoding="utf-8")
    telerig = str(Path(sys.executable).with_name("telerig"))
    with ingest._served([telerig, "serve", "--config", str(file)], port) as pid:
        compactor = subprocess.Popen([telerig, "compact", "--config", str(file)])  # noqa: ASYNC220
        try:
            yield _Bench(folder, server, url, (pid, compactor.pid), f"http://127.0.0.1:{port}")
        finally:
            compactor.terminate()
            if compactor.wait(STOP_WAIT_S):
                raise SystemExit(f"telerig compact ended with {compactor.returncode}")


def _allow_files() -> None:
    """Let this process, and what it starts, have a connection for each vehicle."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))


def _family(pid: int) -> list[int]:
    """Give a process and its children."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [pid, *map(int, listed.split())]


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):  # a backend that has just ended
        return cpu_s_of(pid)
    return 0.0


def _reaped_s(pid: int) -> float:
    """Give the CPU seconds of children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS_A_S


def _memory(pid: int, what: str) -> int:
    """Give resident ("Rss") or proportional ("Pss") bytes of a process."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        return int(text.partition(f"\n{what}:")[2].split()[0]) * 1024
    return 0


def _disk(folder: Path) -> int:
    """Give the bytes of a database's files, WAL included."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_blocks * 512
    return total


def _rows(runs: Sequence[_Run]) -> list[Row]:
    first = runs[0]
    fleet = f"{first.vehicles:,} vehicles"
    before, after = first.used
    figures = first.figures
    per_s = first.acknowledged / first.lasted_s
    rows = [
        Row(
            f"{fleet}: readings acknowledged",
            [per_s],
            "/s",
            Goal(least=20.0 * first.vehicles * 0.9),
        ),
        Row(f"{fleet}: acknowledged and lost", [first.missing or 0], "", Goal(most=0)),
        Row(f"{fleet}: stored twice", [first.doubled or 0], "", Goal(most=0)),
        Row(f"{fleet}: reading due to acknowledged, p50", [figures["latency_p50_ms"]], "ms"),
        Row(f"{fleet}: reading due to acknowledged, p99", [figures["latency_p99_ms"]], "ms"),
        Row(f"{fleet}: requests without an answer of use", [figures["failures"]], ""),
    ]
    for what in PARTS:
        ms = 1000.0 * first.cores(what) / first.vehicles
        grown = getattr(after, f"{what}_bytes") - getattr(first.idle, f"{what}_bytes")
        kib = grown / first.vehicles / 1024
        rows.append(Row(f"{fleet}: CPU of the {what}", [first.cores(what)], "cores"))
        rows.append(Row(f"CPU of the {what} a vehicle", [ms], "ms/s"))
        us = 1e6 * first.cores(what) / per_s
        rows.append(Row(f"CPU of the {what} a reading", [us], "us"))
        rows.append(Row(f"memory of the {what} a vehicle", [kib], "KiB"))
    grown = (after.disk_bytes - before.disk_bytes) / first.vehicles / first.lasted_s
    rows.append(Row("disk a vehicle", [grown], "B/s"))
    for run in runs:
        name = f"{run.vehicles:,} vehicles, {run.wire}: kept up"
        if not run.kept_up:
            name = (
                f"{run.vehicles:,} vehicles, {run.wire}: did not keep up, gave way: {run.gave_way}"
            )
        rows.append(Row(name, [run.figures["latency_p99_ms"]], "ms (p99)"))
    return rows
