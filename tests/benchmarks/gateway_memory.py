"""The gateway at idle: memory, CPU and what it imports, with OBD and GPS connected.

`telerig serve` in a fresh environment with only the serve extras (`pip install '.[obd,postgres]'
-c constraints.txt`), its embedded PostgreSQL beside it (not counted: a server of its own), and an
adapter and a receiver from `telerig device`. Then the same in the environment of this benchmark,
where everything is installed, because a library can pull in what it happens to find.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.devices import END_WAIT_S, telerig_device
from tests.benchmarks.figures import Goal, Row
from tests.benchmarks.machine import cpu_s_of

CONFIGURATION = """\
[http]
port = 0
[users]
local_role = "viewer"
[database]
data_dir = "{data_dir}"
[links.obd]
kind = "obd"
port = "{obd}"
baud = 38400
plan = [{{signal = "RPM", rate_hz = 5}}, {{signal = "SPEED", rate_hz = 5}}]
[links.gps]
kind = "gps"
port = "{gps}"
"""
EXTRAS = "obd,postgres"
ROOT = Path(__file__).resolve().parents[2]
# What the gateway has no use for. `obd` brings pint, which takes numpy and dask where they are.
UNWANTED = (
    *("dash", "flask", "plotly", "pyarrow", "rich", "dask", "numpy", "pandas"),
    *("simpy", "pytest", "hypothesis"),
)
IDLE_S, QUICK_IDLE_S, SAMPLES = 20.0, 5.0, 5
START_WAIT_S = 60.0
GOAL_MB = 70.0


@dataclass(frozen=True, slots=True)
class _Gateway:
    pid: int
    start_s: float
    imports: Path


def measure(quick: bool) -> list[Row]:
    """Measure in both environments."""
    with tempfile.TemporaryDirectory(prefix="bench-") as text:
        folder = Path(text)
        alone = _idle("serve extras", serve_only(folder / "venv"), folder / "serve", quick)
        beside = _idle("everything installed", Path(sys.executable), folder / "all", quick)
    # The goals are those of a machine that only serves; elsewhere libraries take what they find.
    return [*alone, *(replace(row, goal=None) for row in beside)]


def serve_only(folder: Path, extras: str = EXTRAS) -> Path:
    """Make an environment with only the serve extras and give its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    extra = f"{ROOT}[{extras}]"
    options = ["--python", str(python), "install", "-qq", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([base, "-m", "pip", *options, extra], check=True)
    return python


def _idle(name: str, python: Path, folder: Path, quick: bool) -> list[Row]:
    folder.mkdir()
    idle_s = QUICK_IDLE_S if quick else IDLE_S
    with telerig_device("obd") as obd, telerig_device("gps") as gps:
        configuration = folder / "telerig.toml"
        configuration.write_text(
            CONFIGURATION.format(data_dir=folder / "data", obd=obd.port, gps=gps.port),
            encoding="utf-8",
        )
        with _served(python, configuration) as gateway:
            time.sleep(idle_s)  # connected, and every code path was used
            start_cpu_s = cpu_s_of(gateway.pid)
            samples = []
            for _ in range(SAMPLES):
                time.sleep(idle_s / SAMPLES)
                samples.append(_memory_mb(gateway.pid))
            cpu_pct = (cpu_s_of(gateway.pid) - start_cpu_s) / idle_s * 100
            unwanted = _imported(gateway.imports) & _installed(python, UNWANTED)
            which = f" ({', '.join(sorted(unwanted))})" if unwanted else ""
            return [
                Row(f"{name}: RSS", [mb["Rss"] for mb in samples], "MB", Goal(most=GOAL_MB)),
                Row(f"{name}: PSS", [mb["Pss"] for mb in samples], "MB"),
                Row(
                    f"{name}: unwanted packages imported{which}",
                    [len(unwanted)],
                    "packages",
                    Goal(0, 0),
                ),
                Row(f"{name}: CPU", [cpu_pct], "% of a core"),
                Row(
                    f"{name}: first start to listening, with its database made",
                    [gateway.start_s],
                    "s",
                ),
            ]


@contextlib.contextmanager
def _served(python: Path, configuration: Path) -> Iterator[_Gateway]:
    """Run `telerig serve` until it listens and has both links up."""
    imports = configuration.with_name("stderr.log")
    command = [str(python.with_name("telerig")), "serve", "--config", str(configuration)]
    start_s = time.monotonic()
    with imports.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=configuration.parent,
            env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        started_s = time.monotonic() - start_s
        found = re.search(r"http://\S+", line)
        assert found, f"expected `listening on URL`, got {line!r}; see {imports}"
        _wait_ready(found[0])
        yield _Gateway(process.pid, started_s, imports)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(END_WAIT_S)


def _wait_ready(url: str) -> None:
    """Wait until a reading of each link was published."""
    due_s = time.monotonic() + START_WAIT_S
    while time.monotonic() < due_s:
        with urllib.request.urlopen(f"{url}/api/v1/links") as answer:
            if answer.read().count(b'"up"') >= 2:
                return
        time.sleep(0.2)
    raise TimeoutError(f"{url}: expected both links up within {START_WAIT_S:g} s")


def _installed(python: Path, packages: Sequence[str]) -> set[str]:
    """Those that an environment has."""
    code = "import importlib.util as u, sys; print(*filter(u.find_spec, sys.argv[1:]))"
    command = [str(python), "-c", code, *packages]
    return set(
        subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    )


def _imported(log: Path) -> set[str]:
    """Top-level packages that were asked for, found or not, from what `-X importtime` wrote."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    modules = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    return {module.partition(".")[0] for module in modules}


def _memory_mb(pid: int) -> dict[str, float]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return {key: int(kb) / 1024 for key, kb in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
