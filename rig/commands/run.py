"""`telerig run`: one or more scenario files, now."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rig.commands.batch import add_batch_arguments, run_batch


class RunCommand:
    """Run scenario files against the real gateway and judge what it achieved.

    examples:
      telerig run scenarios/idle.scenario.yaml
      telerig run scenarios/tunnel.scenario.yaml --seed 7 --twice
      telerig run scenarios/*.scenario.yaml --seeds 5 --json
    """

    help = "run scenario files and judge them"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("scenario", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--seed", type=int, metavar="N", help="first seed (the scenario's own)")
        parser.add_argument("--seeds", type=int, default=1, metavar="N", help="how many seeds (1)")
        parser.add_argument("--variant", metavar="NAME", help="one variant of a matrix (all)")
        parser.add_argument(
            "--mode", choices=("virtual", "paced"), help="which clock (the scenario's own)"
        )
        parser.add_argument(
            "--twice",
            action="store_true",
            help="run each two times and show the first divergence, if any",
        )
        add_batch_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        from rig.errors import RigError
        from rig.runner import Request, seeds_of
        from rig.scenario import expand_scenario

        requests: list[Request] = []
        try:
            for path in arguments.scenario:
                for scenario in expand_scenario(path):
                    if arguments.variant not in (None, scenario.variant):
                        continue
                    requests += [
                        Request(scenario, seed, arguments.mode or scenario.mode)
                        for seed in seeds_of(scenario, arguments.seeds, arguments.seed)
                    ]
        except RigError as error:
            print(f"telerig run: {error}", file=sys.stderr)
            return 2
        if not requests:
            print(
                f"telerig run: expected a variant that the file has, got {arguments.variant!r}",
                file=sys.stderr,
            )
            return 2
        if arguments.twice:
            from rig.commands.twice import run_twice

            return run_twice(requests, arguments)
        return run_batch(requests, arguments)


COMMAND = RunCommand()
