"""`telerig report`: looks at recorded runs and judges them again, without running anything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.errors import RigError

if TYPE_CHECKING:
    from reports.judged_run import JudgedRun
    from rig.judge.limits import Limit

EXIT_PASSED, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
PAGE_NAME = "report.html"
TREND_NAME = "trend.html"


class TrendOptionError(RigError):
    """An option that says nothing about runs over time."""


class ReportCommand:
    """Judge recorded runs again, from their records alone, and write a page that shows them.

    examples:
      telerig report last                          the latest run in runs/
      telerig report runs/2026* --html all.html    several runs on one page
      telerig report last --scenario FILE          by the limits that FILE has now
      telerig report last --against OTHER          where two runs first differ
      telerig report --trend                       all runs over time, limit by limit
      telerig report last --json                   every measure, for a script

    exit code: 0 all limits kept, 1 not, 2 no such run or a wrong file
    """

    help = "judge recorded runs again and write a page that shows them"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""
        parser.add_argument(
            "run_names",
            nargs="*",
            metavar="RUN",
            help="a run's folder, its name in the runs folder, or `last` (last; with --trend all)",
        )
        parser.add_argument(
            "--runs",
            type=Path,
            default=Path("runs"),
            metavar="DIR",
            help="where records are (runs/)",
        )
        parser.add_argument(
            "--html",
            type=Path,
            metavar="PATH",
            help="where the page goes (RUN/report.html; runs/report.html for several)",
        )
        parser.add_argument(
            "--trend",
            action="store_true",
            help="one page that shows how each limit came out in all these runs, oldest first",
        )
        parser.add_argument(
            "--markdown", action="store_true", help="print Markdown instead of tables"
        )
        parser.add_argument(
            "--json", action="store_true", help="print every figure as JSON instead of tables"
        )
        parser.add_argument(
            "--scenario", type=Path, metavar="FILE", help="judge by the limits of this file"
        )
        parser.add_argument(
            "--against", metavar="RUN", help="show where the trace first differs from this run's"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Judge, show, write; return 0 if all limits were kept, 1 if not, 2 for wrong usage."""
        from reports.judged_run import judge_run
        from rig.record.folders import LATEST, find_run

        try:
            if arguments.trend:
                return _trend(arguments)
            limits = None if arguments.scenario is None else _limits_of(arguments.scenario)
            names = arguments.run_names or [LATEST]
            folders = [find_run(name, arguments.runs) for name in names]
            runs = [judge_run(folder, limits) for folder in folders]
            differs = arguments.against is not None and _show_divergence(
                runs, find_run(arguments.against, arguments.runs)
            )
            page = _write_page(runs, arguments)
        except RigError as error:
            print(f"telerig report: {error}", file=sys.stderr)
            return EXIT_USAGE
        if arguments.json:
            _print_json(runs, page)
        elif arguments.markdown:
            from reports.markdown import render_markdown

            print(render_markdown(runs), end="")
        else:
            _print_tables(runs, page)
        failed = differs or not all(map(_has_passed, runs))
        return EXIT_FAILED if failed else EXIT_PASSED


def _trend(arguments: argparse.Namespace) -> int:
    """Write the page of runs over time; return 0 if the newest run of each scenario passed."""
    from reports.trend import Trend
    from rig.record.folders import find_run, find_runs

    others = [
        f"--{name}" for name in ("markdown", "scenario", "against") if getattr(arguments, name)
    ]
    if others:
        raise TrendOptionError(
            f"--trend: expected no other option than --runs, --html and --json, found {others[0]}; "
            "it shows verdicts as they were judged"
        )
    names = arguments.run_names
    folders = [find_run(name, arguments.runs) for name in names] or find_runs(arguments.runs)
    trend = Trend.read(folders)
    if arguments.json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(trend.document()), indent=1).decode())
    if arguments.html is not None or not arguments.json:
        path = arguments.html or arguments.runs / TREND_NAME
        trend.write(path)
        print(f"{trend.sentence()}\nreport: {path}", file=sys.stderr if arguments.json else None)
    return EXIT_PASSED if trend.passed else EXIT_FAILED


def _limits_of(path: Path) -> list[Limit]:
    from rig.scenario import expand_scenario

    scenario = expand_scenario(path)[0]
    return [*scenario.limits, *scenario.after]


def _show_divergence(runs: Sequence[JudgedRun], other: Path) -> bool:
    """Print where each run first differs from `other`; return whether any does."""
    from rig.record.compare import compare
    from rig.record.reader import RecordReader

    second = RecordReader(other)
    differs = False
    for run in runs:
        divergence = compare(run.record, second)
        differs |= divergence is not None
        text = "no divergence" if divergence is None else divergence.describe(run.manifest)
        print(f"{run.record.folder} against {other}: {text}", file=sys.stderr)
    return differs


def _write_page(runs: Sequence[JudgedRun], arguments: argparse.Namespace) -> Path | None:
    """Write the page where it was asked for; for people also where it was not."""
    from reports.html import write_html

    path: Path | None = arguments.html
    if path is None and not (arguments.json or arguments.markdown):
        path = (runs[0].record.folder if len(runs) == 1 else arguments.runs) / PAGE_NAME
    if path is not None:
        write_html(path, runs)
    return path


def _print_tables(runs: Sequence[JudgedRun], page: Path | None) -> None:
    from rich.console import Console

    from reports.text import short
    from rig.terminal import print_limits

    console = Console()
    for run in runs:
        manifest = run.manifest
        title = f"{manifest.scenario}, seed {manifest.seed}, {manifest.mode}"
        print_limits(console, title, run.verdicts)
        ratio = run.measures.get("rig.ratio")
        if ratio is not None:
            console.print(f"  simulated : wall {short(ratio.value, 3)} : 1", highlight=False)
        for line in (
            *(f"  {verdict.sentence()}" for verdict in run.failures),
            f"  trace {manifest.trace_sha256 or '(the run did not end)'}",
            f"  repeat: {manifest.command}\n",
        ):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if page is not None:
        console.print(f"report: {page}", highlight=False, markup=False, soft_wrap=True)


def _has_passed(run: JudgedRun) -> bool:
    """Return whether all limits were kept; without one a run has not passed, and a capture has."""
    return not run.failures and bool(run.verdicts or not run.manifest.is_judged)


def _print_json(runs: Sequence[JudgedRun], page: Path | None) -> None:
    import msgspec

    document = {
        "passed": all(map(_has_passed, runs)),
        "report": None if page is None else str(page),
        "runs": [_document(run) for run in runs],
    }
    print(msgspec.json.format(msgspec.json.encode(document), indent=1).decode())


def _document(run: JudgedRun) -> dict[str, Any]:
    manifest = run.manifest
    return {
        "scenario": manifest.scenario,
        "seed": manifest.seed,
        "mode": manifest.mode,
        "outcome": run.outcome.value,
        "trace_sha256": manifest.trace_sha256,
        "record": str(run.record.folder),
        "command": manifest.command,
        "limits": [verdict.document() for verdict in run.verdicts],
        "measures": {
            name: {"value": measured.value, "unit": measured.unit}
            for name, measured in run.measures.all().items()
        },
    }


COMMAND = ReportCommand()
