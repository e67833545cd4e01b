"""The command `telerig forward`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from server.devices.cli import table
from server.devices.client import DEFAULT_URL, Client
from server.errors import ServerError


class ForwardCommand:
    """Show how far forwarding to another gateway has come.

    It asks a running gateway, with its API secret: set TELERIG_API_SECRET to what the gateway has
    in [api] secret. What is forwarded, and where to, stands in its configuration, [forward].

    examples:
      telerig forward              depth, age and counts of each device's queue
      telerig forward --json

    exit code: 0 all goes on, 1 something waits for a person or the gateway does not answer, 2 wrong
    usage
    """

    help = "show how far forwarding to another gateway has come"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--url",
            default=os.environ.get("TELERIG_URL", DEFAULT_URL),
            help=f"of the gateway (TELERIG_URL, else {DEFAULT_URL})",
        )
        parser.add_argument(
            "--secret",
            help="API secret (default: TELERIG_API_SECRET, which other users of this machine "
            "cannot see)",
        )
        parser.add_argument("--json", action="store_true", help="print the gateway's JSON")

    def run(self, arguments: argparse.Namespace) -> int:
        """Ask and print."""
        secret = arguments.secret or os.environ.get("TELERIG_API_SECRET", "")
        try:
            status = Client(arguments.url, secret).ask("GET", "/api/v1/forward")
        except ServerError as error:
            print(f"telerig forward: {error}", file=sys.stderr)
            return error.exit_code
        print(json.dumps(status, indent=2) if arguments.json else shown(status))
        return 1 if any(one["state"] in ("refused", "behind") for one in status["streams"]) else 0


def shown(status: Mapping[str, Any]) -> str:
    """Give the status as lines."""
    if not status["streams"]:
        return "nothing is forwarded ([forward] url)"
    lines = [f"to {status['url']}"]
    heads = ("device", "state", "waiting", "bytes", "oldest", "sent", "stored", "known", "refused")
    rows = [
        (
            one["device"],
            one["state"],
            str(one["readings"]),
            str(one["bytes"]),
            "-" if one["oldest_age_s"] is None else f"{one['oldest_age_s']:.0f} s",
            str(one["sent"]),
            str(one["stored"]),
            str(one["duplicates"]),
            str(one["refused"]),
        )
        for one in status["streams"]
    ]
    lines.append(table(heads, rows))
    for one in status["streams"]:
        if one["reason"]:
            again = "" if one["next_try_s"] is None else f" (again in {one['next_try_s']:.0f} s)"
            lines.append(f"{one['device']}: {one['reason']}{again}")
        if one["refusal"]:
            lines.append(f"{one['device']}: last refused: {one['refusal']}")
        lost = one["dropped"] + one["missed"]
        if lost:
            lines.append(
                f"{one['device']}: {one['dropped']} readings dropped for want of room, "
                f"{one['missed']} never queued"
            )
    return "\n".join(lines)


COMMAND = ForwardCommand()
