"""Runs scenarios in worker processes, several at a time, and judges their records."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType


from rig.databases import Databases
from rig.errors import RigError
from rig.job import Failed, Finished, Job, Progress, decode_message, encode
from rig.limits import Verdict
from rig.scenario.model import Scenario

WORKER_MODULES = {"virtual": "rig.virtual", "paced": "rig.paced"}
STDERR_FILE = "worker.stderr.log"
WALL_LIMIT_S = 60.0
TAIL_LINES = 25


@dataclass(frozen=True, slots=True)
class Request:
    """One run that is wanted.

    Attributes:
        scenario: what to run.
        seed: of every random stream.
        mode: "virtual" or "paced".
        preload: see `rig.job.Job`.
    """

    scenario: Scenario
    seed: int
    mode: str
    preload: str = ""
    wall_limit_s: float = WALL_LIMIT_S

    @property
    def command(self) -> str:
        """The one command that repeats the run."""
        path = os.path.relpath(self.scenario.path)
        variant = ["--variant", self.scenario.variant] if self.scenario.variant else []
        mode = [] if self.mode == self.scenario.mode else ["--mode", self.mode]
        return shlex.join(["telerig", "run", path, "--seed", str(self.seed), *variant, *mode])


@dataclass(slots=True)
class Run:
    """One run that has ended, with its verdict."""

    request: Request
    folder: Path
    sim_s: float = 0.0
    wall_s: float = 0.0
    trace_sha256: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    failure: str = ""
    usage: bool = False

    @property
    def passed(self) -> bool:
        return not self.failure and not any(v.outcome.is_failure for v in self.verdicts)

    @property
    def ratio(self) -> float:
        """Simulated seconds per wall second."""
        return self.sim_s / self.wall_s if self.wall_s else 0.0


ProgressListener = Callable[[Request, Progress], None]


class Runner:
    """A pool of worker processes.

    Args:
        runs: folder under which each run gets its own.
        jobs: workers at a time. A paced run always has the machine to itself.
        on_progress: called from worker threads.
    """

    def __init__(
        self, runs: Path, *, jobs: int = 1, on_progress: ProgressListener | None = None
    ) -> None:
        self._runs = runs
        self._jobs = jobs
        self._on_progress = on_progress
        self._databases = Databases()
        self._waiting: deque[tuple[Request, Future[Run]]] = deque()
        self._changed = threading.Condition()
        self._running = 0
        self._exclusive = False
        self._closed = False
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._threads: list[threading.Thread] = []

    def submit(self, request: Request) -> Future[Run]:
        """Queue a run; its future never raises for a run that fails, only for a broken machine."""
        future: Future[Run] = Future()
        with self._changed:
            self._waiting.append((request, future))
            if len(self._threads) < self._jobs:
                thread = threading.Thread(target=self._work, name="runner", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()
        return future

    def run(self, request: Request) -> Run:
        """Run one scenario and wait for it."""
        return self.submit(request).result()

    def close(self) -> None:
        """Stop what runs, and the database server."""
        with self._changed:
            self._closed = True
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()
            for process in self._processes:
                process.terminate()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._databases.close()

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- worker threads ----------------------------------------------------------------------------
    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_start())
                if self._closed:
                    return
                request, future = self._waiting.popleft()
                self._running += 1
                self._exclusive = request.mode == "paced"
            try:
                future.set_result(self._run_one(request))
            except BaseException as error:  # noqa: BLE001  thread boundary: the waiter raises it
                future.set_exception(error)
            finally:
                with self._changed:
                    self._running -= 1
                    self._exclusive = False
                    self._changed.notify_all()

    def _may_start(self) -> bool:
        if not self._waiting or self._exclusive:
            return False
        return self._running == 0 or self._waiting[0][0].mode != "paced"

    def _run_one(self, request: Request) -> Run:
        run = Run(request, new_folder(self._runs, request))
        try:
            url = self._databases.fresh()
        except RigError as error:
            run.failure = str(error)
            return run
        job = Job(
            scenario=request.scenario.path,
            variant=request.scenario.variant,
            seed=request.seed,
            folder=run.folder,
            database_url=url,
            command=request.command,
            wall_limit_s=request.wall_limit_s,
            preload=request.preload,
        )
        try:
            self._run_worker(job, run)
            if not run.failure:
                run.verdicts = judge_record(run.folder)
        except RigError as error:
            run.failure = str(error)
        finally:
            self._databases.drop(url)
        return run

    def _run_worker(self, job: Job, run: Run) -> None:
        run.folder.mkdir(parents=True, exist_ok=True)
        stderr_path = run.folder / STDERR_FILE
        start_s = time.monotonic()
        with stderr_path.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", WORKER_MODULES[run.request.mode]],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        with self._changed:
            self._processes.add(process)
        try:
            self._talk(process, job, run)
        finally:
            process.kill()
            code = process.wait()
            with self._changed:
                self._processes.discard(process)
        run.wall_s = run.wall_s or time.monotonic() - start_s
        if not run.trace_sha256 and not run.failure:
            run.failure = (
                f"the worker ended with code {code} before the run's end; "
                f"{stderr_path} ends with:\n{_tail(stderr_path)}"
            )
        if stderr_path.stat().st_size == 0:
            stderr_path.unlink()

    def _talk(self, process: subprocess.Popen[bytes], job: Job, run: Run) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode(job))
        process.stdin.close()
        for line in process.stdout:
            message = decode_message(line)
            if isinstance(message, Progress):
                if self._on_progress is not None:
                    self._on_progress(run.request, message)
            elif isinstance(message, Finished):
                run.sim_s, run.wall_s = message.sim_s, message.wall_s
                run.trace_sha256 = message.trace_sha256
            elif isinstance(message, Failed):
                run.failure, run.usage = message.message, message.usage
        process.stdout.close()
        process.wait()


def judge_record(folder: Path) -> list[Verdict]:
    """Judge the record in `folder` by the limits that it holds; writes `verdict.json` beside it."""
    from rig.judgement import judge_folder

    return judge_folder(folder).verdicts


def new_folder(runs: Path, request: Request) -> Path:
    """A name for the run's folder: stamp, scenario, seed; never one that exists."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    word = "".join(c if c.isalnum() else "-" for c in request.scenario.id.lower()).strip("-")
    base = f"{stamp}-{word}-{request.seed}"
    for number in range(1, 1000):
        folder = runs / (base if number == 1 else f"{base}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RigError(f"{runs}: expected a folder to write runs to: {error.strerror}") from error
        return folder
    raise RigError(f"{runs}: expected a free name for {base}")


def default_jobs() -> int:
    """Workers at a time: one for each core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def seeds_of(scenario: Scenario, count: int, first: int | None = None) -> Sequence[int]:
    """`count` seeds, beginning with the scenario's own or `first`."""
    start = scenario.seed if first is None else first
    return range(start, start + count)


def _tail(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()
    return "\n".join("  " + line for line in lines[-TAIL_LINES:]) or "  (nothing)"


