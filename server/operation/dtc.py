"""The command `telerig dtc`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from server.devices.cli import table
from server.devices.client import ApiError, Client, UsageError, part
from server.errors import ServerError
from server.operation.place import add_place, client_of

WAIT_S = 30
DONE = "done"


class DtcCommand:
    """Read or clear trouble codes: of the gateway's own car, or of the car of a device.

    Clearing changes the car: it resets monitors that an inspection looks at. It asks before, and it
    is refused unless the car says that it stands.

    examples:
      telerig dtc read
      telerig dtc read --device esp-1         a logger with commands, somewhere else
      telerig dtc clear                       asks; --yes for scripts

    exit code: 0 done, 1 refused or no answer, 2 wrong usage, or not confirmed
    """

    help = "read and clear trouble codes"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        common = argparse.ArgumentParser(add_help=False)
        add_place(common)
        common.add_argument("--link", help="which OBD link of the gateway, where there are several")
        common.add_argument("--device", help="a remote device, by its id, instead")
        actions = parser.add_subparsers(
            dest="action", metavar="ACTION", required=True, title="actions"
        )
        actions.add_parser("read", help="show stored, pending, permanent codes", parents=[common])
        clear = actions.add_parser("clear", help="clear the codes", parents=[common])
        clear.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, args: argparse.Namespace) -> int:
        """Ask the gateway; give the exit code."""
        try:
            if args.action == "clear" and not args.yes:
                _confirm(args.device or "the gateway's car")
            client = client_of(args)
            answer = _of_device(client, args) if args.device else _of_link(client, args)
        except ServerError as error:
            print(f"telerig dtc: {error}", file=sys.stderr)
            return error.exit_code
        if args.json:
            print(json.dumps(answer, indent=2))
        elif args.device:
            print(answer.get("detail") or answer["state"])
        else:
            print(_codes(answer) if args.action == "read" else _cleared(answer))
        return 0


COMMAND = DtcCommand()


def _confirm(whose: str) -> None:
    """Ask a person.

    Raises:
        UsageError: nobody is there, or says no.
    """
    if not sys.stdin.isatty():
        raise UsageError("expected --yes, because nobody can be asked here")
    print(
        f"This clears the trouble codes of {whose}, and resets its monitors.\n"
        "Type clear to go on: ",
        end="",
        flush=True,
        file=sys.stderr,
    )
    if sys.stdin.readline().strip() != "clear":
        raise UsageError("not confirmed; nothing was done")


def _of_link(client: Client, args: argparse.Namespace) -> Any:
    query = f"?{urlencode({'link': args.link})}" if args.link else ""
    if args.action == "read":
        return client.ask("GET", f"/api/v1/obd/dtcs{query}")
    return client.ask("POST", f"/api/v1/obd/dtcs/clear{query}", {"confirm": True})


def _of_device(client: Client, args: argparse.Namespace) -> Any:
    """Give a device the command, and wait for its end.

    Raises:
        ApiError: refused, or it was not done.
    """
    if args.link:
        raise UsageError("expected one of --link and --device, found both")
    path = f"/api/v1/devices/{part(args.device)}/commands"
    order = {"name": f"{args.action}_dtcs", "parameters": {}, "timeout_s": WAIT_S}
    command = client.ask("POST", path, order)["command"]
    for _ in range(WAIT_S):
        if command["state"] not in ("queued", "sent", "accepted"):
            break
        command = client.ask("GET", f"{path}/{command['id']}?wait_s=5")["command"]
    if command["state"] != DONE:
        raise ApiError(f"{args.device}: {command['state']}: {command['detail'] or 'no reason'}")
    return command


def _codes(answer: Mapping[str, Any]) -> str:
    head = f"link {answer['link']}, vehicle {answer['vin'] or 'unknown'}"
    rows = [
        (code, kind, ecu)
        for kind in ("stored", "pending", "permanent")
        for ecu, codes in answer["codes"][kind].items()
        for code in codes
    ]
    if not rows:
        return f"{head}: no trouble codes"
    return f"{head}: {answer['count']} codes\n{table(('code', 'kind', 'ECU'), rows)}"


def _cleared(answer: Mapping[str, Any]) -> str:
    lines = [f"cleared by: {', '.join(answer['cleared']) or 'no ECU'}"]
    lines += [f"refused by {ecu}: {why}" for ecu, why in answer["refused"].items()]
    left = {code for codes in answer["left"].values() for found in codes.values() for code in found}
    lines.append(f"left: {', '.join(sorted(left)) or 'none'}")
    return "\n".join(lines)
