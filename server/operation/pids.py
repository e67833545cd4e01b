"""The command `telerig pids`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from server.devices.cli import table
from server.errors import ServerError
from server.operation.place import add_place, client_of


class PidsCommand:
    """Show what the car can be asked: its PIDs, who answers them, the newest values.

    A running gateway asks the car through its OBD link, between two questions of the link's plan.

    examples:
      telerig pids
      telerig pids --missing                  those that the plan does not ask for yet
      telerig pids --json | jq -r '.pids[].name'

    exit code: 0 done, 1 the gateway or the car does not answer, 2 wrong usage
    """

    help = "show which PIDs the car has"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        add_place(parser)
        parser.add_argument("--link", help="which OBD link, where there are several")
        parser.add_argument("--missing", action="store_true", help="those that no plan asks for")

    def run(self, args: argparse.Namespace) -> int:
        """Ask the gateway; give the exit code."""
        query = f"?{urlencode({'link': args.link})}" if args.link else ""
        try:
            answer = client_of(args).ask("GET", f"/api/v1/obd/pids{query}")
        except ServerError as error:
            print(f"telerig pids: {error}", file=sys.stderr)
            return error.exit_code
        if args.missing:
            answer["pids"] = [pid for pid in answer["pids"] if not pid["planned"]]
        print(json.dumps(answer, indent=2) if args.json else _shown(answer))
        return 0


COMMAND = PidsCommand()


def _shown(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            pid["pid"],
            pid["name"] or pid["path"] or "-",
            "-" if pid["value"] is None else f"{pid['value']:g} {pid['unit']}".rstrip(),
            "yes" if pid["planned"] else "no",
            ", ".join(pid["ecus"]),
        )
        for pid in answer["pids"]
    ]
    head = f"link {answer['link']}, vehicle {answer['vin'] or 'unknown'}: {len(rows)} PIDs"
    return f"{head}\n{table(('pid', 'signal', 'value', 'planned', 'ECUs'), rows)}"
