"""The command `telerig devices`."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from server.devices.client import DEFAULT_URL, Client, UsageError, part
from server.errors import ServerError

FOREVER = "forever"
WIDEST = 60
"""Characters of what a device says, or is told, in a table; a status has hundreds."""


class DevicesCommand:
    """Register the devices that may send to a gateway, and rotate or revoke their keys.

    It talks to a running gateway, with its API secret: set TELERIG_API_SECRET to what the gateway
    has in [api] secret. A key is shown once, when it is made; the gateway keeps only its hash.

    examples:
      telerig devices register esp-1 --name "Ada's car"
      telerig devices list
      telerig devices show esp-1                   its keys, and when each was last used
      telerig devices rotate esp-1                 a new key; the old one works for a day more
      telerig devices rotate esp-1 --overlap 0     a key has leaked: only the new one works
      telerig devices revoke esp-1 3               end key 3 (ids: telerig devices show esp-1)
      telerig devices deactivate esp-1             end the device; its readings stay
      telerig devices command esp-1 set_rates '{"RPM": 10}'
      telerig devices commands esp-1               what was commanded, and what came of it

    exit code: 0 done, 1 the gateway does not answer or refuses, 2 wrong usage
    """

    help = "register devices, rotate and revoke their keys, command them"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        common = argparse.ArgumentParser(add_help=False)
        common.add_argument(
            "--url",
            default=os.environ.get("TELERIG_URL", DEFAULT_URL),
            help=f"of the gateway (TELERIG_URL, else {DEFAULT_URL})",
        )
        common.add_argument(
            "--secret",
            help="API secret (default: TELERIG_API_SECRET, which other users of this machine "
            "cannot see)",
        )
        common.add_argument("--json", action="store_true", help="print the gateway's JSON")
        actions = parser.add_subparsers(
            dest="action", metavar="ACTION", required=True, title="actions"
        )

        def action(name: str, help: str) -> argparse.ArgumentParser:
            added = actions.add_parser(name, help=help, description=help, parents=[common])
            if name != "list":
                added.add_argument("device", help="id of the device")
            return added

        register = action("register", "add a device and show its key, this once")
        register.add_argument("--name", default="", help="for people (the id)")
        register.add_argument("--vin", help="vehicle; devices that know it say it themselves")
        action("list", "the devices").add_argument(
            "--all", action="store_true", help="deactivated ones too"
        )
        action("show", "one device and its keys")
        action("rotate", "give a device a new key and show it, this once").add_argument(
            "--overlap",
            type=_overlap,
            default=argparse.SUPPRESS,
            metavar="SECONDS",
            help=f"how long the key before still works (86400); 0: not at all; {FOREVER!r}",
        )
        action("revoke", "end one key at once").add_argument("key", type=int, help="id of the key")
        action("deactivate", "end a device and all its keys; its readings stay")
        command = action("command", "give a device a command")
        command.add_argument("name", help="of the command, as the device's templates have it")
        command.add_argument("parameters", nargs="?", default="{}", help="JSON object ({})")
        command.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="(30)")
        action("commands", "what a device was commanded, the newest first")

    def run(self, args: argparse.Namespace) -> int:
        """Ask the gateway; give the exit code."""
        try:
            client = Client(args.url, args.secret or _secret(os.environ))
            answer = _ask(client, args)
        except ServerError as error:
            print(f"telerig devices: {error}", file=sys.stderr)
            return error.exit_code
        print(json.dumps(answer, indent=2) if args.json else _shown(args.action, answer))
        return 0


COMMAND = DevicesCommand()


def _secret(env: Mapping[str, str]) -> str:
    return env.get("TELERIG_API_SECRET") or env.get("API_SECRET_KEY") or ""


def _overlap(text: str) -> float | None:
    if text == FOREVER:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds from 0, or {FOREVER!r}; found {text!r}")
    return seconds


def _ask(client: Client, args: argparse.Namespace) -> Any:
    if args.action == "list":
        return client.ask("GET", "/api/v1/devices" + ("?all=true" if args.all else ""))
    if args.action == "register":
        vin = {"vin": args.vin} if args.vin else {}
        body = {"id": args.device, "name": args.name, **vin}
        return client.ask("POST", "/api/v1/devices", body)
    one = f"/api/v1/devices/{part(args.device)}"
    match args.action:
        case "show":
            return client.ask("GET", one)
        case "rotate":
            overlap = {"overlap_s": args.overlap} if "overlap" in args else {}
            return client.ask("POST", f"{one}/keys", overlap)
        case "revoke":
            return client.ask("DELETE", f"{one}/keys/{args.key}")
        case "command":
            body = {
                "name": args.name,
                "parameters": _parameters(args.parameters),
                "timeout_s": args.timeout,
            }
            return client.ask("POST", f"{one}/commands", body)
        case "commands":
            return client.ask("GET", f"{one}/commands")
    return client.ask("DELETE", one)


def _parameters(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"expected parameters as a JSON object, found {error}") from None


def _shown(action: str, answer: Any) -> str:
    match action:
        case "list":
            return _devices(answer["devices"])
        case "show":
            parts = [_devices([answer["device"]]), _keys(answer["keys"])]
            if answer.get("refused"):
                parts.append(_refused(answer["refused"]))
            return "\n\n".join(parts)
        case "revoke":
            return _keys(answer["keys"])
        case "register" | "rotate":
            return f"key {answer['key_id']}, shown this once:\n{answer['key']}"
        case "command":
            return _commands([answer["command"]])
        case "commands":
            return _commands(answer["commands"])
    return f"{answer['device']['id']} is deactivated"


def _devices(devices: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("id", "name", "vin", "active", "registered"),
        [
            (d["id"], d["name"], d["vin"] or "-", _yes(d["active"]), _when(d["registered_ns"]))
            for d in devices
        ],
    )


def _keys(keys: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("key", "live", "made", "expires", "revoked", "last used"),
        [
            (
                str(key["id"]),
                _yes(key["live"]),
                *(_when(key[f"{what}_ns"]) for what in ("made", "expires", "revoked", "last_used")),
            )
            for key in keys
        ],
    )


def _refused(refused: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("refused requests", "count", "last"),
        [(one["reason"], str(one["count"]), _when(one["last_ns"])) for one in refused],
    )


def _commands(commands: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("command", "name", "state", "queued", "parameters", "detail"),
        [
            (
                str(command["id"]),
                command["name"],
                command["state"] + (" (late)" if command["late"] else ""),
                _when(command["queued_ns"]),
                _cut(json.dumps(command["parameters"])),
                _cut(command["detail"] or "-"),
            )
            for command in commands
        ],
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give lines of columns that are as wide as their widest text; no control characters."""
    lines = [heads, *rows]
    clean = [
        ["".join(c if c.isprintable() else "?" for c in cell) for cell in line] for line in lines
    ]
    widths = [max(len(line[column]) for line in clean) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in clean
    )


def _cut(text: str) -> str:
    """Keep a line of a table short; --json has all of it."""
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _when(instant_ns: int | None) -> str:
    if instant_ns is None:
        return "-"
    return datetime.fromtimestamp(instant_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
