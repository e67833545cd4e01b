"""pytest collects scenarios: `pytest scenarios/` runs every `*.scenario.yaml` as a test.

Works in any repository once telerig is installed. Several workers run ahead, so that plain `pytest`
uses every core; with xdist each of its workers runs one at a time. Nothing of the rig is imported
before a scenario file is seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rig.runner import Run, Runner
    from rig.scenario.model import Scenario

SUFFIX = ".scenario.yaml"
SLOW_MARKS = ("long", "nightly")
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
_runner_key = pytest.StashKey["Runner"]()
_futures_key = pytest.StashKey[dict[str, "Future[Run]"]]()
_runs_key = pytest.StashKey[list["Run"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("telerig", "telerig scenarios")
    group.addoption(
        "--rig-seeds", type=int, default=1, metavar="N", help="run each scenario with N seeds (1)"
    )
    group.addoption(
        "--rig-mode",
        choices=("virtual", "paced"),
        help="run every scenario on this clock (default: the scenario's own)",
    )
    group.addoption(
        "--rig-runs", default="runs", metavar="DIR", help="folder for the records (runs)"
    )
    group.addoption(
        "--rig-jobs", type=int, metavar="N", help="scenarios at a time (one for each core)"
    )
    group.addoption(
        "--rig-summary",
        metavar="FILE",
        help=f"append a Markdown summary to FILE (default: ${SUMMARY_VARIABLE} if set)",
    )
    parser.addini(
        "rig_allowed_skips",
        "in CI (environment variable CI) a skip fails unless its reason matches one of these "
        "regular expressions",
        type="linelist",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    for mark in SLOW_MARKS:
        config.addinivalue_line("markers", f"{mark}: a scenario that takes longer; run it with -m {mark}")
    config.addinivalue_line("markers", "paced: a scenario in wall time")
    config.stash[_runs_key] = []


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if file_path.name.endswith(SUFFIX):
        return ScenarioFile.from_parent(parent, path=file_path)  # type: ignore[no-any-return]
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave long and nightly scenarios out unless they are asked for with -m or by name."""
    if config.getoption("markexpr") or any("::" in str(arg) for arg in config.args):
        return
    slow = [
        item
        for item in items
        if isinstance(item, ScenarioItem)
        and any(item.get_closest_marker(mark) for mark in SLOW_MARKS)
    ]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


