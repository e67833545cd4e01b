"""`telerig run`: one or more scenario files, now."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rig.commands.arguments import count, seed
from rig.commands.batch import add_batch_arguments, run_batch
from rig.errors import RigError

if TYPE_CHECKING:
    from rig.runner.request import Request


SUFFIX = ".scenario.yaml"


class TwicePacedError(RigError):
    """A run in wall time cannot be repeated exactly."""

    usage = True


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
            "--twice",
            action="store_true",
            help="run each two times; show where their traces first differ, if they do",
        )
        add_batch_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
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
        return run_batch(requests, arguments, twice=arguments.twice)


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
        Request(scenario, seed, arguments.mode or scenario.mode)
        for scenario in scenarios
        for seed in seeds_of(scenario, arguments.seeds, arguments.seed)
    ]


COMMAND = RunCommand()
