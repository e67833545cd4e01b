"""Pytest plugin: what became of each test, as a file that `tests.stages` reads.

    python -m pytest -p tests.outcomes --outcomes FILE

The exit code alone says too little: 1 is a failed test, and also a run that was cut short at it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

PHASES = ("setup", "call", "teardown")


class Outcomes(msgspec.Struct):
    """What a run of pytest left behind.

    Attributes:
        chosen: ids of the tests that were to be run.
        ended: id -> "passed", "failed", "skipped" (an expected failure, too) or "crashed".
        uncollected: files whose tests could not be collected.
        exit_code: as pytest decided it; -1 while it runs.
    """

    chosen: set[str] = msgspec.field(default_factory=set)
    ended: dict[str, str] = msgspec.field(default_factory=dict)
    uncollected: set[str] = msgspec.field(default_factory=set)
    exit_code: int = -1

    def of(self, ending: str) -> list[str]:
        """Return the ids of the tests that ended so."""
        return sorted(name for name, found in self.ended.items() if found == ending)


class Notes:
    """Notes the outcomes; of many processes the one that hands out the tests does it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found = Outcomes()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._found.uncollected.add(report.nodeid)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._found.chosen.update(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        self._found.chosen.update(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        ended = self._found.ended
        if report.when not in PHASES:  # a worker went down with it
            ended[report.nodeid] = "crashed"
        elif ended.get(report.nodeid) in ("failed", "crashed"):
            return
        elif report.failed:
            ended[report.nodeid] = "failed"
        elif report.skipped:
            ended[report.nodeid] = "skipped"
        elif report.when == "call":
            ended.setdefault(report.nodeid, "passed")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._found.exit_code = int(exitstatus)
        self._path.write_bytes(msgspec.json.encode(self._found))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, metavar="FILE", help="where outcomes are written")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--outcomes")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(path))
