"""What tests of the pages look at: a gateway and a `telerig view`, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 60
DEVICE = "esp-1"
PASSWORD = "correct horse battery staple"
ROLES = ("viewer", "operator", "admin")
GATEWAY = """\
[gateway]
device = "car-1"
[http]
port = 0
origins = {origins}
[api]
secret = "{secret}"
device_keys = ["{device}:{key}"]
[users]
requests_per_s = 0
[pipeline]
flush_ms = 30
publish_ms = 10
[database]
data_dir = "{folder}"
[store]
latest_s = 0.05
[log]
format = "json"
[provisioning]
networks = ["127.0.0.0/8"]
"""


@dataclass
class ServedGateway:
    """A gateway with its pages, embedded PostgreSQL, three users and one device.

    Attributes:
        url: `http://127.0.0.1:…`, without a slash at its end.
        secret: of the API; an admin.
        key: of the device `DEVICE`.
        process: that serves.
    """

    url: str
    secret: str
    key: str
    process: subprocess.Popen[str]
    boot: int = field(default_factory=lambda: secrets.randbelow(2**31) + 1)
    seq: int = 1

    def ask(self, path: str, body: Any = None, method: str = "", **headers: str) -> Any:
        """Call the API as admin; give the parsed answer."""
        sent = {"x-api-key": self.secret, "content-type": "application/json"} | headers
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, sent, method=method or None)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def send(self, readings: Sequence[tuple[str, int, float]]) -> None:
        """Send readings of the device as (signal, time_ns, value); they are committed after it."""
        rows = [{"signal": name, "time_ns": at, "value": value} for name, at, value in readings]
        body = {"boot": self.boot, "seq": self.seq, "readings": rows}
        self.ask("/api/v1/ingest/batch", body, **{"x-api-key": self.key})
        self.seq += len(rows)


@dataclass
class ServedView:
    """A `telerig view`.

    Attributes:
        url: without a slash at its end.
        runs: the folder that it shows; None: none.
        process: that serves.
    """

    url: str
    runs: Path | None
    process: subprocess.Popen[str]

    def ask(self, path: str) -> Any:
        """Ask its API."""
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read())


@contextlib.contextmanager
def serving_gateway(
    folder: Path, env: Mapping[str, str], more: str = "", *, origins: Sequence[str] = ()
) -> Iterator[ServedGateway]:
    """Run a gateway around a block; `more` is further configuration; pages of `origins` may use
    its API."""
    secret, key = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    config = folder / "telerig.toml"
    text = GATEWAY.format(
        secret=secret, key=key, device=DEVICE, folder=folder / "data", origins=json.dumps(origins)
    )
    config.write_text(text + more, encoding="utf-8")
    command = [sys.executable, "-m", "rig.cli", "serve", "-c", str(config)]
    with running(command, env, r'"url": ?"(http[^"]+)"', "stderr") as (process, url):
        gateway = ServedGateway(url, secret, key, process)
        for role in ROLES:
            user = {"name": role, "password": PASSWORD, "role": role}
            gateway.ask("/api/v1/users", user)
        yield gateway


@contextlib.contextmanager
def serving_view(
    runs: Path | None, env: Mapping[str, str], *arguments: str
) -> Iterator[ServedView]:
    """Run `telerig view` around a block."""
    words = [str(runs)] if runs is not None else []
    command = [sys.executable, "-m", "rig.cli", "view", *words, "--port", "0", "--json"]
    with running([*command, *arguments], env, r'"url": ?"(http[^"]+?)/?"', "stdout") as found:
        yield ServedView(found[1], runs, found[0])


@contextlib.contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], pattern: str, stream: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server around a block; it has begun when a line with its address has come."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **env},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said: dict[str, list[str]] = {"stdout": [], "stderr": []}
    threads = [
        threading.Thread(target=lambda p=pipe, n=name: said[n].extend(p), daemon=True)  # type: ignore[misc]
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for thread in threads:
        thread.start()
    try:
        yield process, _wait_for(process, said, pattern, stream)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for thread in threads:
            thread.join(5)
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def _wait_for(
    process: subprocess.Popen[str], said: Mapping[str, list[str]], pattern: str, stream: str
) -> str:
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        for line in list(said[stream]):
            found = re.search(pattern, line)
            if found:
                return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"{process.args} did not begin: {said}")
