"""Runs scenarios in worker processes, several at a time, and judges their records."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError
from rig.judge.judgement import judge_folder
from rig.judge.whereabouts import whereabouts
from rig.runner.databases import Databases
from rig.runner.nursery import Nurseries
from rig.runner.request import Request, Run
from rig.runner.runs_folder import new_run_folder
from rig.runner.scratch import ScratchFolder
from rig.runner.worker_process import WorkerProcess
from rig.worker.job import Failed, Finished, Job, Progress

__all__ = ["Request", "Run", "Runner", "default_jobs"]

ProgressListener = Callable[[Request, Progress], None]
StartListener = Callable[[Request, Path], None]
LOCK_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class _Order:
    """A request, the environment of its worker, and who waits for it."""

    request: Request
    environment: dict[str, str]
    future: Future[Run]

    @property
    def alone(self) -> bool:
        """True if nothing else may run beside it: CPU and throughput are measured."""
        return self.request.mode == "paced"


class RunnerClosedError(RigError):
    """The runner was closed before the run could begin."""


class Runner:
    """A pool of worker processes. Use it as a context manager, or `close()` it.

    A worker gets the environment and the working folder as they were when its run was asked for:
    what changes later (a test that moves to another folder) does not reach it.

    Args:
        runs: folder under which each run gets its own.
        jobs: workers at a time. A paced run always has the machine to itself.
        on_progress: called from worker threads.
        on_start: gets the folder of each run as soon as it has one; from worker threads.
        machine_lock: file on which several runners agree that a paced run is alone.
    """

    def __init__(
        self,
        runs: Path,
        *,
        jobs: int = 1,
        on_progress: ProgressListener | None = None,
        on_start: StartListener | None = None,
        machine_lock: Path | None = None,
    ) -> None:
        self._runs = runs.absolute()
        self._jobs = jobs
        self._on_progress = on_progress
        self._on_start = on_start
        self._machine_lock = machine_lock
        self._scratch: ScratchFolder | None = None
        self._databases = Databases()
        self._nurseries = Nurseries()
        self._waiting: deque[_Order] = deque()
        self._changed = threading.Condition()
        self._running = 0
        self._exclusive = False
        self._closed = False
        self._workers: dict[Path, WorkerProcess] = {}
        self._stopped: set[Path] = set()
        self._threads: list[threading.Thread] = []

    def submit(self, request: Request) -> Future[Run]:
        """Queue a run; its future never raises for a run that fails, only for a broken machine."""
        future: Future[Run] = Future()
        with self._changed:
            self._waiting.append(_Order(request, dict(os.environ), future))
            if len(self._threads) < self._jobs:
                thread = threading.Thread(target=self._work, name="runner", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()
        return future

    def run(self, request: Request) -> Run:
        """Run one scenario and wait for it."""
        return self.submit(request).result()

    def stop(self, folder: Path) -> bool:
        """End the run of a folder now; return False if none of this runner's goes on there."""
        with self._changed:
            worker = self._workers.get(folder.absolute())
            if worker is None:
                return False
            self._stopped.add(folder.absolute())
            worker.kill()
            return True

    def close(self) -> None:
        """Stop what runs, and the database server; leave nothing behind but records."""
        with self._changed:
            self._closed = True
            for order in self._waiting:
                order.future.cancel()
            self._waiting.clear()
            for worker in self._workers.values():
                worker.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._nurseries.close()
        self._databases.close()
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- worker threads ----------------------------------------------------------------------------
    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_start())
                if self._closed:
                    return
                order = self._waiting.popleft()
                self._running += 1
                self._exclusive = order.alone
            try:
                with self._machine(alone=order.alone):
                    order.future.set_result(self._run_one(order))
            except BaseException as error:  # noqa: BLE001  thread boundary: the waiter raises it
                order.future.set_exception(error)
            finally:
                with self._changed:
                    self._running -= 1
                    self._exclusive = False
                    self._changed.notify_all()

    def _may_start(self) -> bool:
        if not self._waiting or self._exclusive:
            return False
        return self._running == 0 or not self._waiting[0].alone

    @contextlib.contextmanager
    def _machine(self, *, alone: bool) -> Iterator[None]:
        """Share the machine with other runners, or have it alone."""
        if self._machine_lock is None:
            yield
            return
        with self._machine_lock.open("a") as file:
            while True:
                try:
                    fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    with self._changed:
                        if self._changed.wait_for(lambda: self._closed, LOCK_LOOK_S):
                            raise RunnerClosedError("the run was stopped before it began") from None
            yield

    def _run_one(self, order: _Order) -> Run:
        request = order.request
        with contextlib.ExitStack() as stack:
            urls = [self._database(stack) for _ in request.scenario.gateways]
            run = Run(request, new_run_folder(self._runs, request))
            if self._on_start is not None:
                self._on_start(request, run.folder)
            try:
                self._drive(run, urls, order.environment)
                if not run.failure:
                    _judge(run)
            except RigError as error:
                run.failure = str(error)
            except OSError as error:  # full disk, mostly
                run.failure = f"{run.folder}: expected to write the run there, found: {error}"
            return run

    def _database(self, stack: contextlib.ExitStack) -> str:
        """Return the URL of an empty database that is dropped with `stack`."""
        url = self._databases.fresh()

        def drop() -> None:
            with contextlib.suppress(RigError):  # the server has gone: then so has the database
                self._databases.drop(url)

        stack.callback(drop)
        return url

    def _drive(self, run: Run, urls: Sequence[str], environment: dict[str, str]) -> None:
        request = run.request
        job = Job(
            scenario=request.scenario.path.absolute(),
            variant=request.scenario.variant,
            seed=request.seed,
            folder=run.folder,
            database_url=urls[0],
            base_database_url=urls[1] if len(urls) > 1 else "",
            command=request.command,
            wall_limit_s=request.wall_limit_s,
            preload=request.preload,
            pace=request.pace,
            bench=None if request.bench is None else request.bench.absolute(),
        )
        environment = {**environment, "TMPDIR": str(self._scratch_folder())}
        worker = WorkerProcess(
            request.mode,
            job,
            environment,
            request.folder,
            self._nurseries if request.mode == "virtual" and not request.anew else None,
            self._cores(),
        )
        start_s = time.monotonic()
        with worker:
            with self._changed:
                if self._closed:
                    raise RunnerClosedError("the run was stopped before it began")
                self._workers[run.folder] = worker
            try:
                self._listen(worker, run)
                if run.folder in self._stopped:
                    run.failure = "it was stopped from the page"
                elif run.failure:
                    run.failure += worker.hint()
                elif not run.trace_sha256:
                    run.failure = worker.obituary()
            finally:
                with self._changed:
                    self._workers.pop(run.folder, None)
        run.wall_s = run.wall_s or time.monotonic() - start_s

    def _cores(self) -> list[int]:
        """On which cores the calling thread's worker runs: one of its own where there are several.

        Its threads take turns: woken on other cores they cost a fifth more CPU time and longer.
        """
        cores = sorted(os.sched_getaffinity(0))
        if self._jobs == 1:
            return cores
        slot = self._threads.index(threading.current_thread())
        return [cores[slot % len(cores)]]

    def _listen(self, worker: WorkerProcess, run: Run) -> None:
        for message in worker.messages():
            if isinstance(message, Progress):
                if self._on_progress is not None:
                    self._on_progress(run.request, message)
            elif isinstance(message, Finished):
                run.sim_s, run.wall_s = message.sim_s, message.wall_s
                run.trace_sha256 = message.trace_sha256
            elif isinstance(message, Failed):
                run.failure, run.usage = " ".join(message.message.split()), message.usage

    def _scratch_folder(self) -> Path:
        """Where workers put what a killed one would leave behind (links to its ports)."""
        with self._changed:
            if self._scratch is None:
                self._scratch = ScratchFolder()
            return self._scratch.path


def _judge(run: Run) -> None:
    judgement = judge_folder(run.folder)
    run.verdicts = judgement.verdicts
    run.measures = judgement.measures.all()
    run.places = [
        whereabouts(judgement.record, judgement.measures, verdict)
        if verdict.outcome.is_failure
        else ""
        for verdict in run.verdicts
    ]


def default_jobs() -> int:
    """Workers at a time: one for each core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))
