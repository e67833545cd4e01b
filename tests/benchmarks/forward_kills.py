"""Forwarding under kill -9: `python -m tests.benchmarks.forward_kills [kills] [seed]`.

A device posts to a near gateway, which forwards to a far one through a proxy that cuts
connections. Both gateways are processes; one of them is killed at a random moment, again and again.
In the end every reading that was acknowledged to the device is at the far gateway once, with the
same content as here, in the same order of numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from server.store.embedded import EmbeddedPostgres
from tests.server.forward.lossy import LossyProxy
from tests.server.stored import StoredReading, fetch_readings

SECRET = "correct horse battery"
DEVICE_KEY = "the device's key at the near gateway"
FAR_KEY = "the device's key at the far gateway"
READINGS = 20
DRAIN_S = 120.0


class Tally(msgspec.Struct):
    """What came out."""

    kills: int = 0
    cut: int = 0
    posted: int = 0
    acknowledged: int = 0
    here: int = 0
    there: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    seconds: float = 0.0


class Process:
    """A gateway as a process of its own.

    Args:
        config: its configuration file.
        port: where it listens.
    """

    def __init__(self, config: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._config = config
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; it may be killed before it listens."""
        command = ["-c", "from rig.cli import main; raise SystemExit(main())", "serve"]
        with self._config.with_suffix(".log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                "--config",
                str(self._config),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                env={k: v for k, v in os.environ.items() if not k.startswith("TELERIG_")},
            )

    async def kill(self) -> None:
        """Kill it."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Device:
    """Posts readings until each is acknowledged, one batch after the other."""

    def __init__(self, url: str) -> None:
        self.posted = 0
        self.acknowledged = 0
        self._url = url
        self._ends = False

    async def run(self) -> None:
        """Post until `end`."""
        boot = 77
        seq = 1
        async with httpx2.AsyncClient(headers={"X-API-Key": DEVICE_KEY}, timeout=5) as http:
            while not self._ends:
                body = {
                    "boot": boot,
                    "seq": seq,
                    "columns": [
                        {
                            "signal": "RPM",
                            "first_time_ns": time.time_ns(),
                            "step_ns": 1_000,
                            "values": [float(seq + i) % 8000 for i in range(READINGS)],
                        }
                    ],
                }
                self.posted += READINGS
                while not await self._post(http, body):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                self.acknowledged += READINGS
                seq += READINGS
                await asyncio.sleep(0.002)

    async def _post(self, http: httpx2.AsyncClient, body: dict[str, Any]) -> bool:
        try:
            answer = await http.post(f"{self._url}/api/v1/ingest/batch", json=body)
        except httpx2.TransportError:
            return False
        return answer.status_code == 200

    def end(self) -> None:
        """Post what is under way, and no more."""
        self._ends = True


async def run(
    folder: Path, near_db: str, far_db: str, kills: int, seed: int, *, life_s: float = 2.0
) -> Tally:
    """Kill so many times; give what became of the readings."""
    moods = random.Random(seed)
    began_s = time.monotonic()
    near_port, far_port = free_port(), free_port()
    proxy = LossyProxy(far_port, seed)
    await proxy.start()
    proxy.loss = 0.02
    (folder / "far.toml").write_text(
        f'[http]\nport = {far_port}\n[database]\nurl = "{far_db}"\n[gateway]\ndevice = "far"\n'
        f'[api]\nsecret = "{SECRET}"\ndevice_keys = ["van-7:{FAR_KEY}"]\n'
    )
    (folder / "near.toml").write_text(
        f'[http]\nport = {near_port}\n[database]\nurl = "{near_db}"\n[gateway]\ndevice = "near"\n'
        f'[api]\nsecret = "{SECRET}"\ndevice_keys = ["esp-1:{DEVICE_KEY}"]\n'
        f'[outbound]\nallow = ["127.0.0.1"]\n[forward]\nurl = "{proxy.url}"\n'
        f'folder = "{folder / "queue"}"\ndevices = ["esp-1:{FAR_KEY}"]\n'
    )
    near, far = Process(folder / "near.toml", near_port), Process(folder / "far.toml", far_port)
    await asyncio.gather(near.start(), far.start())
    await asyncio.gather(_ready(near), _ready(far))
    device = Device(near.url)
    posting = asyncio.create_task(device.run())
    for number in range(kills):
        await asyncio.sleep(moods.uniform(0.1, life_s))
        victim = far if number % 4 == 3 else near
        await victim.kill()
        await asyncio.sleep(moods.uniform(0, 0.2))
        await victim.start()
        if moods.random() < 0.7:  # else it is perhaps killed before it is up
            await _ready(victim)
    await asyncio.gather(_ready(near), _ready(far))
    await asyncio.sleep(moods.uniform(0.1, life_s))
    device.end()
    await posting
    await _drained(near)
    here, there = await fetch_readings(near_db, "esp-1"), await fetch_readings(far_db, "van-7")
    await asyncio.gather(near.kill(), far.kill())
    await proxy.stop()
    tally = Tally(kills, proxy.cut, device.posted, device.acknowledged, len(here), len(there))
    _compare(tally, here, there)
    tally.seconds = round(time.monotonic() - began_s, 1)
    return tally


def _compare(tally: Tally, here: list[StoredReading], there: list[StoredReading]) -> None:
    ours = {(r.boot, r.seq): (r.signal, r.time_ns, r.value) for r in here}
    theirs = {(r.boot, r.seq): (r.signal, r.time_ns, r.value) for r in there}
    tally.doubled = len(there) - len(theirs) + len(here) - len(ours)
    tally.lost = len(ours.keys() - theirs.keys()) + max(0, tally.acknowledged - len(ours))
    tally.different = sum(theirs.get(key, one) != one for key, one in ours.items())
    tally.different += len(theirs.keys() - ours.keys())


async def _ready(process: Process) -> None:
    async with httpx2.AsyncClient(timeout=5) as http, asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if (await http.get(f"{process.url}/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


async def _drained(near: Process) -> None:
    headers = {"X-API-Key": SECRET}
    status: Any = None
    async with httpx2.AsyncClient(timeout=5, headers=headers) as http:
        try:
            async with asyncio.timeout(DRAIN_S):
                while True:
                    with contextlib.suppress(httpx2.TransportError):
                        status = (await http.get(f"{near.url}/api/v1/forward")).json()
                        if status["streams"][0]["state"] == "idle":
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not drained: {status}") from None


def main() -> None:
    """Run and print."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with EmbeddedPostgres(durable=False) as server, tempfile.TemporaryDirectory() as folder:
        server.start()
        near_db, far_db = server.create_database("near"), server.create_database("far")
        tally = asyncio.run(run(Path(folder), near_db, far_db, kills, seed))
        print(msgspec.json.encode(tally).decode())
        if tally.lost or tally.doubled or tally.different:
            for name in ("near.log", "far.log"):
                print((Path(folder) / name).read_text()[-3000:], file=sys.stderr)
            raise SystemExit(1)


if __name__ == "__main__":
    main()
