"""Third-party things in the hardware's place, each a process of its own; and runs on a bench."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rig.runner.request import Request, Run
from rig.runner.runner import Runner
from rig.scenario import load_scenario
from rig.worker.job import Progress
from tests.rig.stand.switch import offered_port

HERE = Path(__file__).parent
START_LIMIT_S = 20.0
LOOK_S = 0.05
EMULATOR = "TELERIG_ELM_EMULATOR"


class Processes:
    """Starts programs and ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *words: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Start a program; what it prints is there to be read."""
        process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self._folder,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def ready(self, script: str, *words: str | Path) -> subprocess.Popen[str]:
        """Start a script of this folder and wait until it says that it is ready."""
        process = self.start(sys.executable, HERE / script, *words)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def close(self) -> None:
        """End all of them."""
        for process in self._started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Programs of one test."""
    processes = Processes(tmp_path)
    yield processes
    processes.close()


class Adapter:
    """ELM327-emulator as the adapter: its licence lets it be a process beside us, and no more.

    Attributes:
        path: a link to its PTY, as udev makes by-id names; gone when it is pulled.
    """

    def __init__(self, processes: Processes, program: str, folder: Path) -> None:
        self._processes = processes
        self._program = program
        self._folder = folder
        self.path = folder / "adapter"
        self._process: subprocess.Popen[str] | None = None

    def plug_in(self) -> None:
        """Start it, and wait until it has a port."""
        batch = self._folder / "emulator.txt"
        batch.unlink(missing_ok=True)
        self._process = self._processes.start(self._program, "-s", "car", "-b", batch)
        deadline_s = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline_s:
            if port := offered_port(batch):
                self.path.symlink_to(port)
                return
            time.sleep(LOOK_S)
        pytest.fail("ELM327-emulator did not offer a port")

    def pull(self) -> None:
        """End it: its PTY hangs up. Its name goes first: the PTY's number is soon another's."""
        assert self._process is not None
        self.path.unlink()
        self._process.kill()
        self._process.wait()


def emulator() -> str:
    """Return the program of the emulator, or skip."""
    program = os.environ.get(EMULATOR) or shutil.which("elm")
    if program is None:
        pytest.skip(f"ELM327-emulator is not installed (`elm` on PATH, or {EMULATOR})")
    return program


@pytest.fixture
def adapter(processes: Processes, tmp_path: Path) -> Adapter:
    """An emulator of an ELM327 that is plugged in."""
    adapter = Adapter(processes, emulator(), tmp_path)
    adapter.plug_in()
    return adapter


class BenchRunner:
    """Runs scenarios on benches, and does something in mid-run if asked for it."""

    def __init__(self, runs: Path) -> None:
        self._runner = Runner(runs, on_progress=self._progress)
        self._later: list[tuple[float, Callable[[], None]]] = []

    def run(
        self, scenario: Path, bench: Path, later: list[tuple[float, Callable[[], None]]]
    ) -> Run:
        """Run a scenario; `later` are (second of the run, action)."""
        self._later = sorted(later, key=lambda item: item[0])
        return self._runner.run(Request(load_scenario(scenario), 3, "paced", bench=bench))

    def close(self) -> None:
        """End it."""
        self._runner.close()

    def _progress(self, _request: Request, progress: Progress) -> None:
        while self._later and progress.sim_s >= self._later[0][0]:
            self._later.pop(0)[1]()


@pytest.fixture(scope="session")
def bench_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BenchRunner]:
    """One for all tests: one database server."""
    runner = BenchRunner(tmp_path_factory.mktemp("bench_runs"))
    yield runner
    runner.close()


RunOnBench = Callable[..., Run]


@pytest.fixture
def run_on_bench(bench_runner: BenchRunner, tmp_path: Path) -> RunOnBench:
    """Return `run(scenario, links, *later)`: a paced run; both are YAML."""

    def run(scenario: str, links: str, *later: tuple[float, Callable[[], None]]) -> Run:
        path, bench = tmp_path / "on_bench.scenario.yaml", tmp_path / "bench.yaml"
        path.write_text(f"rig: 1\nseed: 3\n{scenario}", encoding="utf-8")
        bench.write_text(f"bench: 1\nname: stand-ins\n{links}", encoding="utf-8")
        return bench_runner.run(path, bench, list(later))

    return run
