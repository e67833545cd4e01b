"""Instances: one gateway against two on the same cores, and what coordination costs a message.

`telerig serve` on an embedded PostgreSQL that syncs every commit; wrk sends protobuf `Readings`
as in `ingest`, half of the connections to each of two gateways, each half for a device of its own.
In turns: a gateway alone (no [instances]); one instance with either bus; two gateways that do not
know each other, which is what half of the requests in each commit costs; two instances with either
bus; and two that take the same device's readings, so that each commit meets the other's. CPU is
that of all gateways, of PostgreSQL with all its processes, and of NATS, by request. Then fan-out:
100 clients, at one gateway or half at each of two, while a device posts to one of them.

Each round has a new server, each setting a database of its own, and another setting is first.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from structlog.testing import capture_logs

from server.clock import SystemClock
from server.store.embedded import EmbeddedPostgres
from server.store.migrate import migrate
from tests.benchmarks.fanout import READER, Program
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.ingest import WRK, _body
from tests.benchmarks.machine import cpu_s_of
from tests.benchmarks.sender import device_key
from tests.instances.children import Children
from tests.instances.engines import Nats
from tests.instances.gateways import GatewayProcess, settled

SIZES = (20, 200)
CONNECTIONS = 64
RUN_S, ROUNDS, WARM_UP_S = 2, 3, 1
CLIENTS = 100
POINTS = 50  # of a hasty post
POSTS = 100
PACE_S = 0.02
QUIET_S = 0.5  # nothing comes for so long: gateways have compared what they have missed
TEMPLATE = "with_all_tables"
DEVICES = ("bench-1", "bench-2")
MORE = '[users]\nlocal_role = "viewer"\n[log]\nlevel = "warning"\n'


@dataclass(frozen=True, slots=True)
class Setting:
    """Gateways that are compared.

    Attributes:
        name: in the table.
        gateways: how many.
        bus: "none", "notify" or "nats".
        devices: that send, one at each gateway where there are several.
        has_clients: fan-out is measured.
    """

    name: str
    gateways: int
    bus: str
    devices: int = 2
    has_clients: bool = True


ALONE = Setting("alone", 1, "none")
SETTINGS = (
    ALONE,
    Setting("one instance, notify", 1, "notify"),
    Setting("one instance, NATS", 1, "nats"),
    Setting("two that do not know each other", 2, "none", has_clients=False),
    Setting("two instances, notify", 2, "notify"),
    Setting("two instances, NATS", 2, "nats"),
    Setting("two instances, notify, one device", 2, "notify", devices=1, has_clients=False),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run has found: requests a second, CPU microseconds a request by process."""

    rate: float
    p99_ms: float
    gateway_us: float
    postgres_us: float
    nats_us: float


def measure(quick: bool) -> list[Row]:
    """Measure each setting in turn, several times, and compare with a gateway alone."""
    if shutil.which("wrk") is None:
        raise RuntimeError("expected the load generator wrk, found none: apt-get install wrk")
    found: dict[tuple[int, str], list[Run]] = {}
    fans: dict[str, list[Fan]] = {}
    for number in range(1 if quick else ROUNDS):
        with _server() as postgres:
            for setting in (*SETTINGS[number:], *SETTINGS[:number]):
                with _stand(setting, postgres) as stand:
                    stand.warm_up(SIZES[0], WARM_UP_S)
                    for size in SIZES:
                        found.setdefault((size, setting.name), []).append(stand.load(size, RUN_S))
                    if setting.has_clients:
                        fans.setdefault(setting.name, []).append(stand.fan(POSTS))
    rows: list[Row] = []
    for size in SIZES:
        rows += _ingest_rows(size, {s.name: found[size, s.name] for s in SETTINGS})
    return rows + _fan_rows(fans)


def _ingest_rows(size: int, found: dict[str, list[Run]]) -> list[Row]:
    rows: list[Row] = []
    first = found[ALONE.name]
    rate = statistics.median(run.rate for run in first)
    cpu_us = statistics.median(_all_us(run) for run in first)
    for name, runs in found.items():
        beside = None if name == ALONE.name else Beside("alone", rate * size)
        title = f"{size} a request, {name}"
        rows += [
            Row(title, [run.rate * size for run in runs], "samples/s", beside=beside),
            Row(f"{title}: requests", [run.rate for run in runs], "1/s"),
            Row(f"{title}: acknowledged, p99", [run.p99_ms for run in runs], "ms"),
            Row(
                f"{title}: CPU, all",
                [_all_us(run) for run in runs],
                "us/request",
                beside=None if name == ALONE.name else Beside("alone", cpu_us),
            ),
            Row(f"{title}: CPU, gateways", [run.gateway_us for run in runs], "us/request"),
            Row(f"{title}: CPU, PostgreSQL", [run.postgres_us for run in runs], "us/request"),
        ]
        if any(run.nats_us for run in runs):
            rows.append(Row(f"{title}: CPU, NATS", [run.nats_us for run in runs], "us/request"))
    return rows


