"""What `run` and `demo` share: some scenarios, some seeds, progress, tables, a report, a verdict."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rig.runner import Request, Run

REPORTERS = "telerig.reporters"  # entry points: callable(run folders, HTML path) -> path written


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every command that runs scenarios."""
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where records go (runs/)"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="where the HTML report goes (in the runs folder)"
    )
    parser.add_argument(
        "-j", "--jobs", type=int, metavar="N", help="runs at a time (one for each core)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document instead of tables"
    )


def run_batch(requests: Sequence[Request], options: argparse.Namespace) -> int:
    """Run, show, report. Exit code 0: all passed, 1: not, 2: wrong usage."""
    from rich.console import Console

    from rig.errors import RigError
    from rig.runner import Runner, default_jobs
    from rig.terminal import ProgressView, print_run, print_summary, shown_path

    console = Console(stderr=options.json)
    start_s = time.monotonic()
    runs: list[Run] = []
    try:
        with ProgressView(console) as view:
            jobs = options.jobs or min(default_jobs(), len(requests))
            with Runner(options.runs, jobs=jobs, on_progress=view.update) as runner:
                futures = [runner.submit(request) for request in requests]
                for future in futures:
                    run = future.result()
                    view.finished(run.request)
                    runs.append(run)
                    if not options.json:
                        print_run(console, run)
    except RigError as error:
        print(f"telerig: {error}", file=sys.stderr)
        return 2 if error.usage else 1
    wall_s = time.monotonic() - start_s
    report = write_report(runs, options.report or options.runs / "report.html")
    if options.json:
        print_json(runs, wall_s, report)
    else:
        print_summary(console, runs, wall_s)
        if report is not None:
            console.print(f"report: {shown_path(report)}", highlight=False)
    if any(run.usage for run in runs):
        return 2
    return 0 if all(run.passed for run in runs) else 1


def write_report(runs: Sequence[Run], path: Path) -> Path | None:
    """Let the installed reporter write its page; None where there is none or nothing to show."""
    folders = [run.folder for run in runs if run.trace_sha256]
    reporter: Callable[[Sequence[Path], Path], Path] | None = None
    for point in entry_points(group=REPORTERS):
        try:
            reporter = point.load()
        except (ImportError, AttributeError):
            continue
    if reporter is None or not folders:
        return None
    return reporter(folders, path)


def print_json(runs: Sequence[Run], wall_s: float, report: Path | None) -> None:
    """The same figures for a script."""
    import json

    print(
        json.dumps(
            {
                "passed": all(run.passed for run in runs),
                "wall_s": round(wall_s, 3),
                "report": str(report) if report else None,
                "runs": [run_document(run) for run in runs],
            },
            indent=1,
        )
    )


def run_document(run: Run) -> dict[str, Any]:
    """One run as plain values."""
    return {
        "scenario": run.request.scenario.id,
        "seed": run.request.seed,
        "mode": run.request.mode,
        "passed": run.passed,
        "failure": run.failure or None,
        "sim_s": run.sim_s,
        "wall_s": round(run.wall_s, 3),
        "trace_sha256": run.trace_sha256,
        "record": str(run.folder),
        "command": run.request.command,
        "limits": [
            {
                "limit": verdict.limit.name,
                "phase": verdict.limit.window or None,
                "value": verdict.value,
                "unit": verdict.unit,
                "bound": verdict.bound,
                "margin": verdict.margin,
                "outcome": verdict.outcome.value,
                "reason": verdict.reason or None,
            }
            for verdict in run.verdicts
        ],
    }
