"""Fixtures: a made-up drive among others, real runs of the rig, and the API over their folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from reports.runs.routes import make_routes
from reports.runs.run import Run
from rig.judge.judgement import judge_folder
from tests.reports.runs import recorded

Client = Callable[..., TestClient]


@pytest.fixture(scope="session")
def real_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs that the rig has driven: a car with three links, and a board."""
    runs = tmp_path_factory.mktemp("real") / "runs"
    recorded.record(runs, recorded.DRIVE)
    recorded.record(runs, recorded.BOARD)
    return runs


@pytest.fixture(scope="session")
def real_drive(real_runs: Path) -> Run:
    """A car on OBD, GPS and CAN, with two faults."""
    return Run(next(real_runs.glob("*short-drive*")))


@pytest.fixture(scope="session")
def real_board(real_runs: Path) -> Run:
    """An edge logger on Wi-Fi."""
    return Run(next(real_runs.glob("*short-board*")))


@pytest.fixture(scope="session")
def judged_folder(run_folder: Path) -> Path:
    """Two minutes of made-up driving, judged."""
    judge_folder(run_folder)
    return run_folder


@pytest.fixture
def runs(judged_folder: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the made-up drive, to do with it what one likes."""
    root = tmp_path / "runs"
    shutil.copytree(judged_folder, root / "drive")
    return root


@pytest.fixture
def ask() -> Iterator[Client]:
    """Return `ask(root)`: a client of the API over a folder of runs."""

    def make(root: Path, **options: object) -> TestClient:
        return TestClient(Starlette(routes=make_routes(root, **options)))  # type: ignore[arg-type]

    return make
