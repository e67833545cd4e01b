"""`telerig campaign`: thousands of drawn runs, what breaks in them, shrunk and kept."""

from __future__ import annotations

import argparse
import json
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.commands.arguments import count, seed, whole
from rig.quantity import DURATION, QuantityError

if TYPE_CHECKING:
    from rich.console import Console

    from rig.campaign.conduct import Conductor
    from rig.campaign.crew import Crew
    from rig.campaign.ledger import Ledger

USUAL_RUNS = 100
USUAL_ALIKE = 3  # the hundredth failure of one kind tells nothing that three did not
REPORT_FILE = "report.md"
PLAIN_PERIOD_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class CampaignCommand:
    """Drive drawn runs against the real gateway until something breaks, and shrink what broke.

    Each run is a scenario drawn from the campaign's seed and the run's number: car, adapter and
    receiver, settings of the gateway, a drive of pieces, at least three faults. What must hold in
    every run are its limits: nothing lost, doubled or invented, stale never shown as fresh, back
    within its time, bounded memory, no unhandled exception. Runs accumulate from call to call; only
    records of failures are kept, each with the smallest scenario that still fails.

    examples:
      telerig campaign                                  100 runs more of the campaign "main"
      telerig campaign nightly --for '8 h'              as many as fit; Ctrl-C loses nothing
      telerig campaign nightly --runs 0                 what was found so far
      telerig campaign mine --base scenarios/tunnel.scenario.yaml --runs 500
      telerig campaign main --draw 17                   print the scenario of run 17
      telerig campaign main --again                     drive what failed once more
      telerig campaign main --explain 17 --because 'docs/known-issues.md, 2'
      telerig campaign main --executor dask://10.0.0.5:8786 --runs 10000

    exit code: 0 no failure without an explanation, 1 there are some, 2 an option is wrong
    """

    help = "drive thousands of drawn runs; shrink and keep what breaks"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "name", nargs="?", default="main", type=_name, metavar="NAME", help="which one (main)"
        )
        parser.add_argument(
            "--folder",
            type=Path,
            default=Path("campaigns"),
            metavar="DIR",
            help="where campaigns are (campaigns/)",
        )
        budget = parser.add_argument_group("how much")
        budget.add_argument(
            "--runs",
            type=whole(0),
            metavar="N",
            help=f"so many runs more ({USUAL_RUNS}); 0: only the report",
        )
        budget.add_argument(
            "--for", dest="for_s", type=_duration, metavar="TIME", help="for so long: '30 min'"
        )
        budget.add_argument(
            "--shrink",
            type=whole(0),
            default=USUAL_ALIKE,
            metavar="N",
            help=f"failures that are shrunk of each limit that breaks ({USUAL_ALIKE})",
        )
        drawing = parser.add_argument_group("what a new campaign draws")
        drawing.add_argument(
            "--seed", type=seed, metavar="N", help="of the campaign (a random one)"
        )
        drawing.add_argument(
            "--base",
            nargs="+",
            type=Path,
            metavar="FILE",
            help="scenarios of which car, gateway and drive are taken, in turn",
        )
        drawing.add_argument(
            "--preload",
            metavar="MODULE:FUNCTION",
            help="called before each gateway starts: breaks it on purpose",
        )
        crew = parser.add_argument_group("who drives")
        crew.add_argument(
            "-j", "--jobs", type=count, metavar="N", help="runs at a time (one for each core)"
        )
        crew.add_argument(
            "--executor",
            metavar="ADDRESS",
            help="a cluster instead of this machine: dask://HOST:PORT of a scheduler",
        )
        looking = parser.add_argument_group("looking after it")
        looking.add_argument(
            "--draw", type=count, metavar="NUMBER", help="print the scenario of a run, and end"
        )
        looking.add_argument(
            "--again", action="store_true", help="drive the failing runs once more, no new ones"
        )
        looking.add_argument(
            "--explain",
            nargs="+",
            type=count,
            metavar="NUMBER",
            help="failures that are understood",
        )
        looking.add_argument("--because", metavar="TEXT", help="why; beside --explain")
        parser.add_argument(
            "--json", action="store_true", help="print one JSON document instead of tables"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        from rich.console import Console

        from rig.campaign.ledger import Ledger

        console = Console(stderr=arguments.json)
        plan, given = _plan(arguments)
        if (arguments.explain is None) != (arguments.because is None):
            raise _usage("--explain: expected --explain NUMBER and --because TEXT together")
        with Ledger(arguments.folder / arguments.name, plan, given) as ledger:
            if arguments.draw is not None:
                return _draw(ledger, arguments.draw)
            if arguments.explain is not None:
                _explain(ledger, arguments.explain, arguments.because)
                arguments.runs = 0
            return _conduct(ledger, arguments, console)


def _plan(arguments: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """Return the plan of a new campaign, and what of it was asked for by name."""
    from rig.campaign.draw import based_on
    from rig.campaign.ledger import Plan

    given: dict[str, Any] = {}
    if arguments.seed is not None:
        given["seed"] = arguments.seed
    if arguments.base is not None:
        import random

        for path in arguments.base:
            based_on(path, random.Random(0))
        given["bases"] = tuple(str(path.absolute()) for path in arguments.base)
    if arguments.preload is not None:
        given["preload"] = arguments.preload
    return Plan(**{"seed": secrets.randbelow(2**31), **given}), given


def _draw(ledger: Ledger, number: int) -> int:
    from rig.campaign.document import text_of
    from rig.campaign.draw import draw

    bases = [Path(base) for base in ledger.plan.bases]
    print(text_of(draw(ledger.plan.seed, number, bases)), end="")
    return 0


def _explain(ledger: Ledger, numbers: list[int], text: str) -> None:
    from rig.campaign.ledger import EXPLAINED_FILE

    for number in numbers:
        if number not in ledger.failed:
            raise _usage(
                f"--explain {number}: expected the number of a run that failed, found "
                f"{'one that passed' if number in ledger.done else 'one that was not driven'}"
            )
        ledger.write(number, EXPLAINED_FILE, f"{text}\n")


def _conduct(ledger: Ledger, arguments: argparse.Namespace, console: Console) -> int:
    from rig.campaign.conduct import Budget, Conductor, Tally
    from rig.campaign.crew import close_quietly
    from rig.campaign.report import document_of, markdown_of, print_report

    runs = arguments.runs
    if runs is None and arguments.for_s is None and not arguments.again:
        runs = USUAL_RUNS
    tally = Tally()
    if runs != 0:
        crew = _crew(ledger, arguments)
        try:
            with CampaignView(console, ledger, runs) as view:
                budget = Budget(runs, arguments.for_s)
                conductor = Conductor(ledger, crew, budget, arguments.shrink, on_change=view.update)
                tally = conductor.tally
                conductor.conduct(arguments.again)
        finally:
            close_quietly(crew)
    _write_report(ledger, markdown_of(ledger, tally))
    found = document_of(ledger, tally)
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        print_report(console, ledger, tally)
    return 1 if found["unexplained"] else 0


def _write_report(ledger: Ledger, text: str) -> None:
    (ledger.folder / REPORT_FILE).write_text(text, encoding="utf-8")


def _crew(ledger: Ledger, arguments: argparse.Namespace) -> Crew:
    from rig.campaign.crew import LocalCrew, crew_at

    if arguments.executor is not None:
        return crew_at(arguments.executor)
    return LocalCrew(ledger.work, arguments.jobs)


class CampaignView:
    """A bar with rate, time left and failures; now and then a line where there is no terminal."""

    def __init__(self, console: Console, ledger: Ledger, runs: int | None) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = console
        self._ledger = ledger
        self._runs = runs
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task(ledger.folder.name, total=1.0, text="starting")
        self._spoken_s = time.monotonic()
        self._told: set[int] = set()

    def __enter__(self) -> CampaignView:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def update(self, conductor: Conductor) -> None:
        """Show how far it is."""
        from rig.terminal import say

        for number in conductor.tally.failed:
            if number not in self._told:
                self._told.add(number)
                broken = ", ".join(self._ledger.done[number].broken)
                say(self._console, f"  run {number} breaks {broken}", "red")
        text = self._text(conductor)
        share = max(self._shares(conductor), default=0.0)
        self._bars.update(self._task, completed=min(share, 1.0), text=text)
        now_s = time.monotonic()
        if not self._console.is_terminal and now_s - self._spoken_s > PLAIN_PERIOD_S:
            self._spoken_s = now_s
            say(self._console, f"  {self._ledger.folder.name}: {text}")

    def _shares(self, conductor: Conductor) -> list[float]:
        shares = [0.0]
        if self._runs:
            shares.append(conductor.tally.runs / self._runs)
        if conductor.budget.seconds:
            shares.append(conductor.elapsed_s / conductor.budget.seconds)
        return shares

    def _text(self, conductor: Conductor) -> str:
        tally, elapsed_s = conductor.tally, max(conductor.elapsed_s, 1e-3)
        parts = [f"{tally.runs}" + (f" of {self._runs} runs" if self._runs else " runs")]
        share = max(self._shares(conductor))
        if tally.runs:
            parts.append(f"{tally.runs / elapsed_s * 60:.0f} a minute")
            parts.append(f"{tally.sim_s / elapsed_s:.0f} : 1")
        if 0 < share < 1:
            parts.append(f"{_clock(elapsed_s * (1 - share) / share)} left")
        parts.append(f"{len(tally.failed)} failed")
        if conductor.shrinking:
            parts.append(f"shrinking {conductor.shrinking}")
        return ", ".join(parts)


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _usage(text: str) -> Exception:
    from rig.campaign.errors import CampaignUsageError

    return CampaignUsageError(text)


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"expected a name of letters, digits, '-', '_' and '.', found {text!r}"
        )
    return text


def _duration(text: str) -> float:
    try:
        found = DURATION.parse(text)
    except QuantityError as error:
        raise argparse.ArgumentTypeError(
            f"expected a duration such as '30 min', found {text!r}"
        ) from error
    if found <= 0:
        raise argparse.ArgumentTypeError(f"expected a duration above 0 s, found {text!r}")
    return found


COMMAND = CampaignCommand()
