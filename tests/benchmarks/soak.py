"""A gateway under steady load for a long time: memory, what is stored, what an answer takes.

`telerig serve` with its embedded PostgreSQL, every commit on disk; ten devices send 1,000 samples a
second each in batches of 1,000. Beside it a client of the live stream that takes everything, a
client that never reads, Prometheus every fifteen seconds, and somebody who asks for history now and
then. At the end memory is that of the fifth minute, and what was acknowledged is stored, once.

    python -m tests.benchmarks.soak --minutes 60

By `python -m tests.benchmarks soak`: the same for eleven minutes (two with --quick).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.client import connect

from tests.benchmarks.figures import Goal, Row
from tests.benchmarks.machine import cpu_s_of
from tests.benchmarks.sender import Sender, device_keys, stored

DEVICES, SAMPLES, PERIOD_S = 10, 1_000, 1.0
SECRET = "soak-operator-secret-0123456789"
CONFIG = """
[http]
port = 0
[api]
secret = "{secret}"
device_keys = {keys}
[database]
{database}
[users]
local_role = "viewer"
[log]
format = "json"
"""
SETTLED_S = 300.0
LOOK_S = 5.0
START_WAIT_S = 120.0


@dataclass
class Soak:
    """What was seen.

    Attributes:
        rss_mb: (seconds, resident memory) of the gateway.
        cpu_s: of the gateway.
        frames: that the live client got.
    """

    duration_s: float
    rss_mb: list[tuple[float, float]] = field(default_factory=list)
    cpu_s: float = 0.0
    frames: int = 0
    senders: list[Sender] = field(default_factory=list)
    stored: dict[str, int] = field(default_factory=dict)
    log_errors: list[str] = field(default_factory=list)
    disk_bytes: int = 0

    @property
    def acknowledged(self) -> int:
        """Samples that were acknowledged."""
        return sum(sender.acknowledged for sender in self.senders)

    def memory_at(self, second: float) -> float:
        """Give the median memory of the two minutes around an instant."""
        near = [mb for at, mb in self.rss_mb if abs(at - second) <= 60.0]
        return statistics.median(near) if near else float("nan")


def measure(quick: bool) -> list[Row]:
    """Run it for eleven minutes."""
    duration_s = 120.0 if quick else 660.0
    soak = asyncio.run(run(duration_s))
    settled_s = min(SETTLED_S, duration_s / 2)
    lost = soak.acknowledged - sum(soak.stored.values())
    grown = soak.memory_at(duration_s - 60) - soak.memory_at(settled_s)
    latencies = [ms for sender in soak.senders for ms in sender.latencies_ms]
    cuts = statistics.quantiles(latencies, n=100)
    rate = soak.acknowledged / soak.duration_s
    return [
        Row("acknowledged", [rate], "samples/s", Goal(least=0.99 * DEVICES * SAMPLES)),
        Row("acknowledged and not stored, or stored twice", [lost], "samples", Goal(0, 0)),
        Row(f"memory after {settled_s / 60:.0f} min", [soak.memory_at(settled_s)], "MB"),
        Row("memory gained from then to the end", [grown], "MB", Goal(most=3.0)),
        Row("answer, p50", [cuts[49]], "ms"),
        Row("answer, p99", [cuts[98]], "ms"),
        Row("CPU of the gateway", [soak.cpu_s / soak.duration_s * 100], "% of a core"),
        Row("on disk, a sample", [soak.disk_bytes / max(1, soak.acknowledged)], "bytes"),
        Row("errors in the log", [len(soak.log_errors)], "lines", Goal(0, 0)),
    ]


async def run(duration_s: float, *, say: bool = False) -> Soak:
    """Start a gateway, load it, stop it, count."""
    devices = [f"soak-{number}" for number in range(DEVICES)]
    with tempfile.TemporaryDirectory(prefix="soak-") as text:
        folder = Path(text)
        config = folder / "telerig.toml"
        database = f'data_dir = "{folder}/data"'
        config.write_text(
            CONFIG.format(secret=SECRET, keys=device_keys(devices), database=database),
            encoding="utf-8",
        )
        soak = Soak(duration_s, senders=[Sender(device) for device in devices])
        async with served(config, folder / "log") as (process, port):
            await _load(soak, process.pid, port, say)
            soak.cpu_s = cpu_s_of(process.pid)
            url = database_url(folder / "data")
            soak.stored = await stored(url, devices)
            soak.disk_bytes = await _disk(url)
        lines = (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        soak.log_errors = [line for line in lines if '"level":"error"' in line.replace(" ", "")]
    return soak


def database_url(data_dir: Path) -> str:
    """Give the URL of a running embedded server."""
    lines = (data_dir / "postgres" / "postmaster.pid").read_text(encoding="ascii").splitlines()
    return f"postgresql://postgres@/postgres?host={lines[4]}"


async def _disk(url: str) -> int:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT pg_database_size(current_database())"))
    finally:
        await connection.close()


async def _load(soak: Soak, pid: int, port: int, say: bool) -> None:
    stop = asyncio.Event()
    began_s = time.monotonic()
    tasks = [asyncio.create_task(_send(sender, port, stop)) for sender in soak.senders]
    beside = [
        asyncio.create_task(_listen(soak, port)),
        asyncio.create_task(_never_read(port)),
        asyncio.create_task(_ask(port)),
    ]
    told_s = 0.0
    while (now_s := time.monotonic() - began_s) < soak.duration_s:
        soak.rss_mb.append((now_s, rss_mb(pid)))
        if say and now_s - told_s >= 60:
            told_s = now_s
            told = f"{now_s:6.0f} s  {soak.rss_mb[-1][1]:6.1f} MB  {soak.acknowledged} acknowledged"
            print(f"{told}  refusals {dict(_refusals(soak))}", flush=True)
        await asyncio.sleep(LOOK_S)
        for task in tasks:
            if task.done():
                task.result()
    stop.set()
    await asyncio.gather(*tasks)
    for task in beside:
        task.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    soak.duration_s = time.monotonic() - began_s


def _refusals(soak: Soak) -> Counter[str]:
    return sum((sender.refusals for sender in soak.senders), Counter())


async def _send(sender: Sender, port: int, stop: asyncio.Event) -> None:
    """Send a batch each period; what waits when the end comes is delivered all the same."""
    due_s = time.monotonic() + sender._chance.random()
    while not stop.is_set():
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        due_s += PERIOD_S
        never = asyncio.Event()
        await sender.deliver(port, sender.batch(SAMPLES, PERIOD_S), SAMPLES, never)
    sender.disconnect()


async def _listen(soak: Soak, port: int) -> None:
    headers = {"X-API-Key": SECRET}
    url = f"ws://127.0.0.1:{port}/api/v1/live"
    async with connect(url, additional_headers=headers, max_size=None) as socket:
        async for _ in socket:
            soak.frames += 1


async def _never_read(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(
        f"GET /api/v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {SECRET}\r\n"
        "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    await reader.readline()
    await asyncio.Event().wait()


async def _ask(port: int) -> None:
    """Do what Prometheus and a page do."""
    paths = ("/metrics", "/ready", "/api/v1/readings?device=soak-1&limit=100", "/api/v1/sessions")
    number = 0
    while True:
        await asyncio.sleep(15 / len(paths))
        url = f"http://127.0.0.1:{port}{paths[number % len(paths)]}"
        number += 1
        with contextlib.suppress(OSError):
            await asyncio.to_thread(fetch, url)


def fetch(url: str) -> bytes:
    """Get a page."""
    request = urllib.request.Request(url, headers={"X-API-Key": SECRET})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmRSS:\s+(\d+) kB", text, re.M)
    return int(found[1]) / 1024 if found else 0.0


@contextlib.asynccontextmanager
async def served(config: Path, log: Path, **env: str):  # type: ignore[no-untyped-def]
    """Run `telerig serve` around a block; give the process and its port."""
    process, port = await start(config, log, **env)
    try:
        yield process, port
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def start(config: Path, log: Path, **env: str) -> tuple[asyncio.subprocess.Process, int]:
    """Start `telerig serve`; give the process and its port once it listens."""
    program = "import sys; from rig.cli import main; sys.exit(main())"
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, "serve", "--config", str(config),
            stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **env},
        )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(START_WAIT_S):
        line = (await process.stdout.readline()).decode()
    if not line.startswith("listening on "):
        await process.wait()
        raise RuntimeError(f"the gateway did not start, see {log}")
    return process, int(line.rstrip().rpartition(":")[2])


def main() -> int:
    """Run it for as long as is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    soak = asyncio.run(run(arguments.minutes * 60, say=True))
    latencies = [ms for sender in soak.senders for ms in sender.latencies_ms]
    cuts = statistics.quantiles(latencies, n=100)
    every = sorted(soak.rss_mb)
    print(
        json.dumps(
            {
                "duration_s": round(soak.duration_s, 1),
                "acknowledged": soak.acknowledged,
                "stored": sum(soak.stored.values()),
                "samples_per_s": round(soak.acknowledged / soak.duration_s, 1),
                "rss_mb": {f"{at / 60:.0f} min": round(mb, 1) for at, mb in every[::60]},
                "rss_mb_5_min": round(soak.memory_at(SETTLED_S), 1),
                "rss_mb_end": round(soak.memory_at(soak.duration_s - 60), 1),
                "answer_ms": {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2)},
                "cpu_percent": round(soak.cpu_s / soak.duration_s * 100, 1),
                "disk_bytes_per_sample": round(soak.disk_bytes / max(1, soak.acknowledged), 2),
                "live_frames": soak.frames,
                "refusals": dict(_refusals(soak)),
                "log_errors": soak.log_errors[:10],
            },
            indent=2,
        )
    )
    return 0 if soak.acknowledged == sum(soak.stored.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
