"""`telerig wires`: what stands on the wires of a record, played to a gateway, and compared."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rig.commands.arguments import instant, seed, whole
from rig.commands.batch import add_batch_arguments, run_batch
from rig.errors import RigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rig.record.reader import RecordReader
    from rig.wires.diff import Diff, Difference
    from rig.wires.kept import Series

PLAYED_FOLDER = "played"
EQUAL, DIFFERENT = 0, 1
PLAIN_COLUMNS = 160  # where the output is no terminal


class CompareError(RigError):
    """Two gateways that cannot be compared."""

    usage = True


class WiresCommand:
    """Show the wires of a record, play them to a gateway, and compare what gateways stored.

    A record is the folder of a run or of a capture (`telerig capture`). Played, its wires are a
    world: what a receiver or a bus said comes at its instants, an adapter gives the answers that it
    gave then. The gateway is the real one, on either clock; its run leaves a record.

    examples:
      telerig wires show captures/monday
      telerig wires play captures/monday
      telerig wires play last --link gps --mode paced
      telerig wires play captures/monday --config /etc/telerig/gateway.toml
      telerig wires play captures/monday --ports ports       for gpsd, python-can or a terminal
      telerig wires import drive.nmea --out captures/drive   a receiver's log as a record
      telerig wires diff runs/BEFORE runs/AFTER
      telerig wires diff last --golden monday.golden --update      writes the golden file
      telerig wires diff last --golden monday.golden --tolerance 'GPS_*=1step' time=50ms
      telerig wires diff A B --ignore '*_TEMP' link:gps --json

    exit code of play: as of `telerig run`. Of diff: 0 equal, 1 different, 2 cannot be compared
    """

    help = "show the wires of a record, play them to a gateway, compare gateways"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
        for name, text, add, act in (
            ("show", "what stands on the wires of a record", _add_show, _show),
            ("play", "play the wires of a record to the gateway", _add_play, _play),
            ("import", "make a record of a receiver's log of NMEA sentences", _add_import, _import),
            ("diff", "compare what two gateways stored", _add_diff, _diff),
        ):
            action = actions.add_parser(name, help=text, description=text)
            add(action)
            action.set_defaults(act=act)

    def run(self, arguments: argparse.Namespace) -> int:
        act: Callable[[argparse.Namespace], int] = arguments.act
        return act(arguments)


# -- show ------------------------------------------------------------------------------------------
def _add_show(parser: argparse.ArgumentParser) -> None:
    _add_record(parser, "record")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _show(arguments: argparse.Namespace) -> int:
    from rig.wires.summary import summaries

    record = _record(arguments.record, arguments.runs)
    found = summaries(record)
    if arguments.json:
        document = {"record": str(record.folder), "wires": [one.document() for one in found]}
        print(json.dumps(document, indent=1))
        return 0
    console = _console()
    if not found:
        console.print(f"{record.folder}: no wires", markup=False)
        return 0
    table = _table("wire", "what", ">from it", ">to it", ">messages", ">/s", "seconds", "plays")
    for one in found:
        table.add_row(
            one.wire,
            one.what + (f"; away {one.gone} times" if one.gone else ""),
            f"{one.to_host_bytes}",
            f"{one.to_device_bytes}",
            f"{one.messages}",
            f"{one.rate_hz:.1f}",
            f"{one.first_s:.3f} to {one.last_s:.3f}",
            "yes" if one.plays else f"no: {one.why}",
        )
    console.print(table)
    return 0


# -- play ------------------------------------------------------------------------------------------
def _add_play(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", metavar="RECORD", help="a folder, its name, or `last`")
    parser.add_argument(
        "--link", nargs="+", default=[], metavar="LINK", help="play these alone (all that can be)"
    )
    parser.add_argument(
        "--mode", choices=("virtual", "paced"), default="virtual", help="which clock (virtual)"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the gateway's own TOML file; its places are replaced (as in the recorded run)",
    )
    parser.add_argument(
        "--answers",
        choices=("order", "time"),
        help="to a request: the recorded answers in their order (virtual), or the one of that "
        "instant (paced)",
    )
    parser.add_argument("--seed", type=seed, metavar="N", help="of the gateway (the record's)")
    parser.add_argument(
        "--twice", action="store_true", help="play it two times and compare the traces"
    )
    parser.add_argument(
        "--ports",
        type=Path,
        metavar="DIR",
        help="no gateway: offer the wires there as ports in wall time, for any client",
    )
    parser.add_argument("--view", action="store_true", help="watch it in the browser")
    parser.add_argument("--port", type=whole(0, 65535), metavar="N", help="of --view")
    add_batch_arguments(parser)


def _play(arguments: argparse.Namespace) -> int:
    from rig.runner.request import Request
    from rig.scenario import load_scenario
    from rig.wires.scenario_file import write_scenario

    answers = arguments.answers or ("order" if arguments.mode == "virtual" else "time")
    if arguments.ports is not None:
        return _offer(arguments)
    if arguments.twice and arguments.mode == "paced":
        raise CompareError("--twice: expected --mode virtual; wall time never repeats itself")
    path = write_scenario(
        _record(arguments.record, arguments.runs),
        arguments.runs / PLAYED_FOLDER,
        links=arguments.link,
        answers=answers,
        config=arguments.config,
        seed=arguments.seed,
    )
    scenario = load_scenario(path)
    request = Request(scenario, scenario.seed, arguments.mode)
    return run_batch([request], arguments, twice=arguments.twice)


def _offer(arguments: argparse.Namespace) -> int:
    from rig.commands.device import on_signals
    from rig.wires.offer import Offer

    record = _record(arguments.record, arguments.runs)
    offer = Offer(record, arguments.ports, links=arguments.link, answers=arguments.answers)
    on_signals(offer.stop)
    offer.run(as_json=arguments.json)
    return 0


# -- import ----------------------------------------------------------------------------------------
def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", type=Path, metavar="LOG", help=".nmea, .txt, .log; .xz, .gz, .bz2")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="of the record; a new one"
    )


def _import(arguments: argparse.Namespace) -> int:
    from rig.wires.nmea_log import record_of_log

    command = shlex.join(
        ["telerig", "wires", "import", str(arguments.log), "--out", str(arguments.out)]
    )
    folder = record_of_log(arguments.log, arguments.out, command=command)
    print(f"record: {folder}; telerig wires play {folder}")
    return 0


# -- diff ------------------------------------------------------------------------------------------
def _add_diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "records",
        nargs="+",
        metavar="RECORD",
        help="reference and new run; with --golden the new one alone",
    )
    parser.add_argument("--golden", type=Path, metavar="FILE", help="the reference (.gz: packed)")
    parser.add_argument("--update", action="store_true", help="write --golden from the run")
    parser.add_argument(
        "--tolerance",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="RPM=1step, SPEED=0.5, 'GPS_*=2%%', time=50ms (none)",
    )
    parser.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        metavar="NAME",
        help="signals or patterns, link:NAME, device:NAME, state",
    )
    for name, what in (("from", "first"), ("to", "last")):
        parser.add_argument(
            f"--{name}",
            dest=f"{name}_s",
            type=instant,
            metavar="TIME",
            help=f"the {what} instant that counts, since the start of the drive (all)",
        )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def _diff(arguments: argparse.Namespace) -> int:
    from rig.wires.diff import diff, read_rules
    from rig.wires.kept import read_golden, write_golden

    rules = read_rules(arguments.tolerance, arguments.ignore, arguments.from_s, arguments.to_s)
    awaited = 1 if arguments.golden else 2
    if len(arguments.records) != awaited or (arguments.update and not arguments.golden):
        raise CompareError(
            "expected two runs, or one run and --golden FILE (with --update to write it), found "
            f"{len(arguments.records)} and {arguments.golden or 'no golden file'}"
        )
    name = arguments.records[-1]
    found = _stored(name, arguments.runs)
    if arguments.update:
        kept = [series for series in found if not rules.ignores(series)]
        write_golden(arguments.golden, kept, f"{name}: {len(kept)} signals")
        print(f"{arguments.golden}: {sum(len(s.rows) for s in kept)} readings")
        return EQUAL
    reference = (
        read_golden(arguments.golden)
        if arguments.golden
        else _stored(arguments.records[0], arguments.runs)
    )
    result = diff(reference, found, rules)
    if arguments.json:
        print(json.dumps(result.document(), indent=1))
    else:
        _print_diff(result, _console())
    return EQUAL if result.equal else DIFFERENT


def _stored(name: str, runs: Path) -> list[Series]:
    from rig.record.errors import RecordError
    from rig.wires.kept import series_of

    record = _record(name, runs)
    if not record.finished:
        raise CompareError(f"{name}: expected a run that came to its end, found one that was cut")
    try:
        series = series_of(record)
    except RecordError as error:
        raise CompareError(str(error)) from error
    if not series:
        raise CompareError(
            f"{name}: expected a run whose gateway stored something, found nothing; "
            "of a capture, compare the runs that play it"
        )
    return series


def _print_diff(result: Diff, console: Console) -> None:
    readings = sum(signal.found for signal in result.signals)
    ignored = f", {len(result.ignored)} ignored" if result.ignored else ""
    if result.equal:
        console.print(f"equal: {len(result.signals)} signals, {readings} readings{ignored}")
        return
    table = _table(
        "device", "signal", ">before", ">now", ">missing", ">extra", ">values", ">worst",
        ">instants", ">worst", ">states",
    )  # fmt: skip
    for one in result.signals:
        if not one.equal:
            counts = (one.reference, one.found, one.missing, one.extra, one.values)
            table.add_row(
                one.device,
                one.signal,
                *map(str, counts),
                f"{one.worst_value:.4g} {one.unit}".strip() if one.values else "",
                str(one.instants),
                f"{one.worst_instant_s:.4g} s" if one.instants else "",
                str(one.states),
            )
    console.print(table)
    first = _table(">second", "device", "signal", "difference", ">before", ">now", "")
    for difference in result.first():
        first.add_row(*_cells(difference))
    console.print(first)
    different = sum(1 for one in result.signals if not one.equal)
    console.print(f"different: {different} of {len(result.signals)} signals{ignored}")


def _cells(one: Difference) -> tuple[str, ...]:
    return (
        f"{one.time_s:.3f}",
        one.device,
        one.signal,
        one.kind,
        "" if one.reference is None else f"{one.reference:.8g}",
        "" if one.found is None else f"{one.found:.8g}",
        one.note,
    )


# -- shared ----------------------------------------------------------------------------------------
def _add_record(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument(name, metavar="RECORD", help="a folder, its name in the runs, or `last`")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are (runs/)"
    )


def _record(name: str, runs: Path) -> RecordReader:
    from rig.record.errors import RecordError
    from rig.record.folders import find_run
    from rig.record.reader import RecordReader

    try:
        return RecordReader(find_run(name, runs))
    except RecordError as error:
        raise CompareError(str(error)) from error


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PLAIN_COLUMNS)


def _table(*columns: str) -> Table:
    """Return an empty table; a column that begins with ">" is one of numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    return table


COMMAND = WiresCommand()