def _all_us(run: Run) -> float:
    return run.gateway_us + run.postgres_us + run.nats_us


@dataclass(frozen=True, slots=True)
class Fan:
    """Fan-out of one setting: latencies of paced posts, messages a second of hasty ones."""

    p50_ms: float
    p99_ms: float
    rate: float


def _fan_rows(fans: dict[str, list[Fan]]) -> list[Row]:
    rows: list[Row] = []
    alone = statistics.median(fan.rate for fan in fans[ALONE.name])
    for name, found in ((one.name, fans[one.name]) for one in SETTINGS if one.has_clients):
        beside = None if name == ALONE.name else Beside("alone", alone)
        rows += [
            Row(
                f"fan-out to {CLIENTS} clients, {name}",
                [fan.rate for fan in found],
                "messages/s",
                beside=beside,
            ),
            Row(f"POST to arrival at all clients, {name}, p50", [f.p50_ms for f in found], "ms"),
            Row(
                f"POST to arrival at all clients, {name}, p99",
                [fan.p99_ms for fan in found],
                "ms",
                Goal(most=200),
            ),
        ]
    return rows


class Stand:
    """Gateways, their database and bus, and what loads them."""

    def __init__(
        self,
        setting: Setting,
        folder: Path,
        gateways: list[GatewayProcess],
        postgres: EmbeddedPostgres,
        url: str,
        nats: Nats | None,
    ) -> None:
        self._setting = setting
        self._folder = folder
        self._gateways = gateways
        self._postgres = postgres
        self._url = url
        self._nats = nats
        self._seq = 1
        self._device: http.client.HTTPConnection | None = None
        (folder / "ingest.lua").write_text(WRK, encoding="utf-8")

    def warm_up(self, size: int, seconds: float) -> None:
        """Load all gateways; nothing is measured."""
        self._send(size, seconds)

    def load(self, size: int, seconds: float) -> Run:
        """Load all gateways at once, each with its share of the connections."""
        stored, before = self._stored(), self._cpu_s()
        told = self._send(size, seconds)
        cpu_s = [
            sum(used_s - old.get(pid, 0.0) for pid, used_s in new.items())
            for new, old in zip(self._cpu_s(), before, strict=True)
        ]
        requests = sum(one["requests"] for one in told)
        if not requests:
            raise RuntimeError(f"{self._setting.name}: no request was answered in {seconds} s")
        stored = self._stored() - stored
        if not 0 <= stored - requests * size <= 2 * CONNECTIONS * size:
            raise RuntimeError(f"{requests} requests acknowledged, {stored} readings stored")
        return Run(
            sum(one["requests"] / (one["us"] / 1e6) for one in told),
            max(one["p99"] for one in told) / 1e3,
            *(1e6 * one / requests for one in cpu_s),
        )

    def _send(self, size: int, seconds: float) -> list[dict[str, float]]:
        body = self._folder / f"{size}.bin"
        if not body.exists():
            body.write_bytes(_body(size))
        shares = self._shares()
        connections = CONNECTIONS // len(shares)
        started = [
            subprocess.Popen(
                ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
                 "-s", str(self._folder / "ingest.lua"), f"{gateway.url}/api/v1/ingest/batch"],
                env=os.environ | {
                    "BENCH_BODY": str(body),
                    "BENCH_SIZE": str(size),
                    "BENCH_SEQ": str(seq),
                    "BENCH_KEY": device_key(device),
                },
                stdout=subprocess.PIPE,
                text=True,
            )
            for gateway, device, seq in shares
        ]  # fmt: skip
        told = [json.loads(one.communicate()[0].splitlines()[-1]) for one in started]
        self._seq += 10_000_000
        errors = sum(one["errors"] for one in told)
        if errors:
            raise RuntimeError(f"{self._setting.name}: expected no errors, found {errors}")
        return told

    def fan(self, posts: int) -> Fan:
        """Post to the first gateway, clients are at all: as fast as they take it, then paced for
        latency."""
        with self._readers() as readers:
            began_s, due_s, got = time.monotonic(), time.monotonic() + 60.0, 0
            for number in range(1, posts + 1):
                self._post(POINTS)
                # No client is ever left out: at most two batches are under way.
                expected = (number - 2 if number < posts else posts) * POINTS * CLIENTS
                while got < expected:
                    got += sum(reader.ask("count")["frames"] for reader in readers)
                    if time.monotonic() > due_s:
                        raise RuntimeError(f"{got} messages came, of {number} posts")
            rate = got / (time.monotonic() - began_s)
            _wait_for_quiet(readers)
            for reader in readers:
                reader.ask("timed")
            for _ in range(posts):
                self._post(1)
                time.sleep(PACE_S)
            time.sleep(QUIET_S)
            told = [reader.ask("count") for reader in readers]
        got = sum(one["frames"] for one in told)
        if got != posts * CLIENTS:
            raise RuntimeError(f"expected {posts * CLIENTS} messages, got {got}")
        # The slower of two halves is what counts.
        p50_ms, p99_ms = (max(one["latencies_ms"][place] for one in told) for place in (0, 1))
        return Fan(p50_ms, p99_ms, rate)

    @contextlib.contextmanager
    def _readers(self) -> Iterator[list[Program]]:
        share = CLIENTS // len(self._gateways)
        code = READER.replace("GET /live ", "GET /api/v1/live?form=points&heartbeat=0 ")
        code = code.replace("Host: x", "Host: 127.0.0.1")
        readers = [Program(code, gateway.port, share) for gateway in self._gateways]
        try:
            _wait_for_quiet(readers)
            yield readers
        finally:
            for reader in readers:
                reader.end()

    def _post(self, readings: int) -> None:
        gateway = self._gateways[0]
        if self._device is None:
            self._device = http.client.HTTPConnection(gateway.host, gateway.port, timeout=20)
        headers = {"X-API-Key": device_key(DEVICES[0]), "Content-Type": "application/json"}
        column = {
            "signal": "RPM",
            "first_time_ns": time.time_ns(),
            "step_ns": 1000,
            "values": [800.0] * readings,
        }
        body = json.dumps({"boot": 8, "seq": self._seq, "columns": [column]})
        self._seq += readings
        self._device.request("POST", "/api/v1/ingest/batch", body, headers)
        answer = self._device.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"expected 200, got {answer.status}: {answer.read()!r}")
        answer.read()

    def _shares(self) -> list[tuple[GatewayProcess, str, int]]:
        """Give who sends for which device to which gateway, and from which number on."""
        # Both settings have two senders, so that one wrk more does not make the difference.
        places = [self._gateways[place % len(self._gateways)] for place in range(2)]
        devices = [DEVICES[place % self._setting.devices] for place in range(2)]
        starts = [self._seq, self._seq + 5_000_000]
        return list(zip(places, devices, starts, strict=True))

    def _cpu_s(self) -> tuple[dict[int, float], dict[int, float], dict[int, float]]:
        """Give the CPU seconds of gateways, of PostgreSQL, and of NATS, by process."""
        assert self._postgres.pid is not None
        backends = (self._postgres.pid, *children_of(self._postgres.pid))
        return (
            _cpu_by_pid(gateway.pid for gateway in self._gateways),
            _cpu_by_pid(backends),
            _cpu_by_pid([self._nats.pid] if self._nats is not None else []),
        )

    def _stored(self) -> int:
        async def count() -> int:
            connection = await asyncpg.connect(self._url)
            try:
                query = "SELECT coalesce(sum(readings), 0)::bigint FROM device_boots"
                return int(await connection.fetchval(query))
            finally:
                await connection.close()

        return asyncio.run(count())


