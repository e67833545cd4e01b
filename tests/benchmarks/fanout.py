"""Fan-out: point messages a second to 100 clients, their memory, and latencies, beside peers.

The gateway's live stream (`server.live`) on uvicorn with the gateway's options, without the
database; a process of its own with 100 raw sockets reads what comes and counts the messages, which
are one for each point. Beside it, in turns on the same machine with the same messages: the naive
loop (`await socket.send_text` for each client and message), and the limit (the same frames, made in
advance, by bare `transport.write` of the event loop). Latency is from the call that publishes a
reading to its arrival at each of 100 clients of the `websockets` library and of raw sockets.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.store.embedded import EmbeddedPostgres
from tests.benchmarks.figures import Beside, Goal, Row
from tests.benchmarks.ingest import _free_port, _served

CLIENTS = 100
POINTS_A_BATCH = 20
RUN_S, QUICK_RUN_S = 4.0, 1.5
RUNS = 3
WAIT_S = 60.0

# Both programs talk over stdin and stdout, a line for an order and a line for an answer.
SERVER = r'''
import asyncio, json, os, resource, socket, statistics, sys, time
import uvicorn, uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from server.clock import SystemClock
from server.live.hub import Hub
from server.live.protocol import OUTLET, LiveProtocol
from server.live.words import POINTS
from server.live.frames import framed_all
from server.live.events import Readings
from server.readings import Reading

KIND = sys.argv[1]
HUB = Hub("car-1", 77, SystemClock())
NAIVE = []


async def live(ws):
    await ws.accept()
    if KIND == "naive":
        NAIVE.append(ws)
    else:
        outlet = ws.scope["extensions"][OUTLET]
        client = HUB.attach(outlet, POINTS)
        outlet.on_writable = client.resumed
        HUB.greet(client)
        HUB.join(client)
    try:
        while (await ws.receive())["type"] != "websocket.disconnect":
            pass
    finally:
        if KIND != "naive":
            HUB.detach(client)


class Bare(asyncio.Protocol):
    """The limit: no WebSocket library, no framework, no queue."""
    all = []

    def connection_made(self, transport):
        self.transport = transport
        self.paused = False

    def data_received(self, data):
        if b"\r\n\r\n" in data:
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            Bare.all.append(self)

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False


def readings(count, seq):
    now = time.time_ns()
    return [Reading(12 + n % 2, now, 800.25 + (seq + n) % 977, now) for n in range(count)]


def rss():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])


async def flood(seconds, batch):
    """Publish as fast as the clients take it; give points and seconds."""
    points, begin = 0, time.monotonic()
    while time.monotonic() - begin < seconds:
        rows = readings(batch, points)
        if KIND == "live":
            HUB.readings(points + 1, rows)
            HUB.flush()
            while any(not c.is_idle for c in HUB._clients):
                await asyncio.sleep(0)
        else:
            event = Readings("car-1", 77, [(points + 1 + n, r.signal, r.time_ns, r.value,
                             r.received_ns, 0) for n, r in enumerate(rows)])
            event.first = points + 1
            texts = POINTS.say(event)
            if KIND == "naive":
                for text in texts:
                    text = text.decode()
                    for ws in NAIVE:
                        await ws.send_text(text)
            else:
                blob = framed_all(texts)
                for one in Bare.all:
                    one.transport.write(blob)
                while any(one.paused for one in Bare.all):
                    await asyncio.sleep(0)
        points += batch
        await asyncio.sleep(0)
    return points, time.monotonic() - begin


async def paced(seconds, rate_hz):
    """Publish a reading at a time; the value is the instant."""
    end, seq, took = time.monotonic() + seconds, 0, []
    while time.monotonic() < end:
        seq += 1
        now = time.time_ns()
        begin = time.perf_counter()
        if KIND == "live":
            HUB.readings(seq, [Reading(12, now, 1.0, now)])
            HUB.flush()
        else:
            event = Readings("car-1", 77, [(seq, 12, now, 1.0, now, 0)])
            event.first = seq
            text = POINTS.say(event)[0].decode()
            for ws in NAIVE:
                await ws.send_text(text)
        await asyncio.sleep(0)  # the event loop writes at the end of its turn
        took.append(time.perf_counter() - begin)
        await asyncio.sleep(1 / rate_hz)
    return statistics.median(took) * 1e3


async def orders():
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            os._exit(0)
        name, *numbers = line.split()
        before = time.process_time()
        if name == "rss":
            answer = rss()
        elif name == "clients":
            answer = len(NAIVE) or len(Bare.all) or HUB.clients
        else:
            answer = await {"flood": flood, "paced": paced}[name](*map(float, numbers[:1]),
                                                                 *map(int, numbers[1:]))
            # The last of it has to be on its way.
            await asyncio.sleep(0.2)
        counts = HUB.counts
        print(json.dumps({"answer": answer, "cpu_s": time.process_time() - before,
                          "dropped": counts.dropped}), flush=True)


async def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    print(listener.getsockname()[1], flush=True)
    if KIND == "bare":
        await asyncio.get_running_loop().create_server(Bare, sock=listener)
        await orders()
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/live", live)]),
        ws=LiveProtocol if KIND == "live" else "websockets-sansio",
        ws_per_message_deflate=False, log_config=None, access_log=False, lifespan="off",
        server_header=False, date_header=False,
    )
    asyncio.get_running_loop().create_task(orders())
    await uvicorn.Server(config).serve(sockets=[listener])


uvloop.run(main())
'''

READER = r"""
import asyncio, json, re, sys, time
import uvloop

