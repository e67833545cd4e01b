"""What `run` and `demo` share: scenarios, seeds, progress, tables, a report, a verdict."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from rig.commands.arguments import count
from rig.errors import RigError

if TYPE_CHECKING:
    from rich.console import Console

    from rig.commands.twice import Pair
    from rig.commands.watched import Viewing
    from rig.runner.request import Request, Run

OWN_PACKAGES = ("rig", "reports", "server", "sim", "firmware_stubs")
REPORTERS = "telerig.reporters"  # entry points: callable(run folders, HTML path) -> path written
REPORTER = "html"


class ReportError(RigError):
    """The report cannot be written."""


class ReportFolderError(ReportError):
    """The report is to go where it cannot."""

    usage = True


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every command that runs scenarios."""
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where records go (runs/)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="where the HTML report goes (DIR/report.html)"
    )
    parser.add_argument(
        "-j", "--jobs", type=count, metavar="N", help="runs at a time (one for each core)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document instead of tables"
    )


def run_batch(
    requests: Sequence[Request], options: argparse.Namespace, *, twice: bool = False
) -> int:
    """Run, show, report. Exit code 0: all passed, 1: not, 2: a file is wrong.

    Args:
        requests: what to run.
        options: see `add_batch_arguments`.
        twice: run each two times; it passes only if both have the same trace.

    Raises:
        RigError: the machine cannot run anything: no database server, no place for records.
    """
    from rich.console import Console

    from rig.commands.watched import watched
    from rig.runner.runs_folder import prepare_runs_folder

    prepare_runs_folder(options.runs)
    page: Path = options.report or options.runs / "report.html"
    if not page.parent.is_dir():
        raise ReportFolderError(f"--report {page}: expected a folder that exists, found none")
    console = Console(stderr=options.json)
    start_s = time.monotonic()
    with watched(options, console) as viewing:
        pairs = _drive(requests, options, console, viewing, twice=twice)
        wall_s = time.monotonic() - start_s
        return _conclude(pairs, options, console, page, wall_s)


def _conclude(
    pairs: Sequence[Pair],
    options: argparse.Namespace,
    console: Console,
    page: Path,
    wall_s: float,
) -> int:
    from rig.terminal import print_summary, say, shown_path

    runs = [pair.first for pair in pairs]
    report: Path | None = None
    trouble: RigError | None = None
    try:
        report = write_report(runs, page)
    except RigError as error:
        trouble = error  # what was driven is told all the same
    if options.json:
        print_json(pairs, wall_s, report)
    else:
        print_summary(console, runs, wall_s)
        if report is not None:
            say(console, f"report: {shown_path(report)}")
    if trouble is not None:
        raise trouble
    if any(run.usage for run in runs):
        return 2
    return 0 if all(pair.passed for pair in pairs) else 1


def _drive(
    requests: Sequence[Request],
    options: argparse.Namespace,
    console: Console,
    viewing: Viewing | None,
    *,
    twice: bool,
) -> list[Pair]:
    from rig.commands.twice import Pair, again
    from rig.runner.runner import Runner, default_jobs
    from rig.terminal import ProgressView, print_run, say

    jobs = options.jobs or min(default_jobs(), len(requests) * (2 if twice else 1))
    pairs: list[Pair] = []
    with (
        ProgressView(console) as view,
        Runner(
            options.runs,
            jobs=jobs,
            on_progress=view.update,
            on_start=None if viewing is None else viewing.started,
        ) as runner,
    ):
        if viewing is not None:
            viewing.runner = runner
        orders = [
            [runner.submit(one) for one in ([request, again(request)] if twice else [request])]
            for request in requests
        ]
        for order in orders:
            pair = Pair(*(future.result() for future in order))
            for run in pair.runs:
                view.finished(run.request)
            pairs.append(pair)
            if not options.json:
                print_run(console, pair.first)
                for line in pair.lines():
                    say(console, f"  {line}", "" if pair.passed else "bold red")
    return pairs


def write_report(runs: Iterable[Run], path: Path) -> Path | None:
    """Let the installed reporter write its page; None where there is none or nothing to show.

    Raises:
        ReportError: the page cannot be written.
    """
    folders = [run.folder for run in runs if run.trace_sha256]
    reporters = list(entry_points(group=REPORTERS, name=REPORTER))
    if not folders or not reporters:
        return None
    try:
        reporter: Callable[[Sequence[Path], Path], Path] = reporters[0].load()
        return reporter(folders, path)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OWN_PACKAGES:
            raise  # a fault of ours, and no extra that is not installed
        return None
    except OSError as error:
        raise ReportError(f"report {path}: expected to write it, found: {error}") from error


def print_json(pairs: Sequence[Pair], wall_s: float, report: Path | None) -> None:
    """The same figures for a script."""
    document = {
        "passed": all(pair.passed for pair in pairs),
        "wall_s": round(wall_s, 3),
        "report": str(report) if report else None,
        "runs": [pair.document() for pair in pairs],
    }
    print(json.dumps(document, indent=1))