class ScenarioFile(pytest.File):
    """One scenario file: an item for each variant and seed."""

    def collect(self) -> Iterator[pytest.Item]:
        from rig.runner import seeds_of
        from rig.scenario import expand_scenario

        for scenario in expand_scenario(self.path):
            for seed in seeds_of(scenario, self.config.getoption("--rig-seeds")):
                name = f"{scenario.id}[seed={seed}]"
                item: ScenarioItem = ScenarioItem.from_parent(
                    self, name=name, scenario=scenario, seed=seed
                )
                yield item

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
        from rig.errors import RigError

        if isinstance(excinfo.value, RigError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class LimitsViolated(AssertionError):
    """A run that failed; carries it for the report."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.failure or "limits violated")
        self.run = run


class ScenarioItem(pytest.Item):
    """One scenario with one seed."""

    def __init__(self, *, scenario: Scenario, seed: int, **more: Any) -> None:
        super().__init__(**more)
        self.scenario = scenario
        self.seed = seed
        self.mode = self.config.getoption("--rig-mode") or scenario.mode
        for tag in scenario.tags:
            if tag in SLOW_MARKS:
                self.add_marker(tag)
        if self.mode == "paced":
            self.add_marker("paced")
        self.add_marker(pytest.mark.timeout(0))  # the rig has its own watchdog, with a stack dump

    def runtest(self) -> None:
        run = _future_of(self).result()
        self.config.stash[_runs_key].append(run)
        self.user_properties += _properties(run)
        self.add_report_section("call", "limits", _table(run))
        if not run.passed:
            raise LimitsViolated(run)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> Any:
        from rig.errors import RigError

        if isinstance(excinfo.value, LimitsViolated):
            return _failure_text(excinfo.value.run)
        if isinstance(excinfo.value, RigError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


def _future_of(item: ScenarioItem) -> Future[Run]:
    """Start every scenario of the session when the first one is wanted; they run ahead."""
    stash = item.config.stash
    if _runner_key not in stash:
        from rig.runner import Request, Runner, default_jobs

        alone = hasattr(item.config, "workerinput")  # an xdist worker: one at a time
        jobs = 1 if alone else item.config.getoption("--rig-jobs") or default_jobs()
        runner = Runner(Path(item.config.getoption("--rig-runs")), jobs=jobs)
        stash[_runner_key] = runner
        items = [item] if alone else [i for i in item.session.items if isinstance(i, ScenarioItem)]
        stash[_futures_key] = {
            i.nodeid: runner.submit(Request(i.scenario, i.seed, i.mode)) for i in items
        }
    futures = stash[_futures_key]
    if item.nodeid not in futures:
        from rig.runner import Request

        request = Request(item.scenario, item.seed, item.mode)
        futures[item.nodeid] = stash[_runner_key].submit(request)
    return futures[item.nodeid]


def _properties(run: Run) -> list[tuple[str, object]]:
    """What goes into JUnit as properties of the test case."""
    properties: list[tuple[str, object]] = [
        ("rig.sim_s", round(run.sim_s, 3)),
        ("rig.wall_s", round(run.wall_s, 3)),
        ("rig.sim_per_wall", round(run.ratio, 1)),
        ("rig.seed", run.request.seed),
        ("rig.mode", run.request.mode),
        ("rig.trace_sha256", run.trace_sha256),
        ("rig.record", str(run.folder)),
    ]
    for verdict in run.verdicts:
        window = f"[{verdict.limit.window}]" if verdict.limit.window else ""
        value = "" if verdict.value is None else repr(verdict.value)
        properties.append((f"rig.{verdict.limit.name}{window}", value))
        properties.append((f"rig.{verdict.limit.name}{window}.outcome", verdict.outcome.value))
    return properties


def _table(run: Run) -> str:
    from io import StringIO

    from rich.console import Console

    from rig.terminal import limits_table

    console = Console(file=StringIO(), width=110)
    console.print(limits_table("", run.verdicts))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def _failure_text(run: Run) -> str:
    """What broke, where, by how much, and the one command that repeats it."""
    lines = [run.failure] if run.failure else []
    for verdict in run.verdicts:
        if verdict.outcome.is_failure:
            place = f"{run.request.scenario.path}:{verdict.limit.line}"
            lines.append(f"{verdict.sentence()}  ({place})")
    commit = _commit()
    lines.append(f"repeat: {run.request.command}" + (f"    # commit {commit}" if commit else ""))
    lines.append(f"record: {run.folder}")
    return "\n".join(lines)


def _commit() -> str:
    from rig.versions import commit_id

    return commit_id()


# -- skips in CI -----------------------------------------------------------------------------------
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure unless its reason is on the list: nothing falls asleep unseen."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        allowed = item.config.getini("rig_allowed_skips")
        if not any(re.search(pattern, reason) for pattern in allowed):
            report.outcome = "failed"
            report.longrepr = (
                f"skipped in CI: {reason}; make it run, or add its reason to rig_allowed_skips"
            )
    return report


# -- end of the session ----------------------------------------------------------------------------
def pytest_sessionfinish(session: pytest.Session) -> None:
    runner = session.config.stash.get(_runner_key, None)
    if runner is not None:
        runner.close()
    runs = session.config.stash.get(_runs_key, [])
    target = session.config.getoption("--rig-summary") or os.environ.get(SUMMARY_VARIABLE)
    if runs and target:
        with open(target, "a", encoding="utf-8") as file:
            file.write(markdown_summary(runs))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    runs = config.stash.get(_runs_key, [])
    if not runs:
        return
    sim_s = sum(run.sim_s for run in runs)
    terminalreporter.section("telerig")
    for run in sorted(runs, key=lambda run: run.request.scenario.id):
        worst = min(
            (v for v in run.verdicts if v.margin_pct is not None),
            key=lambda v: v.margin_pct or 0.0,
            default=None,
        )
        tightest = f"  tightest: {worst.limit.name} {worst.margin_pct:+.0f} %" if worst else ""
        terminalreporter.write_line(
            f"{'PASS' if run.passed else 'FAIL'}  {run.request.scenario.id} seed {run.request.seed}: "
            f"{run.sim_s:.0f} s in {run.wall_s:.1f} s = {run.ratio:.0f} : 1{tightest}"
        )
    terminalreporter.write_line(f"{len(runs)} runs, {sim_s:.0f} s of driving judged")


def markdown_summary(runs: list[Run]) -> str:
    """A summary for a CI page: one row a run, and the failing limits below."""
    lines = [
        "## telerig\n",
        "| scenario | seed | clock | outcome | simulated : wall | trace |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        request = run.request
        lines.append(
            f"| {request.scenario.id} | {request.seed} | {request.mode} | "
            f"{'pass' if run.passed else '**FAIL**'} | "
            f"{run.sim_s:.0f} s : {run.wall_s:.1f} s = {run.ratio:.0f} : 1 | "
            f"`{run.trace_sha256[:12]}` |"
        )
    failing = [run for run in runs if not run.passed]
    for run in failing:
        text = _failure_text(run).replace("\n", "\n    ")
        lines.append(f"\n**{run.request.scenario.id}**, seed {run.request.seed}:\n\n    {text}")
    return "\n".join(lines) + "\n\n"
