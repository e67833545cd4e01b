"""`telerig run`: one or more scenario files, now."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rig.commands.arguments import count, positive, seed, whole
from rig.commands.batch import add_batch_arguments, run_batch
from rig.errors import RigError

if TYPE_CHECKING:
    from rig.bench import Bench
    from rig.runner.request import Request
    from rig.scenario.model import Scenario


SUFFIX = ".scenario.yaml"


class TwicePacedError(RigError):
    """A run in wall time cannot be repeated exactly."""

    usage = True


class PaceError(RigError):
    """A pace for a run that has none."""

    usage = True


class BenchBrokenError(RigError):
    """A device of the bench is not there, or is another one."""


class NoScenarioError(RigError):
    """A folder in which there is nothing to run."""

    usage = True


class RunCommand:
    """Run scenario files against the real gateway and judge what it achieved.

    Each run leaves a record; `telerig report` judges and shows it again.

    examples:
      telerig run scenarios/idle.scenario.yaml
      telerig run scenarios/tunnel.scenario.yaml --seed 7 --twice
      telerig run scenarios/ --seeds 5 --json                     all that lie in a folder
      telerig run scenarios/cruise.scenario.yaml --mode paced     in wall time, the gateway
                                                                  a process of its own
      telerig run scenarios/cruise.scenario.yaml --pace 2 --view  the same at double pace, to be
                                                                  watched in the browser
      telerig run scenarios/cruise.scenario.yaml --bench bench/desk.yaml
                                                                  with the real devices that
                                                                  the file names, in wall time

    With --view the pages are served while it runs; they stay until Ctrl-C where the terminal is
    interactive, and end with the run where it is not.

    exit code: 0 all limits kept, 1 not, 2 a file or an option is wrong
    """

    help = "run scenario files and judge them"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "scenario",
            nargs="+",
            type=Path,
            metavar="FILE",
            help=f"a scenario file, or a folder: every *{SUFFIX} in it",
        )
        parser.add_argument(
            "--seed", type=seed, metavar="N", help="first seed (the scenario's own)"
        )
        parser.add_argument(
            "--seeds", type=count, default=1, metavar="N", help="how many seeds (1)"
        )
        parser.add_argument("--variant", metavar="NAME", help="one variant of a matrix (all)")
        parser.add_argument(
            "--mode", choices=("virtual", "paced"), help="which clock (the scenario's own)"
        )
        parser.add_argument(
            "--pace",
            type=positive,
            metavar="N",
            help="simulated seconds per wall second; such a run is paced (1)",
        )
        parser.add_argument(
            "--bench",
            type=Path,
            metavar="FILE",
            help="which links are real (telerig bench --help); such a run is paced",
        )
        parser.add_argument(
            "--view", action="store_true", help="watch it in the browser; prints the address"
        )
        parser.add_argument(
            "--port",
            type=whole(0, 65535),
            metavar="N",
            help="of --view (8050 or, if that is taken, a free one)",
        )
        parser.add_argument(
            "--twice",
            action="store_true",
            help="run each two times; show where their traces first differ, if they do",
        )
        add_batch_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        if arguments.pace is not None and arguments.mode == "virtual":
            raise PaceError(
                "--pace: expected a run in wall time, found --mode virtual, which runs as fast as "
                "it can; leave out one of them"
            )
        if arguments.bench is not None and arguments.mode == "virtual":
            raise PaceError(
                "--bench: expected a run in wall time, found --mode virtual, in which nothing is "
                "real; leave out one of them"
            )
        if arguments.port is not None and not arguments.view:
            raise PaceError("--port: expected --view beside it, found none; add --view")
        requests = [
            request
            for name in arguments.scenario
            for path in _files_of(name)
            for request in _requests_of(path, arguments)
        ]
        if arguments.twice and any(request.mode == "paced" for request in requests):
            raise TwicePacedError(
                "--twice: expected virtual runs, found a paced one; wall time never repeats itself"
            )
        return run_batch(_possible(requests, arguments), arguments, twice=arguments.twice)


def _files_of(path: Path) -> list[Path]:
    """Return the scenario files that a word of the command line names."""
    if not path.is_dir():
        return [path]
    files = sorted(path.glob(f"*{SUFFIX}"))
    if not files:
        raise NoScenarioError(
            f"{path}: expected scenario files in this folder, found none; "
            f"their names end with {SUFFIX}"
        )
    return files


def _requests_of(path: Path, arguments: argparse.Namespace) -> list[Request]:
    from rig.runner.request import Request, seeds_of
    from rig.scenario import expand_scenario, load_scenario

    scenarios = (
        expand_scenario(path)
        if arguments.variant is None
        else (load_scenario(path, arguments.variant),)
    )
    return [
        Request(
            scenario,
            seed,
            _mode(scenario, arguments),
            pace=arguments.pace or 1.0,
            bench=arguments.bench,
        )
        for scenario in scenarios
        for seed in seeds_of(scenario, arguments.seeds, arguments.seed)
    ]


def _mode(scenario: Scenario, arguments: argparse.Namespace) -> str:
    """Return the clock of a run: as it was asked for, or else the scenario's."""
    if arguments.pace is not None or arguments.bench is not None:
        return "paced"
    return str(arguments.mode or scenario.mode)


def _possible(requests: list[Request], arguments: argparse.Namespace) -> list[Request]:
    """Return what can be driven on the bench, or without one; say why the rest cannot."""
    from rig.bench.desk import BROKEN, Desk, lack_without_bench

    obstacle: Callable[[Scenario], str] = lack_without_bench
    if arguments.bench is not None:
        from rig.bench import read_bench

        bench = read_bench(arguments.bench)
        _check_pace(bench, arguments.pace)
        obstacle = Desk(bench).obstacle
    possible, reason = [], ""
    for request in requests:
        reason = obstacle(request.scenario)
        if reason.startswith(BROKEN):
            raise BenchBrokenError(reason)
        if not reason:
            possible.append(request)
        elif len(requests) > 1:
            print(f"skipped: {request.title}: {reason}", file=sys.stderr)
    if not possible:
        raise NoScenarioError(f"expected a scenario that can be driven here, found none: {reason}")
    return possible


def _check_pace(bench: Bench, pace: float | None) -> None:
    real = [*bench.real_links, *bench.driven_links]
    if real and pace not in (None, 1.0):
        raise PaceError(
            f"--pace: expected 1, found {pace:g}: {', '.join(real)} of {bench.path} can be no "
            "faster than wall time"
        )


COMMAND = RunCommand()
