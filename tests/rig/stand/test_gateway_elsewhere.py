"""A gateway on another host: a network of its own, reached over a PTY bridge and a cable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.judge.limits import Outcome
from rig.measures.measures import measure
from rig.record.reader import RecordReader
from rig.runner.databases import Databases
from tests.rig.stand.conftest import Processes, RunOnBench

pytestmark = pytest.mark.on_time

SCENARIO = """\
needs: [obd, gps]
gateway: {plan: {RPM: 5 Hz, SPEED: 5 Hz}}
phases: [{idle: 8 s}]
limits:
  obd.coverage: {min: 90 %}
  obd.fidelity.max: {max: 0.01 step}
  obd.latency.p95: {max: 100 ms}
  gps.coverage: {min: 90 %}
  gps.fidelity.max: {max: 0.01 step}
  readings.lost: {equals: 0}
  readings.doubled: {equals: 0}
after: [gateway.exit == 0]
"""
CONFIG = """\
[gateway]
device = "car-7"
[http]
host = "{address}"
port = {port}
[api]
secret = "{secret}"
[database]
url = "{database}"
[links.obd]
kind = "obd"
port = "{obd}"
baud = 38400
plan = [{{signal = "RPM", rate_hz = 5.0}}, {{signal = "SPEED", rate_hz = 5.0}}]
[links.gps]
kind = "gps"
port = "{gps}"
baud = 9600
"""
PORT = 8000
SECRET = "of the other host"
TOKEN = "TELERIG_TEST_BENCH_TOKEN"
NEAR, FAR = "10.213.7.1", "10.213.7.2"
START_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Host:
    """Another host.

    Attributes:
        links: of a bench file that drives its cables.
        url: of its gateway.
        database: of its gateway.
    """

    links: str
    url: str
    database: str


@pytest.fixture
def databases() -> Iterator[Databases]:
    """A server for the other host."""
    with Databases() as databases:
        yield databases


@pytest.fixture
def host(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, databases: Databases
) -> Iterator[Host]:
    """A network namespace with a gateway in it, and two serial cables to it."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("the programs unshare and ip are not installed")
    ends = {name: (tmp_path / f"{name}-near", tmp_path / f"{name}-far") for name in ("obd", "gps")}
    for near, far in ends.values():
        processes.ready("pty_bridge.py", near, far)
    config, database = tmp_path / "elsewhere.toml", databases.fresh()
    config.write_text(
        CONFIG.format(
            address=FAR,
            port=PORT,
            secret=SECRET,
            database=database,
            obd=ends["obd"][1],
            gps=ends["gps"][1],
        )
    )
    waiting = tmp_path / "cable is in"
    box = processes.start(
        "unshare", "--net", "sh", "-c",
        f"echo ready; while [ ! -e '{waiting}' ]; do sleep 0.05; done; ip link set lo up; "
        f"exec '{sys.executable}' -m rig.cli serve --config '{config}' 2> '{tmp_path}/box.log'",
    )  # fmt: skip
    assert box.stdout is not None
    if box.stdout.readline() != "ready\n":
        pytest.skip("this user may not make a network namespace")
    cable = f"tlrg{box.pid % 100_000}"
    for words in (
        f"ip link add {cable} type veth peer name far netns {box.pid}",
        f"ip addr add {NEAR}/30 dev {cable}",
        f"ip link set {cable} up",
        f"nsenter --net=/proc/{box.pid}/ns/net ip addr add {FAR}/30 dev far",
        f"nsenter --net=/proc/{box.pid}/ns/net ip link set far up",
    ):
        done = subprocess.run(words.split(), capture_output=True, text=True, check=False)
        if done.returncode:
            subprocess.run(["ip", "link", "del", cable], capture_output=True, check=False)
            pytest.skip(f"this machine does not let us lay a cable: {done.stderr.strip()}")
    waiting.touch()
    url = f"http://{FAR}:{PORT}"
    monkeypatch.setenv(TOKEN, SECRET)
    try:
        _wait_for(url)
        drives = ", ".join(f"{name}: {{drive: {near}}}" for name, (near, _) in ends.items())
        yield Host(f"links: {{{drives}}}\n", url, database)
    finally:
        box.terminate()
        subprocess.run(["ip", "link", "del", cable], capture_output=True, check=False)
        box.wait(20)


def _wait_for(url: str) -> None:
    deadline_s = time.monotonic() + START_LIMIT_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            opener.open(f"{url}/health", timeout=1.0).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)
        else:
            return


def test_a_gateway_on_another_host_is_driven_and_judged(
    host: Host, run_on_bench: RunOnBench
) -> None:
    """The world drives its cables; live stream and API, or database, tell what became of it."""
    gateway = f'at: "{host.url}", token: {TOKEN}'
    # The second run finds the readings of the first, and reads the store itself.
    for place in (gateway, f'{gateway}, database: "{host.database}"'):
        run = run_on_bench(SCENARIO, f"{host.links}gateway: {{{place}}}\n")
        assert run.failure_lines() == []
        outcomes = {verdict.limit.name: verdict.outcome for verdict in run.verdicts}
        assert outcomes.pop("gateway.exit") is Outcome.SKIPPED
        assert set(outcomes.values()) <= {Outcome.PASS, Outcome.MARGINAL}
        record = RecordReader(run.folder)
        assert record.manifest.bench["gateway"] == host.url
        measures = measure(record)
        unpublished = measures.get("readings.unpublished")
        assert unpublished is not None
        assert unpublished.value == 0


def test_a_gateway_that_is_not_there_ends_the_run_at_once(run_on_bench: RunOnBench) -> None:
    """The message names the file's line and the address."""
    ends = os.openpty()
    port = os.ttyname(ends[1])
    run = run_on_bench("needs: [gps]\nphases: [{idle: 2 s}]\nlimits: {gps.rate: {min: 0/s}}\n",
                       'gateway: {at: "http://127.0.0.1:9"}\n'
                       f"links: {{gps: {{drive: {port}}}}}\n")  # fmt: skip
    for end in ends:
        os.close(end)
    assert "http://127.0.0.1:9" in run.failure
    assert "bench.yaml:3" in run.failure
