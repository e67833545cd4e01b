"""`telerig serve`, several of them on one database, each a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import httpx2

from tests.benchmarks.sender import device_keys
from tests.instances.children import Children, free_port, kill, stop

SECRET = "the operator of the fleet"
METRICS_TOKEN = "whoever looks at the fleet"
START_WAIT_S = 60.0
CONFIG = """\
[gateway]
device = "{name}"
[http]
host = "{host}"
port = {port}
connections = 3000
[api]
secret = "{secret}"
device_keys = {keys}
[metrics]
token = "{metrics_token}"
[database]
url = "{database}"
[instances]
name = "{name}"
bus = "{bus}"
lease_s = {lease_s}
[outbound]
allow = ["127.0.0.0/8", "10.0.0.0/8"]
[alerts]
group_s = 0.05
interval_s = 0.05
cooldown_s = 0
{more}"""
COMMAND: tuple[str, ...] = (sys.executable, "-m", "rig.cli", "serve")


class GatewayProcess:
    """One gateway.

    Args:
        children: who starts it.
        name: of the instance, and of its own device.
        devices: who may send.
        database: URL.
        bus: as in the configuration; "none" leaves [instances] away: a gateway alone.
        lease_s: seconds.
        host: address that it listens on.
        more: further tables of the configuration.
        prefix: words before the command, as `nsenter …`.
        command: what runs it, `--config FILE` follows.

    Attributes:
        url: where its API is.
        port: of it.
    """

    def __init__(
        self,
        children: Children,
        name: str,
        devices: Sequence[str],
        database: str,
        *,
        bus: str = "notify",
        lease_s: float = 1.0,
        host: str = "127.0.0.1",
        more: str = "",
        prefix: Sequence[str] = (),
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.name = name
        self.host = host
        self.port = free_port()
        self.url = f"http://{host}:{self.port}"
        self._children = children
        self._command = [*prefix, *command]
        self._process: subprocess.Popen[bytes] | None = None
        self._config = children.folder / f"{name}.toml"
        text = CONFIG.format(
            name=name, host=host, port=self.port, secret=SECRET, metrics_token=METRICS_TOKEN,
            keys=device_keys(list(devices)), database=database, bus=bus, lease_s=lease_s, more=more,
        )  # fmt: skip
        if bus == "none":
            before, _, rest = text.partition("[instances]")
            text = before + "[outbound]" + rest.partition("[outbound]")[2]
        self._config.write_text(text)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start its process; `ready` waits for it."""
        self._process = self._children.start(self.name, [*self._command, "--config", self._config])

    async def ready(self) -> None:
        """Return when it takes readings."""
        due_s = time.monotonic() + START_WAIT_S
        async with httpx2.AsyncClient(trust_env=False, timeout=5.0) as http:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get(f"{self.url}/ready")).status_code == 200:
                        return
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > due_s:
                    raise RuntimeError(
                        f"gateway {self.name} does not start:\n{self._children.log(self.name)}"
                    )
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Kill it as the kernel does."""
        assert self._process is not None
        kill(self._process)

    def pause(self) -> None:
        """Stop its time."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on, in the belief that nothing has happened."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it as a service manager does; give its exit code."""
        assert self._process is not None
        return stop(self._process)

    @property
    def is_alive(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has said."""
        return self._children.log(self.name)

    async def metrics(self) -> dict[str, float]:
        """Give its metrics by name; those with labels by name and labels, and added up by name."""
        answer = await self.ask(
            "GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}
        )
        found: dict[str, float] = {}
        for line in answer.text.splitlines():
            if line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                found[key] = float(value)
                name, brace, _ = key.partition("{")
                if brace:
                    found[name] = found.get(name, 0.0) + float(value)
        return found

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """Ask its API as the operator; the answer has status 200 or 201."""
        headers = {"X-API-Key": SECRET} if headers is None else headers
        async with httpx2.AsyncClient(trust_env=False, timeout=15.0) as http:
            answer = await http.request(method, self.url + path, json=body, headers=headers)
        assert answer.status_code in (200, 201, 204), answer.text
        return answer


async def held(gateways: Sequence[GatewayProcess]) -> list[int]:
    """Give how many shards each gateway holds."""
    found = await asyncio.gather(*(gateway.metrics() for gateway in gateways))
    return [int(metrics["telerig_shards_held"]) for metrics in found]


async def settled(gateways: Sequence[GatewayProcess], patience_s: float = 20.0) -> None:
    """Return when the shards are shared out among these gateways, each with a fair part."""
    due_s = time.monotonic() + patience_s
    while True:
        parts = await held(gateways)
        if sum(parts) == 64 and max(parts) - min(parts) <= len(gateways):
            return
        if time.monotonic() > due_s:
            raise AssertionError(f"expected 64 shards shared out fairly, found {parts}")
        await asyncio.sleep(0.1)
