"""`telerig demo`: the first thing to type."""

from __future__ import annotations

import argparse
from pathlib import Path

from rig.commands.batch import add_batch_arguments, run_batch

SCENARIOS = ("idle", "cruise", "hard_driving")


class DemoCommand:
    """Drive idle, cruise and hard_driving against the real gateway, and see the verdict.

    A Focus ST drives through a simulated world in virtual time. The gateway, with its PostgreSQL,
    reads the car's ELM327 adapter and GPS receiver through python-OBD, pyserial and pynmea2 on
    serial ports, as in production. At the end: the limits, what was measured, and a report to open.

    examples:
      telerig demo                       records and report go to runs/
      telerig demo --runs /tmp/runs      or elsewhere
      telerig demo --json -j 1           figures for a script, one run at a time

    exit code: 0 all limits kept, 1 not
    """

    help = "drive three scenarios and see the verdict (start here)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_batch_arguments(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        from rig.runner.request import Request
        from rig.scenario import expand_scenario

        folder = scenarios_folder()
        requests = [
            Request(scenario, scenario.seed, scenario.mode)
            for name in SCENARIOS
            for scenario in expand_scenario(folder / f"{name}.scenario.yaml")
        ]
        return run_batch(requests, arguments)


def scenarios_folder() -> Path:
    """The scenarios of this checkout, or those that were installed with the package."""
    import rig

    package = Path(rig.__file__).parent
    checkout = package.parent / "scenarios"
    return checkout if checkout.is_dir() else package / "_scenarios"


COMMAND = DemoCommand()
