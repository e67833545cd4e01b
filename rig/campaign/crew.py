"""Who drives: this machine's cores by the runner's pool of processes, or any executor.

`Station` drives tasks on one machine. `LocalCrew` is one station. `ExecutorCrew` sends tasks to any
`concurrent.futures` executor, whose processes each have a station of their own; they share no disk
with the campaign: scenario and record travel with the task and its outcome.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Protocol

from rig.campaign.errors import CampaignError
from rig.campaign.task import NOT_ENDED, Breach, Outcome, Task, breaches_of
from rig.errors import RigError
from rig.runner.request import Request, Run
from rig.runner.runner import Runner, default_jobs
from rig.scenario import load_scenario
from rig.scenario.errors import ScenarioError
from rig.scenario.load import SUFFIX
from rig.versions import server_hash

LEAST_FREE_BYTES = 64 << 20
WALL_LIMIT_S = 300.0  # without progress; the machine may be busy with something else
CLUSTER_EXTRA = "pip install 'telerig[cluster]'"


class Crew(Protocol):
    """Drives tasks, several at a time."""

    @property
    def width(self) -> int:
        """How many tasks it drives at a time."""
        ...

    def submit(self, task: Task) -> Future[Outcome]:
        """Queue a task; its future raises only where the machine is broken."""
        ...

    def close(self) -> None:
        """Stop what goes on."""
        ...


class Station:
    """Drives tasks on this machine, in a folder that is empty again afterwards.

    Args:
        folder: for scenario files and records while runs go on.
        jobs: runs at a time.
    """

    def __init__(self, folder: Path, jobs: int) -> None:
        self.width = jobs
        self._folder = folder
        self._runner = Runner(folder / "runs", jobs=jobs)

    def submit(self, task: Task) -> Future[Outcome]:
        """Queue a task."""
        promise: Future[Outcome] = Future()
        place = self._folder / task.name
        try:
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"run{SUFFIX}"
            path.write_text(task.text, encoding="utf-8")
            scenario = load_scenario(path)
            request = Request(scenario, task.seed, "virtual", task.preload, WALL_LIMIT_S)
        except ScenarioError as error:
            shutil.rmtree(place, ignore_errors=True)
            breach = Breach(limit=NOT_ENDED, sentence=str(error))
            promise.set_result(Outcome(breaches=(breach,)))
            return promise
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise _no_room(self._folder, error) from error

        def conclude(future: Future[Run]) -> None:
            if future.cancelled():
                promise.cancel()
                return
            try:
                promise.set_result(self._outcome(task, future.result(), place))
            except OSError as error:
                promise.set_exception(_no_room(self._folder, error))
            except BaseException as error:  # noqa: BLE001  thread boundary: the waiter raises it
                promise.set_exception(error)

        self._runner.submit(request).add_done_callback(conclude)
        return promise

    def close(self) -> None:
        """Stop what goes on, and leave nothing behind."""
        self._runner.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _outcome(self, task: Task, run: Run, place: Path) -> Outcome:
        if run.failure and shutil.disk_usage(self._folder).free < LEAST_FREE_BYTES:
            raise CampaignError(
                f"{self._folder}: expected room for the records of runs, found "
                f"{shutil.disk_usage(self._folder).free >> 20} MB; free some, and run it again"
            )
        breaches = breaches_of(run)
        kept = task.keep == "always" or (task.keep == "failing" and bool(breaches))
        record = _files(run.folder) if kept else {}
        for folder in (run.folder, place):
            shutil.rmtree(folder, ignore_errors=True)
        return Outcome(
            breaches=breaches,
            sim_s=run.sim_s,
            wall_s=run.wall_s,
            trace_sha256=run.trace_sha256,
            record=record,
        )


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _check(task: Task) -> None:
    if task.server and task.server != server_hash():
        raise CampaignError(
            f"this machine: expected the gateway of the campaign ({task.server[:12]}), found "
            f"another one ({server_hash()[:12]}); install the same telerig everywhere"
        )


def _no_room(folder: Path, error: OSError) -> CampaignError:
    return CampaignError(
        f"{folder}: expected to write runs there, found: {error.strerror or error}; free some "
        "space, and run it again"
    )


class LocalCrew(Station):
    """The cores of this machine."""

    def __init__(self, folder: Path, jobs: int | None = None) -> None:
        super().__init__(folder, jobs or default_jobs())


# -- other machines --------------------------------------------------------------------------------
_STATION_LOCK = threading.Lock()
_STATION: list[Station] = []


def drive(task: Task) -> Outcome:
    """Drive a task here and now; what an executor calls in its processes.

    The first call gives the process a station, with a database server, that stays until its end.
    """
    _check(task)
    return _station().submit(task).result()


def _station() -> Station:
    with _STATION_LOCK:
        if not _STATION:
            folder = Path(tempfile.mkdtemp(prefix="telerig-crew-"))
            _STATION.append(Station(folder, default_jobs()))
            atexit.register(_STATION[0].close)
        return _STATION[0]


class ExecutorCrew:
    """Any `concurrent.futures` executor whose processes have telerig installed.

    Args:
        executor: it calls `rig.campaign.crew.drive`.
        width: how many tasks it drives at a time.
        on_close: what else ends with it.
    """

    def __init__(
        self, executor: Executor, width: int, on_close: Callable[[], None] | None = None
    ) -> None:
        self.width = width
        self._executor = executor
        self._on_close = on_close

    def submit(self, task: Task) -> Future[Outcome]:
        """Send a task."""
        return self._executor.submit(drive, task)

    def close(self) -> None:
        """Take back what has not begun."""
        try:
            self._executor.shutdown(wait=False, cancel_futures=True)
        except TypeError:  # dask's knows no such word, and does so anyway
            self._executor.shutdown(wait=False)
        if self._on_close is not None:
            self._on_close()


def crew_at(address: str) -> ExecutorCrew:
    """Return the crew at "dask://host:port": the workers of a dask.distributed scheduler.

    Raises:
        CampaignError: it is no such address, nobody answers there, or no worker is there.
    """
    scheme, _, place = address.partition("://")
    if scheme != "dask" or not place:
        raise CampaignError(
            f"--executor {address}: expected dask://HOST:PORT, the address of a scheduler"
        )
    try:
        import distributed
    except ImportError as error:
        raise CampaignError(
            f"--executor {address}: expected the package 'distributed' to be installed, found "
            f"none; install it: {CLUSTER_EXTRA}"
        ) from error
    connect: Any = distributed.Client  # it has no types
    try:
        client = connect(f"tcp://{place}", timeout="5s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise CampaignError(
            f"--executor {address}: expected a dask scheduler there, found: "
            f"{' '.join(str(error).split())}; start one: dask scheduler"
        ) from error
    threads = sum(client.nthreads().values())
    if not threads:
        client.close()
        raise CampaignError(
            f"--executor {address}: expected workers at this scheduler, found none; start some: "
            f"dask worker tcp://{place}"
        )
    return ExecutorCrew(client.get_executor(pure=False), threads, client.close)


def close_quietly(crew: Crew) -> None:
    """End a crew; what it still has to say does not matter any more."""
    with contextlib.suppress(RigError, OSError):
        crew.close()
