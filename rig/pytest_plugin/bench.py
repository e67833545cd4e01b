"""Scenarios on a bench: what it lacks skips a scenario, what is broken skips the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rig.errors import RigError

if TYPE_CHECKING:
    from rig.bench.desk import Desk
    from rig.scenario.model import Scenario

_desk_key = pytest.StashKey["Desk"]()


def prepare_desk(config: pytest.Config) -> None:
    """Read the file of `--rig-bench`.

    Raises:
        pytest.UsageError: it cannot be used, or not with the other options.
    """
    if config.getoption("--rig-mode") == "virtual":
        raise pytest.UsageError(
            "--rig-bench: expected runs in wall time, found --rig-mode virtual, in which nothing "
            "is real; leave out one of them"
        )
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError(
            "--rig-bench: expected one process, found -n: the desk is there once; leave it out"
        )
    from rig.bench import read_bench
    from rig.bench.desk import Desk

    path = Path(config.invocation_params.dir, config.getoption("--rig-bench"))
    try:
        config.stash[_desk_key] = Desk(read_bench(path))
    except RigError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(BrokenBench(config.stash[_desk_key]), "telerig bench")


def desk_of(config: pytest.Config) -> Desk | None:
    """Return the bench in use; None: nothing is real."""
    return config.stash.get(_desk_key, None)


def obstacle(config: pytest.Config, scenario: Scenario) -> str:
    """Say why a scenario is skipped; "" where it is not."""
    from rig.bench.desk import lack_without_bench

    desk = desk_of(config)
    return lack_without_bench(scenario) if desk is None else desk.obstacle(scenario)


def write_suite_properties(config: pytest.Config) -> None:
    """Put into JUnit what all runs of the session have in common."""
    try:
        from _pytest.junitxml import xml_key
    except ImportError:  # another pytest: runs still have properties of their own
        return
    report = config.stash.get(xml_key, None)
    if report is None:
        return
    from rig.versions import commit_id, commit_of

    desk = desk_of(config)
    found = {
        "rig.commit": commit_id(),
        "rig.scenarios.commit": commit_of(config.rootpath),
        **({} if desk is None else desk.properties()),
    }
    for name, value in found.items():
        if value:
            report.add_global_property(name, value)


class BrokenBench:
    """Says at the end that the bench is broken: a session that drove nothing has not passed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._desk.trouble and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        bench = self._desk.bench
        terminalreporter.section("telerig bench")
        if self._desk.trouble:
            terminalreporter.write_line(self._desk.trouble, red=True)
            terminalreporter.write_line(f"look again: telerig bench check {bench.path}")
        else:
            terminalreporter.write_line(f"bench {bench.name} ({bench.path})")
