"""The older edge logger (S4) as a paced run: a gateway supervises it while a car drives.

What YAML cannot say: the gateway starts and stops a process of its own, over the old paths.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from rig.runner.databases import Databases
from rig.worker.gateway_process import GatewayProcess
from rig.worker.stored import fetch_stored
from server.readings import State

HERE = Path(__file__).parent
VIN = "1FADP3L97DL000001"
PATIENCE_S = 30.0
DRIVE_S = 8.0
ALPHA = 0.3


def call(method: str, url: str) -> Any:
    """Send a request without a body and give its JSON answer."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        return json.load(answer)


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[str]:
    """An ELM327 in a car that drives a round trip, in wall time."""
    path = tmp_path / "obd"
    device = subprocess.Popen(
        [
            *(sys.executable, "-m", "rig.cli", "device", "obd", "--json", "--baud", "38400"),
            *("--link", str(path)),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert device.stdout is not None
    device.stdout.readline()
    yield str(path)
    device.send_signal(signal.SIGTERM)
    device.wait(PATIENCE_S)
    device.stdout.close()


@pytest.fixture
def database_url() -> Iterator[str]:
    """An empty database."""
    databases = Databases()
    url = databases.fresh()
    yield url
    databases.drop(url)
    databases.close()


async def said(url: str, until: threading.Event) -> list[dict[str, Any]]:
    """Give what the old live stream says until the event is set."""
    messages: list[dict[str, Any]] = []
    live = url.replace("http:", "ws:") + "/ws"
    async with connect(live, subprotocols=["telerig.s4"]) as socket:  # type: ignore[list-item]
        while not until.is_set():
            try:
                async with asyncio.timeout(0.2):
                    messages.append(json.loads(await socket.recv()))
            except TimeoutError:
                continue
    return messages


def test_a_supervised_logger(adapter: str, database_url: str, tmp_path: Path) -> None:
    """It is started and stopped over HTTP; what it says is heard, what it leaves out is held."""
    config = tmp_path / "gateway.toml"
    log: list[str] = []
    port = free_port()
    command = [sys.executable, HERE / "s4_edge_logger.py", adapter, 38400]
    command += [f"http://127.0.0.1:{port}", VIN]
    config.write_text(
        f'[http]\nport = {port}\n[database]\nurl = "{database_url}"\n[log]\nformat = "json"\n'
        f"[compat]\ns4 = true\n[compat.logger]\ncommand = {json.dumps(list(map(str, command)))}\n"
    )
    gateway = GatewayProcess(config, log.append)
    done = threading.Event()
    try:
        wait_for(lambda: gateway.port is not None)
        heard: list[dict[str, Any]] = []
        listener = threading.Thread(
            target=lambda: heard.extend(asyncio.run(said(gateway.url, done))), daemon=True
        )
        listener.start()
        call("POST", gateway.url + "/logger/start")
        wait_for(lambda: call("GET", gateway.url + "/status")["logger"]["state"] == "running")
        pid = call("GET", gateway.url + "/status")["logger"]["pid"]
        wait_for(
            lambda: call("GET", gateway.url + "/status")["compression_stats"]["total_readings"] > 20
        )
        time.sleep(DRIVE_S)
        call("POST", gateway.url + "/logger/stop")
        status = call("GET", gateway.url + "/status")
        time.sleep(0.5)
        done.set()
        listener.join(PATIENCE_S)
    finally:
        exit_code = gateway.stop()

    assert exit_code == 0, log
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert status["logger"]["state"] != "running"
    lines = [message for message in heard if message["type"] == "log"]
    assert any("edge logger ready" in json.dumps(line) for line in lines)
    telemetry = [message for message in heard if message["type"] == "telemetry"]
    assert telemetry
    assert all(message["data"]["vehicle_vin"] == VIN for message in telemetry)

    stats = status["compression_stats"]
    assert stats["total_readings"] == stats["transmitted_readings"] + stats["skipped_readings"]
    stored = asyncio.run(fetch_stored(database_url))
    readings = [reading for reading in stored.rows if reading.device == f"edge.{VIN}"]
    assert len(readings) == stats["total_readings"]
    held = [reading for reading in readings if reading.state == State.HELD]
    assert len(held) == stats["skipped_readings"] > 0
    assert {reading.state for reading in readings} == {State.HELD, State.MEASURED}
    # What was left out is the level of what was sent, as this logger's own predictor has it.
    levels: dict[int, float] = {}
    for reading in readings:
        assert reading.value is not None
        if reading.state == State.HELD:
            assert reading.value == pytest.approx(levels[reading.signal], rel=1e-6)
        else:
            level = levels.get(reading.signal)
            levels[reading.signal] = (
                reading.value if level is None else ALPHA * reading.value + (1 - ALPHA) * level
            )


def free_port() -> int:
    """Give a port that nobody listens on now."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(condition: Any) -> None:
    """Wait until a condition holds."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it does not come about"
        time.sleep(0.05)
