"""What a run looks like in a terminal: progress while it runs, the table of limits at its end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from rig.job import Progress as RunProgress
from rig.limits import Outcome, Verdict
from rig.runner import Request, Run

STYLES = {
    Outcome.PASS: "green",
    Outcome.MARGINAL: "yellow",
    Outcome.FAIL: "bold red",
    Outcome.UNSET: "bold red",
    Outcome.SKIPPED: "dim",
}
Justify = Literal["left", "right"]
COLUMNS: tuple[tuple[str, Justify], ...] = (
    ("limit", "left"),
    ("phase", "left"),
    ("value", "right"),
    ("unit", "left"),
    ("bound", "left"),
    ("margin", "right"),
    ("outcome", "left"),
)
PLAIN_PERIOD_S = 5.0  # a log file gets a line now and then, not a moving bar


class ProgressView:
    """Shows every run that is under way; a plain line every few seconds where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[tuple[str, int], TaskID] = {}
        self._started: dict[tuple[str, int], float] = {}
        self._spoken_s = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> ProgressView:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def update(self, request: Request, progress: RunProgress) -> None:
        """A worker said how far it is."""
        key = (request.scenario.id, request.seed)
        name = f"{request.scenario.id} (seed {request.seed})"
        with self._lock:
            started_s = self._started.setdefault(key, time.monotonic())
            elapsed_s = max(time.monotonic() - started_s, 1e-3)
            text = (
                f"{progress.sim_s:5.0f} s of {progress.end_s:.0f} s  "
                f"{progress.sim_s / elapsed_s:4.0f} x  {progress.phase or 'waiting':14}  "
                f"{progress.speed_kph:3.0f} km/h  {progress.readings} readings"
            )
            if self._console.is_terminal:
                if key not in self._tasks:
                    self._tasks[key] = self._bars.add_task(name, total=progress.end_s, text=text)
                self._bars.update(self._tasks[key], completed=progress.sim_s, text=text)
            elif time.monotonic() - self._spoken_s > PLAIN_PERIOD_S:
                self._spoken_s = time.monotonic()
                self._console.print(f"  {name}: {text}", highlight=False)

    def finished(self, request: Request) -> None:
        """Take the run's bar away."""
        with self._lock:
            task = self._tasks.pop((request.scenario.id, request.seed), None)
            if task is not None:
                self._bars.remove_task(task)


def limits_table(title: str, verdicts: Sequence[Verdict]) -> Table:
    """The table of limits: limit, phase, value, unit, bound, margin, outcome."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.pad_edge = False
    table.padding = (0, 1, 0, 0)
    for heading, justify in COLUMNS:
        table.add_column(heading, justify=justify, no_wrap=heading != "phase", overflow="fold")
    for verdict in verdicts:
        outcome = verdict.outcome.value + (f" ({verdict.reason})" if verdict.reason else "")
        table.add_row(
            verdict.limit.name,
            verdict.limit.window or "all",
            number(verdict.value),
            verdict.unit,
            bound(verdict),
            number(verdict.margin),
            f"[{STYLES[verdict.outcome]}]{outcome}[/]",
        )
    return table


def bound(verdict: Verdict) -> str:
    """The bound without its unit, which has a column of its own."""
    limit = verdict.limit
    pairs = (("=", limit.equals), (">=", limit.min), ("<=", limit.max))
    return " ".join(f"{sign} {value:g}" for sign, value in pairs if value is not None)


def number(value: float | None) -> str:
    """A measured value with the digits that mean something."""
    if value is None:
        return "-"
    if math.isinf(value) or abs(value) >= 1e9:
        return f"{value:.3g}"
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def print_run(console: Console, run: Run) -> None:
    """One run: its table, its ratio, and what to do about a failure."""
    scenario = run.request.scenario
    title = f"{scenario.id}, seed {run.request.seed}, {run.request.mode}"
    if run.failure:
        console.print(f"[bold red]{title}: did not run to its end[/]")
        console.print(f"  {run.failure}", highlight=False, markup=False)
    else:
        console.print(limits_table(title, run.verdicts))
        console.print(
            f"  simulated : wall = {run.sim_s:.0f} s : {run.wall_s:.1f} s = {run.ratio:.0f} : 1"
            f"    trace {run.trace_sha256[:16]}",
            highlight=False,
        )
    for verdict in run.verdicts:
        if verdict.outcome.is_failure:
            where = f" ({scenario.path.name}:{verdict.limit.line})" if verdict.limit.line else ""
            console.print(f"  [bold red]{verdict.sentence()}[/]{where}", highlight=False)
    console.print(f"  repeat: {run.request.command}", highlight=False, markup=False)
    console.print(f"  record: {shown_path(run.folder)}\n", highlight=False, markup=False)


def print_summary(console: Console, runs: Iterable[Run], wall_s: float) -> None:
    """One line for all."""
    listed = list(runs)
    passed = sum(run.passed for run in listed)
    sim_s = sum(run.sim_s for run in listed)
    style = "bold green" if passed == len(listed) else "bold red"
    console.print(
        f"[{style}]{passed} of {len(listed)} runs passed[/]; {sim_s:.0f} s of driving judged in "
        f"{wall_s:.1f} s ({sim_s / wall_s if wall_s else 0:.0f} : 1)",
        highlight=False,
    )


def shown_path(path: Path) -> str:
    """Relative to here where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
