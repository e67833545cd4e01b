"""Scenario files as pytest runs them: a file, and an item for each variant and seed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rig.errors import RigError
from rig.pytest_plugin.bench import desk_of, obstacle, write_suite_properties
from rig.pytest_plugin.plugin import ALLOWED_SKIPS, SLOW_MARKS, in_ci, is_allowed_skip

if TYPE_CHECKING:
    from rig.judge.limits import Verdict
    from rig.runner.request import Request, Run
    from rig.runner.runner import Runner
    from rig.scenario.model import Scenario

RUNS_FOLDER = "runs"
LOCK_FILE = ".lock"
TABLE_COLUMNS = 110
_pool_key = pytest.StashKey["Pool"]()


class ScenarioFile(pytest.File):
    """One scenario file: an item for each variant and seed."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            from rig.runner.request import seeds_of
            from rig.scenario import MissingExtraError, expand_scenario
        except ImportError as error:
            raise self.CollectError(
                f"{self.path}: expected the package {error.name!r} to be installed, found none; "
                "pip install 'telerig[rig,obd,postgres]'"
            ) from error

        try:
            scenarios = expand_scenario(self.path)
        except MissingExtraError as error:
            pytest.skip(str(error), allow_module_level=True)
        for scenario in scenarios:
            for seed in seeds_of(scenario, self.config.getoption("--rig-seeds")):
                item: ScenarioItem = ScenarioItem.from_parent(
                    self, name=f"{scenario.id}[seed={seed}]", scenario=scenario, seed=seed
                )
                yield item

    def repr_failure(  # type: ignore[override]  # as in pytest.Collector itself
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        if isinstance(excinfo.value, RigError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class ScenarioFailedError(AssertionError):
    """A run that failed; its text is what there is to say about it."""


class ScenarioItem(pytest.Item):
    """One scenario with one seed."""

    def __init__(self, *, scenario: Scenario, seed: int, **more: Any) -> None:
        super().__init__(**more)
        from rig.runner.request import Request

        self.scenario = scenario
        desk = desk_of(self.config)
        mode = self.config.getoption("--rig-mode") or scenario.mode
        if desk is not None:
            mode = "paced"
        self.request = Request(
            scenario,
            seed,
            mode,
            folder=self.config.invocation_params.dir,
            bench=None if desk is None else desk.bench.path,
        )
        self.finished: Run | None = None
        for tag in scenario.tags:
            if tag in SLOW_MARKS:
                self.add_marker(tag)
        if mode == "paced":
            self.add_marker("paced")
        if self.config.pluginmanager.hasplugin("timeout"):
            # The rig has a watchdog of its own, which knows a long run from one that is stuck.
            self.add_marker(pytest.mark.timeout(0))

    def runtest(self) -> None:
        pool = _pool_of(self)
        reason = obstacle(self.config, self.scenario)
        if reason:
            pytest.skip(reason)
        run = pool.result_of(self)
        self.finished = run
        self.user_properties += properties(run)
        if run.verdicts:
            self.add_report_section("call", "limits", _table(run))
        if not run.passed:
            raise ScenarioFailedError(failure_text(run))
        asleep = [v for v in run.verdicts if in_ci() and _sleeps(v, run, self.config)]
        if asleep:
            raise ScenarioFailedError(
                "\n".join(
                    f"{verdict.limit.name} was skipped in CI: {verdict.reason}; make it run, or "
                    f"add its reason to {ALLOWED_SKIPS}"
                    for verdict in asleep
                )
            )
        if not run.judged:
            pytest.skip(f"no limit of {run.request.path} can be judged in {run.request.mode} mode")

    def document(self) -> dict[str, Any] | None:
        """Return what became of the run as plain values; None if it did not come to that."""
        return None if self.finished is None else self.finished.document()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, (ScenarioFailedError, RigError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name


def _sleeps(verdict: Verdict, run: Run, config: pytest.Config) -> bool:
    """True for a limit that was skipped and should not have been.

    One of the other clock is as it should be: `mode:` in the file says so.
    """
    from rig.judge.limits import Outcome

    of_other_clock = verdict.limit.mode not in (None, run.request.mode)
    skipped = verdict.outcome is Outcome.SKIPPED
    return skipped and not of_other_clock and not is_allowed_skip(config, verdict.reason)


# -- the pool --------------------------------------------------------------------------------------
class Pool:
    """The session's runner, and the run of each item; all begin when the first one is wanted."""

    def __init__(self, session: pytest.Session) -> None:
        from rig.runner.runner import Runner, default_jobs
        from rig.runner.runs_folder import prepare_runs_folder

        config = session.config
        chosen = config.getoption("--rig-runs")
        runs = config.invocation_params.dir / chosen if chosen else config.rootpath / RUNS_FOLDER
        prepare_runs_folder(runs)
        # With xdist each process runs one at a time, and they agree on who has the machine alone.
        alone = hasattr(config, "workerinput")
        jobs = 1 if alone else config.getoption("--rig-jobs") or default_jobs()
        lock = runs / LOCK_FILE if alone else None
        self.runner: Runner = Runner(runs, jobs=jobs, machine_lock=lock)
        self._futures: dict[Request, Future[Run]] = {}
        write_suite_properties(config)
        if not alone and desk_of(config) is None:  # before each run the desk is looked at
            for item in session.items:
                if isinstance(item, ScenarioItem) and not obstacle(config, item.scenario):
                    self._futures[item.request] = self.runner.submit(item.request)

    def result_of(self, item: ScenarioItem) -> Run:
        """Return what became of an item's run; wait for it."""
        request = item.request
        if request not in self._futures:
            self._futures[request] = self.runner.submit(request)
        return self._futures[request].result()


def _pool_of(item: ScenarioItem) -> Pool:
    stash = item.config.stash
    if _pool_key not in stash:
        stash[_pool_key] = pool = Pool(item.session)
        # However the session ends: after -x and Ctrl-C too.
        item.config.add_cleanup(pool.runner.close)
    return stash[_pool_key]


# -- what is said about a run ----------------------------------------------------------------------
def properties(run: Run) -> list[tuple[str, object]]:
    """What goes into JUnit: every figure by the name of its measure, and `rig.…` about the run."""
    found: dict[str, object] = {name: value.value for name, value in run.measures.items()}
    for verdict in run.verdicts:
        window = f"[{verdict.limit.window}]" if verdict.limit.window else ""
        name = f"{verdict.limit.name}{window}"
        if verdict.value is not None:
            found[name] = verdict.value
        found[f"{name}.outcome"] = verdict.outcome.value
    found |= {
        "rig.sim_s": round(run.sim_s, 3),
        "rig.wall_s": round(run.wall_s, 3),
        "rig.ratio": round(run.ratio, 1),
        "rig.seed": run.request.seed,
        "rig.mode": run.request.mode,
        "rig.trace_sha256": run.trace_sha256,
        "rig.record": str(run.folder),
    }
    return list(found.items())


def failure_text(run: Run) -> str:
    """What broke, where, by how much, and the one command that repeats it."""
    from rig.versions import commit_id

    commit = commit_id()
    return "\n".join(
        [
            *run.failure_lines(),
            f"repeat: {run.request.command}" + (f"    # commit {commit}" if commit else ""),
            f"record: {run.folder}",
        ]
    )


def _table(run: Run) -> str:
    from rich.console import Console

    from rig.terminal import limits_table

    text = StringIO()
    Console(file=text, width=TABLE_COLUMNS).print(limits_table("", run.verdicts))
    return text.getvalue()
