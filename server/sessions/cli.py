"""The command `telerig sessions`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from server.devices.cli import table
from server.devices.client import DEFAULT_URL, Client
from server.errors import ServerError

_LISTED = 20


class SessionsCommand:
    """List, start and stop the sessions of a running gateway, and show what a car did in them.

    A session is a name for a time: a gateway and its devices have one for each of their runs, and
    you start and stop your own. All readings are stored with or without one.

    It talks to a running gateway. Where that asks for it, set TELERIG_API_SECRET to what the
    gateway has in [api] secret.

    examples:
      telerig sessions                              the newest ones
      telerig sessions list --device esp-1 --state running
      telerig sessions show 7                       way, fuel, times, tops, every signal
      telerig sessions start --name "Lap 1" --driver Ada
      telerig sessions stop
      telerig sessions trips                        found from the readings, newest first
      telerig sessions trips --recompute --device car-1

    exit code: 0 done, 1 the gateway does not answer or refuses, 2 wrong usage
    """

    help = "list sessions and trips, start and stop sessions, show what a car did in them"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument(
            "--url",
            default=argparse.SUPPRESS,
            help=f"of the gateway (TELERIG_URL, else {DEFAULT_URL})",
        )
        common.add_argument(
            "--secret",
            default=argparse.SUPPRESS,
            help="API secret (default: TELERIG_API_SECRET, which other users of this machine "
            "cannot see)",
        )
        common.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the gateway's JSON",
        )
        for action in common._actions:
            parser._add_action(action)
        actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")

        def add(name: str, help: str) -> argparse.ArgumentParser:
            return actions.add_parser(name, help=help, description=help, parents=[common])

        listed = add("list", "the newest sessions (also without an action)")
        trips = add("trips", "the trips that a car made, found from its readings")
        for parser_ in (listed, trips):
            parser_.add_argument("--device", help="only of this one")
            parser_.add_argument("--vin", help="only of this vehicle")
            parser_.add_argument("--limit", type=int, default=_LISTED, help=f"({_LISTED})")
        listed.add_argument("--state", choices=("planned", "running", "ended"))
        listed.add_argument("--kind", choices=("automatic", "manual"))
        trips.add_argument(
            "--recompute", action="store_true", help="find all of a device again (needs --device)"
        )
        add("show", "one session: what the car did, and every signal").add_argument("id", type=int)
        start = add("start", "make a session and start it; where one runs, it goes on")
        for name in ("device", "name", "car", "driver", "notes"):
            start.add_argument(f"--{name}")
        add("stop", "stop the session that runs").add_argument("--device")

    def run(self, args: argparse.Namespace) -> int:
        """Ask the gateway; give the exit code."""
        if args.action == "trips" and args.recompute and not args.device:
            print("telerig sessions: expected --device with --recompute", file=sys.stderr)
            return 2
        url = getattr(args, "url", "") or os.environ.get("TELERIG_URL") or DEFAULT_URL
        secret = getattr(args, "secret", "") or _secret(os.environ)
        try:
            answer = _ask(Client(url, secret, needed=False), args)
        except ServerError as error:
            print(f"telerig sessions: {error}", file=sys.stderr)
            return error.exit_code
        is_json = getattr(args, "json", False)
        print(json.dumps(answer, indent=2) if is_json else _shown(args.action, answer))
        return 0


COMMAND = SessionsCommand()


def _secret(env: Mapping[str, str]) -> str:
    return env.get("TELERIG_API_SECRET") or env.get("API_SECRET_KEY") or ""


def _ask(client: Client, args: argparse.Namespace) -> Any:
    match args.action:
        case "show":
            return client.ask("GET", f"/api/v1/sessions/{args.id}/statistics")
        case "start":
            names = {"device": "device", "name": "name", "car": "car_id", "driver": "driver"}
            names["notes"] = "notes"
            body = {
                field: getattr(args, name)
                for name, field in names.items()
                if getattr(args, name) is not None
            }
            return client.ask("POST", "/api/v1/telemetry/start", body)
        case "stop":
            return client.ask("POST", "/api/v1/telemetry/stop" + _query(args, "device"))
        case "trips" if args.recompute:
            return client.ask("POST", "/api/v1/trips/recompute" + _query(args, "device"))
        case "trips":
            return client.ask("GET", "/api/v1/trips" + _query(args, "device", "vin", "limit"))
        case "list":
            names_ = ("device", "vin", "limit", "state", "kind")
            return client.ask("GET", "/api/v1/sessions" + _query(args, *names_))
    return client.ask("GET", f"/api/v1/sessions?limit={_LISTED}")


def _query(args: argparse.Namespace, *names: str) -> str:
    found = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return f"?{urllib.parse.urlencode(found)}" if found else ""


def _shown(action: str | None, answer: Any) -> str:
    match action:
        case "show":
            return _session(answer)
        case "start" | "stop":
            if answer["session"] is None:
                return f"no session of {answer['device']} runs"
            return f"{answer['status']}\n\n{_sessions([answer['session']])}"
        case "trips":
            return _trips(answer["trips"])
    return _sessions(answer["sessions"])


def _sessions(sessions: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("id", "kind", "state", "device", "vehicle", "started", "lasted", "name", "driver"),
        [
            (
                str(one["id"]),
                one["kind"],
                one["state"] + (f" ({one['closed_how']})" if one["closed_how"] else ""),
                one["device"],
                one["vin"] or "-",
                _when(one["started"]),
                _lasted(one["duration_s"]),
                one["name"] or "-",
                one["driver"] or "-",
            )
            for one in sessions
        ],
    )


def _session(answer: Mapping[str, Any]) -> str:
    drive = answer["drive"]
    lines = [
        ("readings", str(answer["readings"])),
        ("way", _number(drive["distance_m"], 1000, "km", drive["distance_source"])),
        ("moving", _lasted(drive["moving_s"])),
        ("engine", _lasted(drive["engine_s"])),
        ("average", _number(drive["average_kmh"], 1, "km/h", "while moving")),
        ("fastest", _number(drive["max_kmh"], 1, "km/h")),
        ("most revolutions", _number(drive["max_rpm"], 1, "rpm")),
        ("fuel", _number(drive["fuel_l"], 1, "l", drive["fuel_source"])),
        ("consumption", _number(drive["fuel_l_per_100km"], 1, "l/100 km")),
    ]
    signals = [
        (
            one["signal"],
            str(one["count"]),
            *(_number(one[name], 1, "") for name in ("min", "avg", "max")),
            one["unit"],
        )
        for one in answer["signals"]
    ]
    return "\n\n".join(
        (
            _sessions([answer["session"]]),
            table(("figure", "value"), lines),
            table(("signal", "readings", "min", "mean", "max", "unit"), signals),
        )
    )


def _trips(trips: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("id", "device", "vehicle", "started", "lasted", "way", "average", "fastest", "over"),
        [
            (
                str(one["id"]),
                one["device"],
                one["vin"] or "-",
                _when(one["started"]),
                _lasted(one["duration_s"]),
                _number(one["distance_m"], 1000, "km"),
                _number(one["average_kmh"], 1, "km/h"),
                _number(one["max_kmh"], 1, "km/h"),
                "yes" if one["is_over"] else "no",
            )
            for one in trips
        ],
    )


def _when(text: str | None) -> str:
    return "-" if text is None else text[:19].replace("T", " ") + "Z"


def _lasted(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _number(value: float | None, divisor: float, unit: str, note: str | None = None) -> str:
    if value is None:
        return "-"
    text = f"{value / divisor:.6g} {unit}".rstrip()
    return f"{text} ({note})" if note else text