def _wait_for_quiet(readers: list[Program]) -> None:
    """Return when nothing comes any more, of whatever was sent before."""
    while True:
        time.sleep(QUIET_S)
        if not any(reader.ask("count")["frames"] for reader in readers):
            return


def _cpu_by_pid(pids: Iterable[int]) -> dict[int, float]:
    found = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            found[pid] = cpu_s_of(pid)
    return found


def children_of(pid: int) -> list[int]:
    """Give the processes that a process has started and that run."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in tasks.read_text(encoding="ascii").split()]


@contextlib.contextmanager
def _server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL with a database to copy: a copy takes a tenth of the migrations' time."""
    with EmbeddedPostgres() as postgres:
        postgres.start()
        asyncio.run(_fill(postgres.create_database(TEMPLATE)))
        yield postgres


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    with capture_logs():
        await migrate(connection, SystemClock())
    await connection.close()


@contextlib.contextmanager
def _stand(setting: Setting, postgres: EmbeddedPostgres) -> Iterator[Stand]:
    database = "measured"
    with tempfile.TemporaryDirectory(prefix="bench-") as text, Children(Path(text)) as children:
        folder = Path(text)
        postgres.drop_database(database)
        url = postgres.create_database(database, TEMPLATE)
        bus, nats = setting.bus, None
        if bus == "nats":
            nats = Nats(children)
            nats.start()
            bus = nats.url
        gateways = [
            GatewayProcess(children, f"gw-{number}", DEVICES, url, bus=bus, more=MORE)
            for number in range(setting.gateways)
        ]
        asyncio.run(_start(gateways, setting))
        yield Stand(setting, folder, gateways, postgres, url, nats)


async def _start(gateways: list[GatewayProcess], setting: Setting) -> None:
    for gateway in gateways:
        gateway.start()
        await gateway.ready()
    if setting.bus != "none":
        await settled(gateways)
