"""What the gateway is made to endure, and that nothing acknowledged is lost or doubled by it.

    kills        kill -9 of the gateway at random moments under load, again and again; its log is
                 compacted every half second, so that many kills hit a compaction
    crashes      kill -9 of its embedded PostgreSQL, of the server or its keeper; both come again
    silence      PostgreSQL hangs (SIGSTOP) for a while: bounded memory, refusals, and back
    disk_full    the disk of the database is full for a while (a small tmpfs; needs root)
    slowloris    half requests on hundreds of connections, beside good devices
    flood        connections without end, and large and broken bodies, beside good devices

Devices send batches and send each again until it is acknowledged. At the end: sent = stored, once
each, counted as anybody reads history.

    python -m tests.benchmarks.faults kills --times 300
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.store.embedded import EmbeddedPostgres
from tests.benchmarks.figures import Goal, Row
from tests.benchmarks.sender import Sender, device_keys, stored
from tests.benchmarks.soak import database_url, rss_mb, served, start

CONFIG = """
[http]
port = {port}
connections = 200
[api]
device_keys = {keys}
[database]
{database}
[store]
compact_after_s = 0.5
[log]
level = "warning"
format = "json"
"""
SAMPLES = 200
PAUSE_S = 0.02
MEMORY_MB = 220.0


@dataclass
class Outcome:
    """What came of one kind of fault.

    Attributes:
        back_s: how long it took until the next acknowledgement, of each fault.
        peak_mb: largest memory of the gateway.
    """

    name: str
    faults: int = 0
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    rejected: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    back_s: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def wrong(self) -> int:
        """Samples lost (above 0) or doubled (below)."""
        return self.sent - self.stored - self.rejected


class Devices:
    """Devices that send without pause to wherever the gateway listens now."""

    def __init__(self, count: int) -> None:
        self.senders = [Sender(f"car-{number}x") for number in range(count)]
        self.port = 0
        self.samples = 0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def names(self) -> list[str]:
        """Their ids."""
        return [sender.device for sender in self.senders]

    def begin(self) -> None:
        """Start to send."""
        self._tasks = [asyncio.create_task(self._send(sender)) for sender in self.senders]

    async def _send(self, sender: Sender) -> None:
        while not self._stop.is_set():
            body = sender.batch(SAMPLES, PAUSE_S)
            # The port may be another one after a restart, so each try looks anew.
            while not await self._once(sender, body):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            self.samples += SAMPLES
            await asyncio.sleep(PAUSE_S)

    async def _once(self, sender: Sender, body: bytes) -> bool:
        given_up = asyncio.Event()
        given_up.set()
        return await sender.deliver(self.port, body, SAMPLES, given_up)

    async def acknowledged_again(self) -> float:
        """Wait for the next acknowledgement; give how long it took."""
        began_s, before = time.monotonic(), self.samples
        async with asyncio.timeout(120):
            while self.samples == before:
                self._check()
                await asyncio.sleep(0.005)
        return time.monotonic() - began_s

    def _check(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def end(self, outcome: Outcome, url: str) -> None:
        """Have everything delivered, and count."""
        self._stop.set()
        async with asyncio.timeout(120):
            await asyncio.gather(*self._tasks)
        for sender in self.senders:
            sender.disconnect()
            outcome.sent += sender.sent
            outcome.acknowledged += sender.acknowledged
            outcome.rejected += sender.rejected
            outcome.refusals += sender.refusals
        outcome.stored = sum((await stored(url, self.names)).values())


def _port() -> int:
    """Give a free port out of the range from which the kernel hands them out: while the gateway is
    away nobody else shall answer there."""
    for port in random.Random(os.getpid()).sample(range(10_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("expected a free port between 10000 and 30000, found none")


def write_config(folder: Path, devices: Devices, database: str) -> Path:
    """Write the gateway's file."""
    file = folder / "telerig.toml"
    file.write_text(
        CONFIG.format(keys=device_keys(devices.names), database=database, port=_port()),
        encoding="utf-8",
    )
    return file


