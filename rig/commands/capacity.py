"""`telerig capacity`: how many vehicles what carries, and what if all of them come at once."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

from rig.commands.arguments import count, positive, seed, whole
from rig.errors import RigError

if TYPE_CHECKING:
    from sim.capacity import Figures, Plan
    from sim.capacity.trial import Outcome

MOST_VEHICLES = 1e10


class CapacityUsageError(RigError):
    """The options do not make a fleet."""

    usage = True


class CapacityCommand:
    """Tell what a fleet takes: gateways, cores, disks, and the limit that binds.

    Arithmetic with measured figures (--figures), each of which can be replaced by one of your own
    machine (--set). --storm simulates a cell: a steady minute, a zone that is lost, an outage of
    everything with the reconnections after it, with chance in the vehicles' pauses and without.

    examples:
      telerig capacity --vehicles 1e6 --rate-hz 1 --signals 20
      telerig capacity --vehicles 1e6 --on-the-road 0.1 --hours-a-day 1.5 --raw-days 90
      telerig capacity --vehicles 1e5 --storm --outage-s 600
      telerig capacity --vehicles 1e5 --set row_us=40 --set compact_us=0.5 --json
      telerig capacity --figures

    exit code: 0; 2 where the options make no fleet
    """

    help = "how many vehicles how many gateways carry, and what gives way first"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        fleet = parser.add_argument_group("the fleet").add_argument
        fleet("--vehicles", type=_vehicles, default=10_000, help="how many (10,000)")
        fleet("--rate-hz", type=positive, default=1.0, help="of each signal (1)")
        fleet("--signals", type=count, default=20, help="of a vehicle (20)")
        fleet("--batch-s", type=positive, default=10.0, help="between uploads (10)")
        text = "share that sends at the busiest time, above 0 to 1 (1)"
        fleet("--on-the-road", type=_share, default=1.0, help=text)
        text = "that a vehicle sends, on average (24)"
        fleet("--hours-a-day", type=positive, default=24.0, help=text)
        text = "protobuf columns, or packets of an edge logger (columns)"
        fleet("--wire", choices=("columns", "codec"), default="columns", help=text)
        fleet("--clients", type=whole(0), default=0, help="of the live stream (0)")
        fleet("--client-vehicles", type=count, default=1, help="that each of them looks at (1)")
        fleet("--raw-days", type=count, default=30, help="readings are kept (30)")
        site = parser.add_argument_group("machines and settings").add_argument
        site("--zones", type=count, default=3, help="that gateways are spread over (3)")
        site("--gateways", type=count, help="of a cell (as many as it needs)")
        site("--database-cores", type=count, default=16, help="of a primary (16)")
        site("--latest-s", type=positive, default=5.0, help="[store] latest_s (5)")
        text = "a gateway refuses what would wait so long; 0: never (5)"
        site("--refuse-after-s", type=_limit, default=5.0, help=text)
        text = "count with this figure instead"
        site("--set", action="append", default=[], metavar="NAME=VALUE", help=text)
        storm = parser.add_argument_group("simulation").add_argument
        storm("--storm", action="store_true", help="simulate a cell")
        text = "how long everything is gone (120)"
        storm("--outage-s", type=positive, default=120.0, help=text)
        text = "simulated; a larger cell is made smaller (40,000)"
        storm("--most-vehicles", type=count, default=40_000, help=text)
        storm("--seed", type=seed, default=1, help="of the chance (1)")
        parser.add_argument("--figures", action="store_true", help="print what it counts with")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def run(self, arguments: argparse.Namespace) -> int:
        from sim.capacity import Fleet, Site, plan, read_figures

        figures = _replaced(read_figures(), arguments.set)
        try:
            fleet = Fleet(
                arguments.vehicles,
                arguments.rate_hz,
                arguments.signals,
                arguments.batch_s,
                arguments.on_the_road,
                arguments.hours_a_day,
                arguments.wire,
                arguments.clients,
                arguments.client_vehicles,
                arguments.raw_days,
            )
        except ValueError as error:
            raise CapacityUsageError(str(error)) from error
        site = Site(
            zones=arguments.zones,
            database_cores=arguments.database_cores,
            latest_s=arguments.latest_s,
            gateways=arguments.gateways,
            refuse_after_s=arguments.refuse_after_s,
        )
        try:
            found = plan(fleet, site, figures)
        except ValueError as error:
            raise CapacityUsageError(f"no number of gateways carries this: {error}") from error
        outcomes = _storm(found, figures, arguments) if arguments.storm else []
        if arguments.json:
            print(json.dumps(_as_json(found, outcomes, figures), indent=2))
        else:
            _print(found, outcomes, figures, with_figures=arguments.figures)
        return 0


COMMAND = CapacityCommand()


def _vehicles(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not (1 <= value <= MOST_VEHICLES and value == int(value)):
        raise argparse.ArgumentTypeError(
            f"expected a number of vehicles, 10000 or 1e6 for example, found {text!r}"
        )
    return int(value)


def _limit(text: str) -> float:
    """Read seconds; 0 is no limit."""
    return math.inf if text == "0" else positive(text)


def _share(text: str) -> float:
    value = positive(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0, at most 1, found {text!r}")
    return value


def _replaced(figures: Figures, given: list[str]) -> Figures:
    """Take the figures of the command line.

    Raises:
        CapacityUsageError: no such figure, or no number above 0.
    """
    for each in given:
        name, _, text = each.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not (math.isfinite(value) and value > 0):
            raise CapacityUsageError(f"expected --set NAME=VALUE above 0, found {each!r}")
        try:
            figures = figures.replaced(**{name: value})
        except KeyError:
            known = ", ".join(figure.name for figure in figures)
            raise CapacityUsageError(f"expected one of {known}; found {name!r}") from None
    return figures


def _storm(found: Plan, figures: Figures, arguments: argparse.Namespace) -> list[Outcome]:
    from sim.capacity.trial import OUTAGE, STEADY, ZONE, Trial, run

    trials = (
        Trial(STEADY, 60.0),
        Trial(ZONE, 60.0),
        Trial(OUTAGE, arguments.outage_s),
        Trial(OUTAGE, arguments.outage_s, jitter=False),
        Trial(OUTAGE, arguments.outage_s, in_step=True),
        Trial(OUTAGE, arguments.outage_s, jitter=False, in_step=True),
    )
    most = arguments.most_vehicles
    return [run(found, figures, trial, seed=arguments.seed, most_vehicles=most) for trial in trials]


def _print(found: Plan, outcomes: list[Outcome], figures: Figures, *, with_figures: bool) -> None:
    from sim.capacity import tables

    print(tables.markdown(tables.demand([found])))
    binding = found.binding
    print(f"\nWhat gives way first in a cell: {binding.name}; moved by: {binding.remedy}.\n")
    print(tables.markdown(tables.limits(found)))
    if outcomes:
        first = outcomes[0]
        print(f"\nSimulated: {first.vehicles:,} vehicles on {first.gateways} gateways.\n")
        print(tables.markdown(tables.trials(outcomes)))
    if with_figures:
        print()
        print(tables.markdown(tables.figures(figures)))


def _as_json(found: Plan, outcomes: list[Outcome], figures: Figures) -> dict[str, Any]:
    return {
        "plan": {**dataclasses.asdict(found), "binding": found.binding.name},
        "trials": [dataclasses.asdict(outcome) for outcome in outcomes],
        "figures": {
            figure.name: {"value": figure.value, "unit": figure.unit, "from": figure.source}
            for figure in figures
        },
    }
