"""pytest collects scenarios: `pytest scenarios/` runs every `*.scenario.yaml` as a test.

Works in any repository once telerig is installed. Several workers run ahead, so that plain `pytest`
uses every core; with xdist each of its workers runs one at a time. Nothing heavy is imported before
a scenario file is seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rig.commands.arguments import count

if TYPE_CHECKING:
    from rig.pytest_plugin.items import ScenarioFile, ScenarioItem

SUFFIX = ".scenario.yaml"
SLOW_MARKS = ("long", "nightly")
ALLOWED_SKIPS = "rig_allowed_skips"
RUN_ATTRIBUTE = "rig_run"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("telerig", "telerig scenarios")
    group.addoption(
        "--rig-seeds", type=count, default=1, metavar="N", help="run each scenario with N seeds (1)"
    )
    group.addoption(
        "--rig-mode",
        choices=("virtual", "paced"),
        help="run every scenario on this clock (default: the scenario's own)",
    )
    group.addoption(
        "--rig-bench",
        metavar="FILE",
        help="which links are real (telerig bench --help); every scenario is then paced",
    )
    group.addoption(
        "--rig-runs", metavar="DIR", help="folder for the records (default: runs in the rootdir)"
    )
    group.addoption(
        "--rig-jobs", type=count, metavar="N", help="scenarios at a time (one for each core)"
    )
    group.addoption(
        "--rig-summary",
        metavar="FILE",
        help="append a Markdown summary to FILE (default: $GITHUB_STEP_SUMMARY if set)",
    )
    parser.addini(
        ALLOWED_SKIPS,
        "in CI (environment variable CI) a skipped scenario or limit fails unless its reason "
        "matches one of these regular expressions; once this is set, so does any other "
        "skipped test",
        type="linelist",
        default=None,
    )


def pytest_configure(config: pytest.Config) -> None:
    for mark in SLOW_MARKS:
        config.addinivalue_line(
            "markers", f"{mark}: a scenario that takes longer; run it with -m {mark}"
        )
    config.addinivalue_line("markers", "paced: a scenario in wall time")
    if config.getoption("--rig-bench"):
        from rig.pytest_plugin.bench import prepare_desk

        prepare_desk(config)
    if not hasattr(config, "workerinput"):  # xdist: its controller hears of every run
        from rig.pytest_plugin.reports import ScenarioReports

        config.pluginmanager.register(ScenarioReports(config), "telerig reports")


# -- collection ------------------------------------------------------------------------------------
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if not file_path.name.endswith(SUFFIX):
        return None
    from rig.pytest_plugin.items import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow scenarios out unless -m speaks of their mark, or the command line names them."""
    expression = str(config.getoption("markexpr") or "")
    named = [str(argument) for argument in config.invocation_params.args]
    left_out = [item for item in items if _is_left_out(item, expression, named)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item, expression: str, arguments: list[str]) -> bool:
    if not item.path.name.endswith(SUFFIX):
        return False
    marks = [mark for mark in SLOW_MARKS if item.get_closest_marker(mark)]
    asked = any(re.search(rf"\b{mark}\b", expression) for mark in marks)
    base = item.config.invocation_params.dir
    named = any((base / argument.partition("::")[0]) == item.path for argument in arguments)
    return bool(marks) and not asked and not named


# -- skips in CI -----------------------------------------------------------------------------------
def in_ci() -> bool:
    """True where the environment variable CI says so."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def is_allowed_skip(config: pytest.Config, reason: str) -> bool:
    """True if `reason` is on the list."""
    return any(re.search(pattern, reason) for pattern in config.getini(ALLOWED_SKIPS) or ())


def _forbid_skip(
    report: pytest.TestReport | pytest.CollectReport, config: pytest.Config, *, is_ours: bool
) -> None:
    """In CI a skip is a failure unless its reason is on the list: nothing falls asleep unseen.

    Where no list is set, only scenarios are judged so: a stranger's tests are their own affair.
    """
    if not report.skipped or hasattr(report, "wasxfail") or not in_ci():
        return
    if not is_ours and config.getini(ALLOWED_SKIPS) is None:
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if not is_allowed_skip(config, reason):
        report.outcome = "failed"
        report.longrepr = (
            f"skipped in CI: {reason}; make it run, or add its reason to {ALLOWED_SKIPS}"
        )


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(report, collector.config, is_ours=False)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    is_ours = item.path.name.endswith(SUFFIX)
    if is_ours and isinstance(report.longrepr, tuple):  # a skip: where it is, not where we raise it
        report.longrepr = (str(item.path), 1, report.longrepr[2])
    _forbid_skip(report, item.config, is_ours=is_ours)
    if is_ours and call.when == "call":
        scenario: ScenarioItem = item  # type: ignore[assignment]
        # Plain values in the report's own dictionary: xdist carries them to its controller.
        vars(report)[RUN_ATTRIBUTE] = scenario.document()
    return report
