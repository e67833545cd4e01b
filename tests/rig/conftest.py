"""Fixtures: one runner for all tests, workers that can be broken, short shipped scenarios, and the
real command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from rig.runner.runner import Runner
from rig.scenario.model import Scenario
from server.store.embedded import DEFAULT_DATABASE, EmbeddedPostgres
from tests.rig.shorten import shorten


@pytest.fixture(scope="session")
def mutations() -> Iterator[None]:
    """Let workers import `mutations`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def runner(mutations: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner for all tests: one database server."""
    with Runner(tmp_path_factory.mktemp("runs")) as runner:
        yield runner


@pytest.fixture(scope="session")
def shortened(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Scenario]:
    """Return `shorten(name, cuts)`: the first variant of a shipped scenario, cut short.

    See `tests.rig.shorten`.
    """

    def shorten_it(name: str, cuts: Mapping[str, str], without: Collection[str] = ()) -> Scenario:
        return shorten(tmp_path_factory.mktemp(name), name, cuts, without)

    return shorten_it


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a command."""

    code: int
    out: str
    err: str

    def complaint(self, code: int, *words: str) -> str:
        """Return the one line on standard error, after a look at exit code and words."""
        assert (self.code, self.err.count("\n")) == (code, 1), self
        assert self.err.startswith("telerig"), self.err
        for word in words:
            assert word in self.err, f"{word!r} is not in {self.err!r}"
        return self.err


TelerigCommand = Callable[..., Ended]
TELERIG = [sys.executable, "-m", "rig.cli"]
COMMAND_LIMIT_S = 120.0


def clean_environment(**changes: str) -> dict[str, str]:
    """Return the environment of a user: no CI, no width, no server of somebody else's."""
    foreign = ("CI", "COLUMNS", "GITHUB_STEP_SUMMARY", "TELERIG_DATABASE_URL", "TERM")
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, **changes}


@pytest.fixture
def telerig(tmp_path: Path, child_coverage: Mapping[str, str]) -> TelerigCommand:
    """Return `telerig(*words, **environment)`: the real command, in an empty folder of its own."""

    def run(*words: str | Path, cwd: Path = tmp_path, **environment: str) -> Ended:
        done = subprocess.run(
            [*TELERIG, *map(str, words)],
            cwd=cwd,
            env=clean_environment(**child_coverage, **environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


TINY = """\
rig: 1
name: tiny
needs: [gps]
seed: 5
phases:
  - {idle: 5 s}
limits:
  gps.coverage: {min: 90 %, phase: idle}
  readings.lost: {equals: 0}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The shortest scenario that is worth one."""
    path = tmp_path / "tiny.scenario.yaml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server for all tests that need one beside the runner's own."""
    with EmbeddedPostgres(durable=False) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def server_url(server: EmbeddedPostgres) -> str:
    """The server for all commands of a session; as `TELERIG_DATABASE_URL` wants it."""
    return server.url(DEFAULT_DATABASE)


@pytest.fixture
def url(server: EmbeddedPostgres) -> Iterator[str]:
    """An empty database on a Unix socket, named bare."""
    yield server.create_database("bare")
    server.drop_database("bare")
