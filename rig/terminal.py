"""What a run looks like in a terminal: progress while it runs, the table of limits at its end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from rig.judge.limits import Outcome, Verdict
from rig.runner.request import Request, Run
from rig.worker.job import Progress as RunProgress

if TYPE_CHECKING:
    from rig.bench.check import Checked

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
FLOAT_NOISE = 1e-9  # smaller values are what is left of a difference of floats
NARROW_COLUMNS = 72  # below this a table's names and numbers would be cut to pieces
WIDEST_COLUMNS = 1000
PLAIN_PERIOD_S = 10.0  # a log file gets a line now and then, not a moving bar


class ProgressView:
    """Shows every run that is under way; a plain line now and then where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._tasks: dict[Request, TaskID] = {}
        self._started_s: dict[Request, float] = {}
        self._spoken_s = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> ProgressView:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def update(self, request: Request, progress: RunProgress) -> None:
        """A worker said how far it is; called from any thread."""
        now_s = time.monotonic()
        with self._lock:
            elapsed_s = now_s - self._started_s.setdefault(request, now_s)
            ratio = f"{progress.sim_s / elapsed_s:.0f} : 1" if elapsed_s > 0.5 else ""
            phase = progress.phase or "waiting"
            if self._console.is_terminal:
                text = escape(f"{phase:12.12} {progress.speed_kph:3.0f} km/h {ratio:>8}")
                if request not in self._tasks:
                    name = escape(request.title)
                    task = self._bars.add_task(name, total=progress.end_s, text=text)
                    self._tasks[request] = task
                self._bars.update(self._tasks[request], completed=progress.sim_s, text=text)
            elif now_s - self._spoken_s > PLAIN_PERIOD_S:
                self._spoken_s = now_s
                say(
                    self._console,
                    f"  {request.title}: {progress.sim_s:.0f} of {progress.end_s:.0f} s, {phase}, "
                    f"{progress.speed_kph:.0f} km/h, {progress.readings} readings {ratio}",
                )

    def finished(self, request: Request) -> None:
        """Take the run's bar away."""
        with self._lock:
            task = self._tasks.pop(request, None)
            if task is not None:
                self._bars.remove_task(task)


def say(console: Console, line: str, style: str = "") -> None:
    """Print a line as it is: no markup, no colours of its own, never broken into two."""
    console.print(Text(line, style), soft_wrap=True)


def bench_table(checked: Checked) -> Table:
    """The wiring of a bench: link, the world's end, the wire, the gateway's end."""
    from rig.bench.wiring import HEADINGS, wiring

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    broken = {look.link for look in checked.looks if look.is_broken}
    for wire in wiring(checked.bench, checked.identities):
        style = "bold red" if wire.link in broken else ""
        table.add_row(*map(Text, (wire.link, wire.world, wire.wire, wire.gateway)), style=style)
    return table


def limits_table(title: str, verdicts: Sequence[Verdict]) -> Table:
    """The table of limits: limit, phase, value, unit, bound, margin, outcome."""
    table = Table(
        title=Text(title) if title else None,
        title_justify="left",
        title_style="bold",
        caption=_skipped(verdicts),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading, justify in COLUMNS:
        # A phase may wrap where the terminal is narrow, a number never.
        table.add_column(heading, justify=justify, no_wrap=heading != "phase", overflow="fold")
    for verdict in verdicts:
        table.add_row(
            verdict.limit.name,
            Text(verdict.limit.window or "all"),
            number(verdict.value),
            verdict.unit,
            bound(verdict),
            number(verdict.margin),
            Text(verdict.outcome.value, STYLES[verdict.outcome]),
        )
    return table


def print_limits(console: Console, title: str, verdicts: Sequence[Verdict]) -> None:
    """Print the table, or, where the terminal is too narrow for it, two lines for each limit."""
    table = limits_table(title, verdicts)
    # Measured as if there were room: a column that folds has no least width of its own.
    needed = console.measure(table, options=console.options.update(width=WIDEST_COLUMNS)).maximum
    if needed <= console.width or console.width >= NARROW_COLUMNS:
        console.print(table)
        return
    say(console, title, "bold")
    for verdict in verdicts:
        outcome = Text(f"{verdict.outcome.value:<8}", STYLES[verdict.outcome])
        phase = f" [{verdict.limit.window}]" if verdict.limit.window else ""
        console.print(outcome + Text(f"{verdict.limit.name}{phase}", "default"), soft_wrap=True)
        unit = f" {verdict.unit}" if verdict.unit else ""
        say(
            console,
            f"        {number(verdict.value)}{unit}, bound {bound(verdict)}, "
            f"margin {number(verdict.margin)}",
        )
    skipped = _skipped(verdicts)
    if skipped is not None:
        console.print(skipped, soft_wrap=True)


def _skipped(verdicts: Sequence[Verdict]) -> Text | None:
    """Why limits were skipped, one line for each reason."""
    names: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.outcome is Outcome.SKIPPED:
            names.setdefault(verdict.reason, []).append(verdict.limit.name)
    lines = [f"skipped, {reason}: {', '.join(listed)}" for reason, listed in names.items()]
    return Text("\n".join(lines)) if lines else None


def bound(verdict: Verdict) -> str:
    """The bound without its unit, which has a column of its own."""
    limit = verdict.limit
    pairs = (("=", limit.equals), (">=", limit.min), ("<=", limit.max))
    return " ".join(f"{sign} {value:g}" for sign, value in pairs if value is not None)


def number(value: float | None) -> str:
    """A measured value with the digits that mean something."""
    if value is None:
        return "-"
    if abs(value) < FLOAT_NOISE:
        return "0"
    if not math.isfinite(value) or abs(value) >= 1e9:
        return f"{value:.3g}"
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def print_run(console: Console, run: Run) -> None:
    """One run: its table, its ratio, and what to do about a failure."""
    title = f"{run.request.title}, {run.request.mode}"
    if run.failure:
        say(console, f"{title}: did not run to its end", "bold red")
    else:
        print_limits(console, title, run.verdicts)
        say(
            console,
            f"  simulated : wall = {run.sim_s:.0f} s : {run.wall_s:.1f} s = {run.ratio:.0f} : 1"
            f"    trace {run.trace_sha256[:16]}",
        )
        if not run.judged:
            say(console, "  no limit was judged: each is one of the other clock", "yellow")
    for line in run.failure_lines():
        say(console, f"  {line}", "bold red")
    say(console, f"  repeat: {run.request.command}")
    say(console, f"  record: {shown_path(run.folder)}\n")


def print_summary(console: Console, runs: Iterable[Run], wall_s: float) -> None:
    """One line for all."""
    listed = list(runs)
    passed = sum(run.passed for run in listed)
    sim_s = sum(run.sim_s for run in listed)
    style = "bold green" if passed == len(listed) else "bold red"
    verdict = Text(f"{passed} of {len(listed)} runs passed", style)
    ratio = sim_s / wall_s if wall_s else 0.0
    rest = f"; {sim_s:.0f} s of driving judged in {wall_s:.1f} s ({ratio:.0f} : 1)"
    console.print(verdict + Text(rest), soft_wrap=True)


def shown_path(path: Path) -> str:
    """Relative to here where that is shorter."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