async def kills(times: int, count: int = 4, seed: int = 1) -> Outcome:
    """Kill the gateway that many times."""
    chance, outcome = random.Random(seed), Outcome("kills")
    devices = Devices(count)
    with tempfile.TemporaryDirectory(prefix="kill-") as text, EmbeddedPostgres() as server:
        folder = Path(text)
        url = server.start()
        config = write_config(folder, devices, f'url = "{url}"')
        process, devices.port = await start(config, folder / "log")
        devices.begin()
        await devices.acknowledged_again()
        try:
            for _ in range(times):
                await asyncio.sleep(chance.uniform(0.0, 1.2))
                outcome.peak_mb = max(outcome.peak_mb, rss_mb(process.pid))
                process.kill()
                await process.wait()
                process, devices.port = await start(config, folder / "log")
                outcome.back_s.append(await devices.acknowledged_again())
                outcome.faults += 1
            await devices.end(outcome, url)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    return outcome


async def crashes(times: int, count: int = 4, seed: int = 1) -> Outcome:
    """Kill the embedded PostgreSQL that many times; the gateway ends with it, and is restarted."""
    chance, outcome = random.Random(seed), Outcome("crashes")
    devices = Devices(count)
    with tempfile.TemporaryDirectory(prefix="crash-") as text:
        folder = Path(text)
        config = write_config(folder, devices, f'data_dir = "{folder}/data"')
        process, devices.port = await start(config, folder / "log")
        devices.begin()
        try:
            for number in range(times):
                await devices.acknowledged_again()
                await asyncio.sleep(chance.uniform(0.0, 1.2))
                pid_file = folder / "data" / "postgres" / "postmaster.pid"
                os.kill(_victim(pid_file, keeper=number % 3 == 1), signal.SIGKILL)
                code = await process.wait()
                if code != 1:
                    raise RuntimeError(f"expected the gateway to end with 1, it ended with {code}")
                began_s = time.monotonic()
                process, devices.port = await start(config, folder / "log")
                await devices.acknowledged_again()
                outcome.back_s.append(time.monotonic() - began_s)
                outcome.faults += 1
            await devices.end(outcome, database_url(folder / "data"))
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
    return outcome


def _victim(pid_file: Path, *, keeper: bool) -> int:
    """Give the process of an embedded server, or that of its keeper."""
    server = int(pid_file.read_text(encoding="ascii").split()[0])
    if not keeper:
        return server
    status = Path(f"/proc/{server}/stat").read_text(encoding="ascii")
    return int(status.rpartition(")")[2].split()[1])


@contextlib.asynccontextmanager
async def loaded(
    outcome: Outcome, devices: Devices, data_dir: Path | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, EmbeddedPostgres]]:
    """A gateway under load on a server of its own; counts at the end of the block."""
    with (
        tempfile.TemporaryDirectory(prefix="fault-") as text,
        EmbeddedPostgres(data_dir) as server,
    ):
        folder = Path(text)
        url = server.start()
        config = write_config(folder, devices, f'url = "{url}"')
        async with served(config, folder / "log") as (process, devices.port):
            devices.begin()
            await devices.acknowledged_again()
            watching = asyncio.create_task(_watch(outcome, process.pid))
            try:
                yield process, server
            finally:
                watching.cancel()
            await devices.end(outcome, url)


async def _watch(outcome: Outcome, pid: int) -> None:
    while True:
        outcome.peak_mb = max(outcome.peak_mb, rss_mb(pid))
        await asyncio.sleep(0.2)


async def silence(times: int) -> Outcome:
    """Stop PostgreSQL's processes for a while, as a dying disk does."""
    outcome, devices = Outcome("silence"), Devices(8)
    async with loaded(outcome, devices) as (_, server):
        for _ in range(times):
            pids = _family(server.pid or 0)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(8.0)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            outcome.back_s.append(await devices.acknowledged_again())
            outcome.faults += 1
            await asyncio.sleep(0.5)
    return outcome


def _family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *map(int, children)]


async def disk_full(times: int) -> Outcome:
    """Fill the disk of the database, and make room again."""
    outcome, devices = Outcome("disk_full"), Devices(4)
    with tempfile.TemporaryDirectory(prefix="full-") as text:
        _call("mount", "-t", "tmpfs", "-o", "size=200m,mode=0777", "tmpfs", text)
        try:
            async with loaded(outcome, devices, Path(text) / "data"):
                for _ in range(times):
                    _fill(Path(text) / "ballast")
                    before = sum((s.refusals for s in devices.senders), Counter())
                    async with asyncio.timeout(60):
                        while sum((s.refusals for s in devices.senders), Counter()) == before:  # noqa: ASYNC110
                            await asyncio.sleep(0.05)
                    await asyncio.sleep(3.0)
                    (Path(text) / "ballast").unlink()
                    outcome.back_s.append(await devices.acknowledged_again())
                    outcome.faults += 1
                    await asyncio.sleep(1.0)
        finally:
            _call("umount", "-l", text)
    return outcome


