"""The same scenario and seed give the same trace, whatever else differs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from rig.commands.twice import Pair, again
from rig.record.compare import compare
from rig.record.reader import RecordReader
from rig.runner.databases import Databases
from rig.runner.runner import Request, Runner
from rig.scenario.model import Scenario
from rig.worker.job import Failed, Finished, Job, decode_message, encode

PYTHONS = "TELERIG_PYTHONS"
"""Environment variable: further interpreters with telerig installed, separated by colons."""

# 24 s of driving in which everything moves.
CUTS = {
    "idle: 20 s": "idle: 2 s",
    "for: 15 s": "for: 12 s",
    "for: 30 s": "for: 5 s",
    "for: 1 min": "for: 5 s",
}
HOGS = 2
HOG_S = 60
HOG = f"import time\nend = time.monotonic() + {HOG_S}\nwhile time.monotonic() < end: pass"
WORKER_TIMEOUT_S = 120

Drive = Callable[..., Path]


@pytest.fixture
def scenario(shortened: Callable[[str, Mapping[str, str]], Scenario]) -> Scenario:
    """A short drive with both links."""
    return shortened("acceleration", CUTS)


@pytest.fixture(scope="module")
def databases() -> Iterator[Databases]:
    """One server for the workers of this file."""
    with Databases() as databases:
        yield databases


@pytest.fixture
def drive(scenario: Scenario, databases: Databases, tmp_path: Path) -> Drive:
    """Return `drive(name, …)`, which runs the drive in a process and returns its record's folder.

    `seed` is the scenario's own if not given, `python` this interpreter; further keywords are
    environment variables.
    """

    def drive(
        name: str, *, seed: int | None = None, python: str = sys.executable, **variables: str
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        job = Job(
            scenario=scenario.path,
            variant=scenario.variant,
            seed=scenario.seed if seed is None else seed,
            folder=folder,
            database_url=databases.fresh(),
        )
        worker = subprocess.run(
            [python, "-m", "rig.worker.virtual"],
            input=encode(job),
            capture_output=True,
            timeout=WORKER_TIMEOUT_S,
            check=False,
            env={**os.environ, **variables},
        )
        databases.drop(job.database_url)
        messages = [decode_message(line) for line in worker.stdout.splitlines()]
        assert [message for message in messages if isinstance(message, Failed)] == []
        assert any(isinstance(m, Finished) for m in messages), worker.stderr.decode()
        return folder

    return drive


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Two processes that want the CPU; they end by themselves should nobody end them."""
    hogs = [subprocess.Popen([sys.executable, "-c", HOG]) for _ in range(HOGS)]
    yield
    for hog in hogs:
        hog.kill()
        hog.wait()


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
def test_processes_have_one_trace(drive: Drive) -> None:
    """Neither the seed of Python's hashes nor a busy machine changes a run."""
    assert_same_trace(drive("first", PYTHONHASHSEED="0"), drive("second", PYTHONHASHSEED="1"))


def test_another_seed_is_another_trace(drive: Drive, scenario: Scenario) -> None:
    """Another seed of the run gives another drive."""
    assert trace_of(drive("first")) != trace_of(drive("second", seed=scenario.seed + 1))


def test_other_pythons_have_the_same_trace(drive: Drive) -> None:
    """Every supported Python writes the trace of this one."""
    pythons = [python for python in os.environ.get(PYTHONS, "").split(os.pathsep) if python]
    if not pythons:
        pytest.skip(f"{PYTHONS} names no other interpreter")
    first = drive("first")
    for number, python in enumerate(pythons):
        assert_same_trace(first, drive(f"other-{number}", python=python))


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
    """Real randomness in the gateway fails `--twice`, which names the stream that differs first."""
    pair = twice(runner, scenario, mutation)
    assert not pair.same
    assert f"first divergence: stream {stream}, row " in "\n".join(pair.lines())
