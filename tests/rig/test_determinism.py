"""The same scenario and seed give the same trace, whatever else differs."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rig.commands.twice import Pair, again
from rig.record.compare import compare
from rig.record.reader import RecordReader
from rig.runner.databases import Databases
from rig.runner.runner import Request, Runner
from rig.scenario.model import Scenario
from rig.worker.job import Failed, Finished, Job, decode_message, encode
from tests.rig.tcp_forwarder import TcpForwarder

PYTHONS = "TELERIG_PYTHONS"
"""Environment variable: further interpreters with telerig installed, separated by colons."""

# 24 s of driving in which everything moves.
CUTS = {
    "idle: 20 s": "idle: 2 s",
    "for: 15 s": "for: 12 s",
    "for: 30 s": "for: 5 s",
    "for: 1 min": "for: 5 s",
}
HOG_S = 60
HOG = f"import time\nend = time.monotonic() + {HOG_S}\nwhile time.monotonic() < end: pass"
WORKER_TIMEOUT_S = 120

Drive = Callable[..., Path]


@pytest.fixture(scope="module")
def scenario(shortened: Callable[[str, Mapping[str, str]], Scenario]) -> Scenario:
    """A short drive with both links."""
    return shortened("acceleration", CUTS)


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """One server for the workers of this file."""
    with Databases() as databases:
        yield databases


@pytest.fixture(scope="module")
def drive(
    scenario: Scenario,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    child_coverage: Mapping[str, str],
) -> Drive:
    """Return `drive(…)`, which runs the drive in a process and returns its record's folder.

    `seed` is the scenario's own if not given, `python` this interpreter, `over_tcp` reaches the
    database as a server elsewhere; further keywords are environment variables.
    """

    def drive(
        *,
        seed: int | None = None,
        python: str = sys.executable,
        over_tcp: bool = False,
        **variables: str,
    ) -> Path:
        folder = tmp_path_factory.mktemp("run")
        url = databases.fresh()
        base_url = databases.fresh() if "base" in scenario.gateways else ""
        door = TcpForwarder(url, pieces=True) if over_tcp else contextlib.nullcontext()
        with door:
            database = urlsplit(url).path.lstrip("/")
            job = Job(
                scenario=scenario.path,
                variant=scenario.variant,
                seed=scenario.seed if seed is None else seed,
                folder=folder,
                database_url=door.url(database) if isinstance(door, TcpForwarder) else url,
                base_database_url=base_url,
            )
            counted = child_coverage if python == sys.executable else {}
            work(job, python, {**counted, **variables})
        for used in filter(None, (url, base_url)):
            databases.drop(used)
        return folder

    return drive


def work(job: Job, python: str, variables: Mapping[str, str]) -> None:
    """Run a job in a worker process, which must come to its end."""
    worker = subprocess.run(
        [python, "-m", "rig.worker", "virtual", str(os.getpid())],
        input=encode(job),
        capture_output=True,
        timeout=WORKER_TIMEOUT_S,
        check=False,
        env={**os.environ, **variables},
        process_group=0,
    )
    messages = [decode_message(line) for line in worker.stdout.splitlines()]
    assert [message for message in messages if isinstance(message, Failed)] == []
    assert any(isinstance(m, Finished) for m in messages), worker.stderr.decode()


@pytest.fixture(scope="module")
def first(drive: Drive) -> Path:
    """The record that every other one is compared with."""
    return drive(PYTHONHASHSEED="0")


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """One core for all that is started, and a process that wants it whole.

    That one ends by itself should nobody end it.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with subprocess.Popen([sys.executable, "-c", HOG]) as hog:
            try:
                yield
            finally:
                hog.kill()
    finally:
        os.sched_setaffinity(0, cores)


def trace_of(folder: Path) -> str:
    """The trace's hash in a record."""
    return RecordReader(folder).manifest.trace_sha256


def assert_same_trace(first: Path, second: Path) -> None:
    """Assert that two records have one trace; say where they first differ if not."""
    one, other = RecordReader(first), RecordReader(second)
    divergence = compare(one, other)
    assert divergence is None, divergence.describe(one.manifest)
    assert one.manifest.trace_sha256 == other.manifest.trace_sha256


@pytest.mark.usefixtures("busy_machine")
def test_processes_have_one_trace(first: Path, drive: Drive) -> None:
    """Neither the seed of Python's hashes nor a busy machine changes a run."""
    assert_same_trace(first, drive(PYTHONHASHSEED="1"))


def test_a_server_elsewhere_gives_the_same_trace(first: Path, drive: Drive) -> None:
    """A database over TCP, whose replies come in pieces, changes nothing either."""
    assert_same_trace(first, drive(over_tcp=True, PYTHONHASHSEED="random"))


def test_another_seed_is_another_trace(first: Path, drive: Drive, scenario: Scenario) -> None:
    """Another seed of the run gives another drive."""
    assert trace_of(first) != trace_of(drive(seed=scenario.seed + 1))


def test_other_pythons_have_the_same_trace(first: Path, drive: Drive) -> None:
    """Every supported Python writes the trace of this one."""
    pythons = [python for python in os.environ.get(PYTHONS, "").split(os.pathsep) if python]
    if not pythons:
        pytest.skip(f"{PYTHONS} names no other interpreter")
    for python in pythons:
        other = drive(python=python)
        assert_same_trace(first, other)


def twice(runner: Runner, scenario: Scenario, mutation: str = "") -> Pair:
    """Do what `telerig run --twice` does, with a gateway that is broken by `mutation` if named."""
    preload = f"mutations:{mutation}" if mutation else ""
    request = Request(scenario, scenario.seed, "virtual", preload)
    return Pair(runner.run(request), runner.run(again(request)))


def test_twice_is_content_with_equal_runs(runner: Runner, scenario: Scenario) -> None:
    """Two equal runs pass `--twice`."""
    assert twice(runner, scenario).same


@pytest.mark.parametrize(
    ("mutation", "stream"),
    [
        ("clock_jitters", "stored"),  # stored rows stand where they were received
        ("obd_reader_jitters", "wire.obd"),
    ],
)
def test_twice_shows_where_two_runs_part(
    mutation: str, stream: str, runner: Runner, scenario: Scenario
) -> None:
    """Real randomness fails `--twice`, which names stream, row, time and both values of it."""
    pair = twice(runner, scenario, mutation)
    assert not pair.same
    assert not pair.passed
    lines = pair.lines()
    assert lines[0] == "again: another trace"
    assert re.fullmatch(
        rf"first divergence: stream {stream}, row \d+, at \d+\.\d{{6}} s( in phase \w+)?", lines[1]
    )
    both = [line for line in lines if line.startswith(("    first   [", "    second  ["))]
    assert len(both) == 2
    assert both[0].split("[")[1] != both[1].split("[")[1]
    assert pair.document()["again"]["divergence"].splitlines() == lines[1:-1]
    assert pair.second is not None
    assert str(pair.second.folder) in lines[-1]
