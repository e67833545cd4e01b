"""The command `telerig instances`."""

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

CLOCK_WARN_S = 1.0


class InstancesCommand:
    """Show which gateways share a database, who owns how much, and how their bus is.

    It asks a running gateway, whichever, with its API secret: set TELERIG_API_SECRET to what the
    gateway has in [api] secret. How gateways work together stands in their configuration,
    [instances].

    examples:
      telerig instances              a line for each gateway that lives
      telerig instances --json

    exit code: 0 all is well, 1 something waits for a person or the gateway does not answer, 2 wrong
    usage
    """

    help = "show the gateways on one database, their shards and their bus"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "--url",
            default=os.environ.get("TELERIG_URL", DEFAULT_URL),
            help=f"of a gateway (TELERIG_URL, else {DEFAULT_URL})",
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
            status = Client(arguments.url, secret).ask("GET", "/api/v1/instances")
        except ServerError as error:
            print(f"telerig instances: {error}", file=sys.stderr)
            return error.exit_code
        print(json.dumps(status, indent=2) if arguments.json else shown(status))
        return 1 if troubles(status) else 0


def troubles(status: Mapping[str, Any]) -> list[str]:
    """Give what waits for a person, in words."""
    found = []
    if status["failing"]:
        found.append(f"{status['name']}: leases cannot be renewed: {status['failing']}")
    found += [f"{one['name']}: bus: {one['failing']}" for one in status["living"] if one["failing"]]
    ahead_s = status["clock_ahead_s"]
    if ahead_s is not None and abs(ahead_s) > CLOCK_WARN_S:
        how = "ahead of" if ahead_s > 0 else "behind"
        found.append(
            f"{status['name']}: the database's clock is {abs(ahead_s):.1f} s {how} this gateway's: "
            "synchronise both machines"
        )
    if not any(one["is_store_owner"] for one in (*status["living"], *status["compactors"])):
        found.append(
            "nobody compacts: start telerig compact, or have a gateway do it "
            '([store] compactor = "gateway")'
        )
    if status["feed"]["failing"]:
        found.append(f"{status['name']}: live stream: {status['feed']['failing']}")
    return found


def shown(status: Mapping[str, Any]) -> str:
    """Give the status as lines."""
    if status["is_alone"]:
        return f"{status['name']} is alone (no [instances] in its configuration)"
    members = (*status["living"], *status["compactors"])
    newest_s = max((one["seen_s"] for one in members), default=0.0)
    heads = ("name", "device", "url", "shards", "store", "up", "bus")
    rows = [
        (
            f"{one['name']} *" if one["name"] == status["name"] else one["name"],
            one["device"] or "(compacts)",
            one["url"],
            str(one["shards"]),
            "yes" if one["is_store_owner"] else "",
            _up(newest_s - one["began_s"]),
            "away" if one["failing"] else one["bus"],
        )
        for one in members
    ]
    bus, feed = status["bus"], status["feed"]
    place = f" at {bus['place']}" if bus["kind"] == "nats" else ""
    return "\n".join(
        [
            table(heads, rows),
            f"bus of {status['name']}: {bus['kind']}{place}, {bus['sent']} sent, "
            f"{bus['received']} received, {bus['dropped']} dropped, {bus['gaps']} gaps",
            f"live stream: {feed['delivered']} commits, {feed['repaired']} of them read from the "
            f"database, {feed['waiting']} waiting, {feed['skipped']} skipped",
            *troubles(status),
        ]
    )


def _up(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


COMMAND = InstancesCommand()
