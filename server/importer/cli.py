"""The command `telerig import`."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from server.answers import iso
from server.devices.cli import table as lines
from server.devices.client import DEFAULT_URL, Client
from server.devices.key import DEVICE_ID
from server.errors import ServerError
from server.importer.errors import ImportRefused
from server.importer.plan import READABLE, Plan, described, make_plan, parse_rules
from server.importer.sending import Result, Sender
from server.importer.tables import open_file, tables_of


class ImportCommand:
    """Bring the readings of an older system's SQLite database into a running gateway.

    Tables are understood by the names of their columns: readings as rows of names and values, as
    columns, or as JSON; sessions with their names and drivers. Look first with --dry-run: it shows
    what becomes of each signal, and changes nothing. The same file again adds nothing twice, so an
    import that broke off is simply started again, and one of a file that has grown adds the rest.

    examples:
      telerig import telemetry.db --dry-run
      telerig import telemetry.db --device car-1
      telerig import telemetry.db --device car-1 --map "oil_t=OIL_TEMP:F" --map "mood=-"
      telerig import telemetry.db --device car-1 --skip-unknown

    Set TELERIG_API_SECRET to what the gateway has in [api] secret.
    exit code: 0 done, 1 the gateway does not answer or refuses, 2 wrong usage, or signals that are
    not known
    """

    help = "bring an older system's SQLite database into the gateway"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("file", type=Path, metavar="FILE", help="SQLite database; not changed")
        parser.add_argument(
            "--device", help="whose readings these are (by default the file says it)"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be done, and do nothing"
        )
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="NAME=SIGNAL[:UNIT]",
            help="what a name of the file stands for, and its unit; NAME=- leaves it out",
        )
        parser.add_argument(
            "--skip-unknown", action="store_true", help="leave out what is not known"
        )
        parser.add_argument(
            "--tables", default="", metavar="A,B", help="read these (by default: the readings)"
        )
        parser.add_argument(
            "--url",
            default=os.environ.get("TELERIG_URL", DEFAULT_URL),
            help=f"of the gateway (TELERIG_URL, else {DEFAULT_URL})",
        )
        parser.add_argument("--secret", help="API secret (default: TELERIG_API_SECRET)")
        parser.add_argument("--json", action="store_true", help="say everything as JSON")

    def run(self, args: argparse.Namespace) -> int:
        """Import; give the exit code."""
        try:
            return _import(args)
        except sqlite3.Error as error:
            print(f"telerig import: {args.file} cannot be read: {error}", file=sys.stderr)
            return 2
        except ServerError as error:
            print(f"telerig import: {error}", file=sys.stderr)
            return error.exit_code


COMMAND = ImportCommand()


def _import(args: argparse.Namespace) -> int:
    if args.device is not None and not DEVICE_ID.fullmatch(args.device):
        expected = "1 to 64 letters, digits, '.', '_' or '-'"
        raise ImportRefused(f"--device: expected {expected}, found {args.device!r}")
    rules = parse_rules(args.map)
    wanted = [name for name in args.tables.split(",") if name]
    with closing(open_file(args.file)) as connection:
        tables = tables_of(connection)
        if args.dry_run and args.device is None:
            args.device = _any_device(tables)
        plan = make_plan(connection, tables, rules, args.device, wanted)
        if args.dry_run:
            print(json.dumps(plan_as_json(plan), indent=2) if args.json else shown(plan))
            return 0
        if plan.unknown and not args.skip_unknown:
            names = ", ".join(str(mapped.channel) for mapped in plan.unknown[:10])
            raise ImportRefused(
                f"no signal is known for {names}: name it with --map NAME=SIGNAL, leave it out with"
                " --map NAME=-, or all of them with --skip-unknown"
            )
        client = Client(args.url, args.secret or os.environ.get("TELERIG_API_SECRET", ""))
        total = sum(m.readings for m in plan.channels.values() if m.signal)
        sender = Sender(client, _Progress(total).show)
        try:
            result = sender.send(connection, plan, args.device)
        finally:
            if sys.stderr.isatty():
                print(file=sys.stderr)
    _say(result, plan, args.json)
    return 0


def _any_device(tables: list[Any]) -> str | None:
    """A file that does not say whose readings it has can be looked at all the same."""
    said = any(table.device for table in tables if table.kind in READABLE)
    return None if said else "(--device)"


def _say(result: Result, plan: Plan, as_json: bool) -> None:
    left_out = sum(mapped.readings for mapped in plan.unknown)
    if as_json:
        told = {
            "accepted": result.accepted,
            "duplicates": result.duplicates,
            "rejected": result.rejected,
            "left_out": left_out,
            "sessions": result.sessions,
            "examples": result.examples,
        }
        print(json.dumps(told, indent=2))
        return
    print(
        f"{result.accepted} readings imported, {result.duplicates} were there, "
        f"{result.rejected} refused, {left_out} left out; {result.sessions} sessions"
    )
    for example in result.examples:
        print(f"  refused: {example}")


def shown(plan: Plan) -> str:
    """Say what would be done."""
    tables = lines(
        ("table", "rows", "is", "read"),
        [
            (
                one.name,
                str(one.rows),
                one.kind.value + (f": {one.why}" if one.why else ""),
                "yes" if one.name in plan.chosen else "no",
            )
            for one in plan.tables
        ],
    )
    channels = lines(
        ("in the file", "unit", "readings", "from", "to", "becomes"),
        [
            (
                str(m.channel),
                m.channel.unit or "-",
                str(m.readings) + (f" (+{m.texts} texts)" if m.texts else ""),
                f"{m.minimum:g}" if m.readings else "-",
                f"{m.maximum:g}" if m.readings else "-",
                described(m),
            )
            for _, m in sorted(plan.channels.items(), key=lambda item: str(item[0]))
        ],
    )
    spans = list(plan.spans.values())
    sessions = lines(
        ("session", "name", "device", "from", "to", "readings"),
        [
            (
                s.session or "-",
                s.name or "-",
                s.device,
                iso(s.first_ns),
                iso(s.last_ns),
                str(s.readings),
            )
            for s in spans[:50]
        ],
    )
    more = f"\n… and {len(spans) - 50} more sessions" if len(spans) > 50 else ""
    lost = f"\n\n{plan.no_instant} rows have no instant that can be read" if plan.no_instant else ""
    return f"{tables}\n\n{channels}\n\n{sessions}{more}{lost}"


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Give the plan as JSON has it."""
    return {
        "tables": [
            {"name": t.name, "rows": t.rows, "is": t.kind.value, "read": t.name in plan.chosen}
            for t in plan.tables
        ],
        "channels": [
            {
                "name": str(m.channel),
                "unit": m.channel.unit,
                "readings": m.readings,
                "texts": m.texts,
                "becomes": described(m),
                "known": bool(m.signal),
            }
            for m in plan.channels.values()
        ],
        "sessions": [
            {
                "session": s.session,
                "name": s.name,
                "device": s.device,
                "start": iso(s.first_ns),
                "end": iso(s.last_ns),
                "readings": s.readings,
            }
            for s in plan.spans.values()
        ],
        "rows_without_instant": plan.no_instant,
    }


class _Progress:
    """A line on the terminal."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total)

    def show(self, done: int) -> None:
        if sys.stderr.isatty():
            share = 100 * done / self._total
            print(f"\r{done} of {self._total} readings, {share:.0f} % ", end="", file=sys.stderr)
