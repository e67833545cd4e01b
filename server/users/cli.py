"""The commands `telerig users` and `telerig create-user`."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from server.devices.cli import table
from server.devices.client import DEFAULT_URL, Client, UsageError, part
from server.errors import ServerError

ROLES = ("viewer", "operator", "admin")
EVERYTHING = "all"
PASSWORD_VARIABLE = "TELERIG_PASSWORD"


class UsersCommand:
    """Make the people who may use a gateway, and say what they may.

    With TELERIG_API_SECRET (or --secret) it talks to a running gateway; without, or with --direct,
    it works on the gateway's database itself: the first admin needs no gateway that runs. Which
    database: that of --config FILE, of TELERIG_DATABASE_URL, or the embedded one.

    A password is asked for; without a terminal it is read from TELERIG_PASSWORD, or from one line
    of standard input. Command lines are no place for passwords: others can see them.

    examples:
      telerig users create ada --role admin
      telerig users create bob --role viewer --scope car-1,car-2   he sees those two and no others
      telerig users list
      telerig users role bob operator
      telerig users password ada                  and end all her sessions
      telerig users disable bob                   from the next request on; enable brings him back

    exit code: 0 done, 1 the gateway or database does not answer or refuses, 2 wrong usage
    """

    help = "make the users of a gateway, change their roles and passwords"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        common = argparse.ArgumentParser(add_help=False)
        add_place(common)
        actions = parser.add_subparsers(
            dest="action", metavar="ACTION", required=True, title="actions"
        )

        def action(name: str, help: str) -> argparse.ArgumentParser:
            added = actions.add_parser(name, help=help, description=help, parents=[common])
            if name != "list":
                added.add_argument("name", help="of the user")
            return added

        action("list", "the users")
        create = action("create", "make a user; the password is asked for")
        create.add_argument("--role", choices=ROLES, default="viewer", help="(viewer)")
        create.add_argument("--email", default="", help="for people")
        create.add_argument(
            "--scope", type=scope, help="devices that may be seen: ID,ID,…; default: all of them"
        )
        role = action("role", "give a user another role, or other devices to see")
        role.add_argument("role", choices=ROLES)
        role.add_argument(
            "--scope",
            type=scope,
            default=argparse.SUPPRESS,
            help=f"ID,ID,…, or {EVERYTHING!r}; default: as it was",
        )
        action("password", "give a user another password, and end all sessions")
        action("disable", "let a user in no more, from the next request on")
        action("enable", "let a user in again")

    def run(self, args: argparse.Namespace) -> int:
        """Do it; give the exit code."""
        return answered("users", args, _asked(args))


class CreateUserCommand:
    """Make a user, as an older system had it: the first one an admin, the others viewers.

    The password stands in the command line, where other users of this machine can see it. Better:
    telerig users create NAME
    """

    help = "make a user: NAME EMAIL PASSWORD (better: telerig users create)"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("password", metavar="PASSWORD")
        parser.add_argument("--role", choices=ROLES, help="(the first: admin, others: viewer)")
        add_place(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Make the user; give the exit code."""
        args.action = "create"
        body = {"name": args.name, "email": args.email, "password": args.password}
        return answered("create-user", args, {**body, "role": args.role})


COMMAND = UsersCommand()
CREATE_USER = CreateUserCommand()


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare where the users are."""
    parser.add_argument(
        "--url",
        default=os.environ.get("TELERIG_URL", DEFAULT_URL),
        help=f"of the gateway (TELERIG_URL, else {DEFAULT_URL})",
    )
    parser.add_argument("--secret", help="API secret (default: TELERIG_API_SECRET)")
    parser.add_argument(
        "--direct", action="store_true", help="work on the database, not through a gateway"
    )
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="configuration that names the database"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def scope(text: str) -> list[str] | None:
    """Read a list of devices; None for all."""
    return None if text == EVERYTHING else [one for one in text.split(",") if one]


def answered(
    command: str, args: argparse.Namespace, wanted: Mapping[str, Any] | ServerError
) -> int:
    """Do what is wanted, print what came of it, and give the exit code."""
    try:
        if isinstance(wanted, ServerError):
            raise wanted
        secret = args.secret or os.environ.get("TELERIG_API_SECRET") or ""
        if secret and not args.direct and args.config is None:
            answer = _over_api(Client(args.url, secret), args.action, wanted)
        else:
            from server.users.direct import on_database

            answer = on_database(args.config, os.environ, args.action, wanted)
    except ServerError as error:
        print(f"telerig {command}: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(answer, indent=2) if args.json else _shown(args.action, answer))
    return 0


def _asked(args: argparse.Namespace) -> Mapping[str, Any] | ServerError:
    """Give what an action wants, with the password that is asked for."""
    wanted: dict[str, Any] = {} if args.action == "list" else {"name": args.name}
    try:
        match args.action:
            case "create":
                wanted |= {"role": args.role, "email": args.email, "scope": args.scope}
                wanted["password"] = _password(args.name)
            case "role":
                wanted["role"] = args.role
                if "scope" in args:
                    wanted["scope"] = args.scope
            case "password":
                wanted["password"] = _password(args.name)
            case "disable" | "enable":
                wanted["active"] = args.action == "enable"
    except UsageError as error:
        return error
    return wanted


def _password(name: str) -> str:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise UsageError(f"expected a password in {PASSWORD_VARIABLE} or on standard input")
        return line
    password = getpass.getpass(f"password of {name}: ")
    if getpass.getpass("again: ") != password:
        raise UsageError("expected the same password twice, found two")
    return password


def _over_api(client: Client, action: str, wanted: Mapping[str, Any]) -> Any:
    if action == "list":
        return client.ask("GET", "/api/v1/users")
    if action == "create":
        role = wanted["role"]
        if role is None:
            role = "viewer" if client.ask("GET", "/api/v1/users")["users"] else "admin"
        return client.ask("POST", "/api/v1/users", {**wanted, "role": role})
    changes = {key: value for key, value in wanted.items() if key != "name"}
    return client.ask("PATCH", f"/api/v1/users/{part(wanted['name'])}", changes)


def _shown(action: str, answer: Mapping[str, Any]) -> str:
    if action == "list":
        return _users(answer["users"])
    said = {"create": "made", "password": "password set, sessions ended"}
    return f"{answer['user']['name']}: {said.get(action, 'changed')}\n\n{_users([answer['user']])}"


def _users(users: Sequence[Mapping[str, Any]]) -> str:
    return table(
        ("name", "role", "active", "sees", "e-mail", "last sign-in"),
        [
            (
                user["name"],
                user["role"],
                "yes" if user["active"] else "no",
                "everything" if user["scope"] is None else ", ".join(user["scope"]) or "nothing",
                user["email"] or "-",
                _when(user["last_login_ns"]),
            )
            for user in users
        ],
    )


def _when(instant_ns: int | None) -> str:
    if instant_ns is None:
        return "-"
    return datetime.fromtimestamp(instant_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