PORT, COUNT = int(sys.argv[1]), int(sys.argv[2])
TIME = re.compile(rb'"time_ns":(\d+)')


class Reader(asyncio.Protocol):
    all = []
    latencies = []
    timed = False

    def __init__(self):
        self.bytes = self.frames = 0
        self.open = False
        self.rest = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"GET /live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
            b"Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        Reader.all.append(self)

    def data_received(self, data):
        if not self.open:
            self.open = True
            data = data.partition(b"\r\n\r\n")[2]
        self.bytes += len(data)
        if Reader.timed:
            now = time.time_ns()
            Reader.latencies += [now - int(t) for t in TIME.findall(data)]
            self.frames += data.count(b'"value":')
        else:
            # One message has one value, and no message is cut in the middle of that word for long.
            self.frames += (self.rest + data).count(b'"value":')
            self.rest = data[-8:] if not data.endswith(b'"value":') else b""


async def main():
    loop = asyncio.get_running_loop()
    for _ in range(COUNT):
        await loop.create_connection(Reader, "127.0.0.1", PORT)
    await asyncio.sleep(0.3)
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "timed":
            Reader.timed = True
            Reader.latencies = []
            print("ok", flush=True)
            continue
        found = {"frames": sum(r.frames for r in Reader.all)}
        if Reader.timed:
            all = sorted(Reader.latencies)
            found["latencies_ms"] = [all[int(len(all) * q)] / 1e6 for q in (0.5, 0.99, 0.999)]
        for reader in Reader.all:
            reader.frames = reader.bytes = 0
        print(json.dumps(found), flush=True)


