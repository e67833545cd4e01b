"""`telerig bench`: what stands on the desk, looked at before it is driven."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rig.errors import RigError

if TYPE_CHECKING:
    from rig.bench.check import Checked
    from rig.bench.model import Bench

CHECK, POWER = "check", "power"
PARSER = "bench_parser"


class BenchUsageError(RigError):
    """A link that has no place, or no switch."""

    usage = True


class BenchCommand:
    """Look at what stands on the desk before it is driven.

    A bench file says what each link is; a scenario names links and stays the same on every desk:

      bench: 1
      name: desk
      features: [sky]                       # words that scenarios may need beside links
      links:
        obd: {real: /dev/serial/by-id/usb-FTDI_…, baud: 38400}     # a device that stands there
        mesh: {real: 192.168.7.9:4403}                             # one that is reached by TCP
        can: {drive: {interface: socketcan, channel: can0}}        # our model drives a real port
        gps: model                          # simulated, as are all that are not named
      gateway: local                        # or {at: "http://192.168.7.2:8000", token: VARIABLE}

    A place is a device path (by-id names stay when adapters are plugged in anew), a URL of pyserial
    (socket://, rfc2217://), host:port, or an interface of python-can.

    examples:
      telerig bench check bench/desk.yaml         every port: there, free, permitted, the right
                                                  device at the right rate; a table of the wiring
      telerig bench check bench/desk.yaml --json  the same for scripts
      telerig bench power bench/desk.yaml obd cycle      try the commands of its power switch
      telerig run scenarios/cruise.scenario.yaml --bench bench/desk.yaml
      pytest scenarios/ --rig-bench bench/desk.yaml --rig-mode paced

    exit code: 0 the bench can be used, 1 it cannot, 2 the file or an option is wrong
    """

    help = "look at the real adapters that a bench file names"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.set_defaults(**{PARSER: parser})
        actions = parser.add_subparsers(dest="action", title="what to do", metavar="ACTION")
        check = actions.add_parser(CHECK, help="look at everything that a bench file names")
        check.add_argument("bench", type=Path, metavar="FILE", help="a bench file")
        check.add_argument(
            "--only", nargs="+", metavar="LINK", help="look at these alone (all that are real)"
        )
        check.add_argument("--json", action="store_true", help="print one JSON document")
        power = actions.add_parser(POWER, help="switch a device's power")
        power.add_argument("bench", type=Path, metavar="FILE", help="a bench file")
        power.add_argument("link", metavar="LINK", help="whose device")
        power.add_argument("state", choices=("off", "on", "cycle"), help="cycle: off, then on")

    def run(self, arguments: argparse.Namespace) -> int:
        if arguments.action is None:
            getattr(arguments, PARSER).print_help(sys.stderr)
            return 2
        from rig.bench import read_bench

        bench = read_bench(arguments.bench)
        if arguments.action == POWER:
            return _switch(bench, arguments.link, arguments.state)
        return _check(bench, arguments.only, as_json=arguments.json)


def _switch(bench: Bench, link: str, state: str) -> int:
    from rig.bench import power

    _check_name(link)
    switch = bench.at(link).power
    if switch is None:
        raise BenchUsageError(
            f"{bench.path}: expected a power switch at {link!r}, found none; "
            "write `power: {off: [COMMAND, …], on: [COMMAND, …]}`"
        )
    {"off": power.switch_off, "on": power.switch_on, "cycle": power.cycle}[state](switch)
    print(f"{link}: {state if state != 'cycle' else 'off and on again'}")
    return 0


def _check_name(link: str) -> None:
    from rig.bench import PLACES
    from rig.scenario.document import suggestion

    if link not in PLACES:
        raise BenchUsageError(f"expected a link, found {link!r}; {suggestion(link, PLACES)}")


def _check(bench: Bench, only: list[str] | None, *, as_json: bool) -> int:
    from rig.bench.check import check_bench

    for name in only or ():
        _check_name(name)
    names = [*bench.real_links, *bench.driven_links]
    if names and sys.stderr.isatty():
        print(f"looking at {', '.join(names)}: up to 30 s", file=sys.stderr)
    checked = check_bench(bench, only)
    if as_json:
        print(json.dumps(_document(checked), indent=1))
    else:
        _show(checked)
    return 1 if checked.failures else 0


def _document(checked: Checked) -> dict[str, object]:
    from rig.bench.check import manifest_entry
    from rig.bench.wiring import wiring

    return {
        "ok": not checked.failures,
        "bench": manifest_entry(checked.bench, checked),
        "wiring": [asdict(wire) for wire in wiring(checked.bench, checked.identities)],
        "findings": [asdict(finding) for finding in checked.findings],
    }


def _show(checked: Checked) -> None:
    from rich.console import Console

    from rig.terminal import bench_table, say
    from server.operation.checks.finding import FAIL, WARN

    console = Console()
    bench = checked.bench
    say(console, f"bench {bench.name} ({bench.path}): {bench.about or 'no description'}", "bold")
    if bench.features:
        say(console, f"features: {', '.join(bench.features)}")
    console.print(bench_table(checked))
    styles = {FAIL: "bold red", WARN: "yellow"}
    for finding in checked.findings:
        say(console, finding.lines, styles.get(finding.state, ""))
    broken = ", ".join(dict.fromkeys(finding.check for finding in checked.failures))
    say(console, f"cannot be used: {broken}" if broken else "the bench can be used")


COMMAND = BenchCommand()