def _call(*command: str) -> None:
    subprocess.run(command, check=True)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))


async def slowloris(times: int) -> Outcome:
    """Open connections that never say all of a request, beside good devices."""
    outcome, devices = Outcome("slowloris"), Devices(4)
    async with loaded(outcome, devices):
        for _ in range(times):
            held = []
            halves = (b"", b"POST /api/v1/ingest HT", b"POST /api/v1/ingest HTTP/1.1\r\nhost:")
            for number in range(300):
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", devices.port)
                    writer.write(halves[number % 3])
                    held.append(writer)
            # The devices' connections stand; that of a new one waits for the first time-outs.
            outcome.back_s.append(await devices.acknowledged_again())
            await asyncio.sleep(12)
            for sender in devices.senders:
                sender.disconnect()
            outcome.back_s.append(await devices.acknowledged_again())
            for writer in held:
                writer.transport.abort()
            outcome.faults += 1
    return outcome


async def flood(times: int) -> Outcome:
    """Send what is no request, too large, or without a key, as fast as it goes."""
    outcome, devices = Outcome("flood"), Devices(4)
    heads = (
        b"POST /api/v1/ingest/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n",
        b"POST /api/v1/ingest HTTP/1.1\r\nhost: x\r\nx-api-key: no\r\ncontent-length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /api/v1/readings?device=" + b"%00" * 500 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /api/v1/ingest/batch HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        + b"10000\r\n" + bytes(65_536) + b"\r\n",
    )  # fmt: skip

    async def attack(chance: random.Random, end_s: float) -> None:
        while time.monotonic() < end_s:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(2):
                    reader, writer = await asyncio.open_connection("127.0.0.1", devices.port)
                    try:
                        writer.write(chance.choice(heads))
                        await reader.read(100)
                    finally:
                        writer.transport.abort()

    async with loaded(outcome, devices):
        for number in range(times):
            end_s = time.monotonic() + 5
            chances = [random.Random(f"{number} {place}") for place in range(50)]
            await asyncio.gather(*(attack(chance, end_s) for chance in chances))
            outcome.back_s.append(await devices.acknowledged_again())
            outcome.faults += 1
    return outcome


FAULTS: dict[str, tuple[Callable[[int], Coroutine[Any, Any, Outcome]], int, int]] = {
    "kills": (kills, 200, 5),
    "crashes": (crashes, 20, 2),
    "silence": (silence, 3, 1),
    "disk_full": (disk_full, 3, 1),
    "slowloris": (slowloris, 2, 1),
    "flood": (flood, 3, 1),
}
"""Program, times, and times of a quick run."""


def measure(quick: bool) -> list[Row]:
    """Do all of it."""
    rows: list[Row] = []
    for name, (program, times, few) in FAULTS.items():
        if name == "disk_full" and os.geteuid() != 0:
            continue
        outcome = asyncio.run(program(few if quick else times))
        rows += [
            Row(f"{name}: lost or doubled", [outcome.wrong], "samples", Goal(0, 0)),
            Row(f"{name}: acknowledged again", outcome.back_s, "s"),
            Row(f"{name}: most memory", [outcome.peak_mb], "MB", Goal(most=MEMORY_MB)),
        ]
    return rows


def main() -> int:
    """Do what is named, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*FAULTS, []], help=", ".join(FAULTS))
    parser.add_argument("--times", type=int)
    arguments = parser.parse_args()
    wrong = 0
    for name in arguments.names or FAULTS:
        program, times, _ = FAULTS[name]
        began_s = time.monotonic()
        outcome = asyncio.run(program(arguments.times or times))
        wrong += abs(outcome.wrong)
        back = sorted(outcome.back_s)
        print(
            f"{name}: {outcome.faults} faults in {time.monotonic() - began_s:.0f} s; "
            f"sent {outcome.sent}, stored {outcome.stored}, rejected {outcome.rejected}, "
            f"lost or doubled {outcome.wrong}; back after {statistics.median(back):.2f} s "
            f"(longest {back[-1]:.2f}); most memory {outcome.peak_mb:.0f} MB; "
            f"refusals {dict(outcome.refusals)}",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