uvloop.run(main())
"""


class Program:
    """One of the two programs, spoken to by lines."""

    def __init__(self, code: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("expected an answer of a program of the benchmark; it has ended")
        return line.strip()

    def ask(self, order: str) -> Any:
        """Give an order and get the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return json.loads(self._line()) if order != "timed" else self._line()

    def end(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


@contextmanager
def world(kind: str, clients: int) -> Iterator[tuple[Program, Program]]:
    """A server and so many readers."""
    server = Program(SERVER, kind)
    reader = None
    try:
        reader = Program(READER, server.first, clients)
        end_s = time.monotonic() + WAIT_S
        while server.ask("clients")["answer"] < clients:
            if time.monotonic() > end_s:
                raise RuntimeError(f"expected {clients} clients within {WAIT_S:g} s")
            time.sleep(0.05)
        reader.ask("count")
        yield server, reader
    finally:
        if reader is not None:
            reader.end()
        server.end()


@dataclass
class Flood:
    """What came of one flood."""

    messages_per_s: float
    cpu_us: float
    lost: int


def flood(kind: str, seconds: float, batch: int) -> Flood:
    """Push as fast as it goes."""
    with world(kind, CLIENTS) as (server, reader):
        server.ask(f"flood 0.3 {batch}")
        reader.ask("count")
        made = server.ask(f"flood {seconds} {batch}")
        points, took_s = made["answer"]
        found = reader.ask("count")
        return Flood(
            found["frames"] / took_s,
            made["cpu_s"] / found["frames"] * 1e6,
            points * CLIENTS - found["frames"],
        )


def latency(kind: str, seconds: float, rate_hz: int) -> list[float]:
    """In ms: a broadcast to 100 clients; then p50, p99, p99.9 from publishing to arrival."""
    with world(kind, CLIENTS) as (server, reader):
        reader.ask("timed")
        broadcast_ms = server.ask(f"paced {seconds} {rate_hz}")["answer"]
        return [broadcast_ms, *reader.ask("count")["latencies_ms"]]


def memory(kind: str, clients: int) -> float:
    """kB of RSS for each client."""
    server = Program(SERVER, kind)
    try:
        # The first clients bring what all need: code, caches.
        first = Program(READER, server.first, 20)
        time.sleep(0.5)
        before = server.ask("rss")["answer"]
        reader = Program(READER, server.first, clients)
        time.sleep(1.0)
        after = server.ask("rss")["answer"]
        reader.end()
        first.end()
        return float(after - before) / clients
    finally:
        server.end()


def measure(is_quick: bool) -> list[Row]:
    """Measure everything."""
    seconds, runs = (QUICK_RUN_S, 1) if is_quick else (RUN_S, RUNS)
    floods: dict[str, list[Flood]] = {"naive": [], "live": [], "bare": []}
    for _ in range(runs):
        for kind, found in floods.items():
            found.append(flood(kind, seconds, POINTS_A_BATCH))
    latencies: dict[str, list[list[float]]] = {"naive": [], "live": []}
    for _ in range(runs):
        for kind, times in latencies.items():
            times.append(latency(kind, seconds, 20))
    memories = {kind: [memory(kind, 500) for _ in range(runs)] for kind in ("naive", "live")}
    rates = {k: statistics.median(f.messages_per_s for f in found) for k, found in floods.items()}
    lost = [f.lost for f in floods["live"]]
    return [
        Row(
            f"point messages to {CLIENTS} clients",
            [f.messages_per_s for f in floods["live"]],
            "messages/s",
            Goal(least=500_000),
            Beside("bare transport.write (the limit)", rates["bare"]),
        ),
        Row(
            "the naive loop, send_text for each",
            [f.messages_per_s for f in floods["naive"]],
            "messages/s",
            None,
            Beside("live stream", rates["live"]),
        ),
        Row(
            "server CPU a message",
            [f.cpu_us for f in floods["live"]],
            "us",
            None,
            Beside("naive loop", statistics.median(f.cpu_us for f in floods["naive"])),
        ),
        Row("messages lost in that", lost, "messages", Goal(most=0)),
        *(
            Row(
                name,
                [times[place] for times in latencies["live"]],
                "ms",
                goal,
                Beside("naive loop", statistics.median(t[place] for t in latencies["naive"])),
            )
            for place, (name, goal) in enumerate(
                (
                    (f"a broadcast to {CLIENTS} clients, until it is written (F12)", Goal(most=5)),
                    (f"publish to arrival at {CLIENTS} clients, p50", None),
                    (f"publish to arrival at {CLIENTS} clients, p99 (F07)", Goal(most=50)),
                )
            )
        ),
        Row(
            "memory a client, of 500 (F10)",
            memories["live"],
            "kB",
            Goal(most=30),
            Beside("Starlette alone", statistics.median(memories["naive"])),
        ),
        *whole_gateway(is_quick),
    ]


GATEWAY = """
[users]
local_role = "viewer"
[http]
port = {port}
[api]
device_keys = ["bench:{key}"]
[database]
url = "{url}"
[live]
clients = 1000
clients_per_user = 1000
[log]
level = "warning"
"""
KEY = "benchmark-key-of-one-device"


def whole_gateway(is_quick: bool) -> list[Row]:
    """Measure the gateway as it is installed: from a device's POST, committed, to 100 clients."""
    runs, requests = (1, 60) if is_quick else (RUNS, 300)
    latencies, memories = [], []
    for _ in range(runs):
        with (
            tempfile.TemporaryDirectory() as name,
            EmbeddedPostgres(Path(name, "data")) as postgres,
        ):
            postgres.start()
            folder = Path(name)
            with _serve(folder, postgres.create_database("fanout")) as (port, pid):
                latencies.append(_device_to_clients(port, requests))
                memories.append(_memory_of(pid, port))
    return [
        Row(
            f"a device's POST, committed, to arrival at {CLIENTS} clients, p50",
            [found[0] for found in latencies],
            "ms",
        ),
        Row(
            f"a device's POST, committed, to arrival at {CLIENTS} clients, p99",
            [found[1] for found in latencies],
            "ms",
            Goal(most=50),
        ),
        Row("memory a client of the whole gateway, of 500", memories, "kB", Goal(most=30)),
    ]


@contextmanager
def _serve(folder: Path, url: str) -> Iterator[tuple[int, int]]:
    port = _free_port()
    file = folder / "gateway.toml"
    file.write_text(GATEWAY.format(port=port, key=KEY, url=url), encoding="utf-8")
    telerig = str(Path(sys.executable).with_name("telerig"))
    with _served([telerig, "serve", "--config", str(file)], port) as pid:
        yield port, pid


def _reader(port: int, clients: int) -> Program:
    code = READER.replace("GET /live ", "GET /api/v1/live?form=points&heartbeat=0 ")
    return Program(code.replace("Host: x", "Host: 127.0.0.1"), port, clients)


def _device_to_clients(port: int, requests: int) -> list[float]:
    """p50, p99 and p99.9 in ms; the instant measured is that just before the request."""
    reader = _reader(port, CLIENTS)
    try:
        time.sleep(1.0)
        reader.ask("timed")
        device = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
        for seq in range(1, requests + 1):
            reading = {"boot": 1, "seq": seq, "signal": "RPM", "value": 800.0}
            body = json.dumps({**reading, "time_ns": time.time_ns()})
            device.request("POST", "/api/v1/ingest", body, headers)
            answer = device.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"expected 200, got {answer.status}: {answer.read()!r}")
            answer.read()
            time.sleep(0.03)
        time.sleep(0.5)
        found = reader.ask("count")
        if found["frames"] != requests * CLIENTS:
            raise RuntimeError(f"expected {requests * CLIENTS} messages, got {found['frames']}")
        return list(found["latencies_ms"])
    finally:
        reader.end()


def _memory_of(pid: int, port: int) -> float:
    """kB of RSS for each of 500 clients, beside those that were there before."""
    first = _reader(port, 20)
    time.sleep(1.0)
    before = _rss_kb(pid)
    reader = _reader(port, 500)
    time.sleep(1.5)
    after = _rss_kb(pid)
    reader.end()
    first.end()
    return (after - before) / 500


def _rss_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise RuntimeError(f"expected VmRSS of process {pid}")
