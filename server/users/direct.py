"""Users on the database itself, without a gateway: the first admin, and a forgotten password.

Whoever can write the database is asked for nothing more. A gateway that runs on it sees what was
changed at once (`server.instances.changes`).
"""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from server.answers import Refusal
from server.api.role import Role
from server.clock import SystemClock
from server.config import load_config
from server.errors import EmbeddedPostgresError, ServerError
from server.store.connection import SETTINGS, connect
from server.store.direct import database_of
from server.store.migrate import migrate
from server.users.accounts import Changes
from server.users.config import UsersConfig
from server.users.service import Users


class UsersRefused(ServerError):  # noqa: N818 (named for what happened)
    """What was wanted of the users is not done."""


def on_database(
    config: Path | None, env: Mapping[str, str], action: str, wanted: Mapping[str, Any]
) -> Any:
    """Do an action of `telerig users` on the database of a configuration.

    Raises:
        ServerError: the database cannot be had, or it is refused.
    """
    try:
        with database_of(load_config(config, env), env) as url:
            return asyncio.run(_do(url, action, wanted))
    except EmbeddedPostgresError as error:
        hint = "where a gateway runs on it, set TELERIG_API_SECRET to ask that gateway"
        raise UsersRefused(f"{error}; {hint}") from error


async def _do(url: str, action: str, wanted: Mapping[str, Any]) -> Any:
    clock = SystemClock()
    connection = await connect(url)
    try:
        await migrate(connection, clock)
    finally:
        await connection.close()
    async with asyncpg.create_pool(url, min_size=0, max_size=1, server_settings=SETTINGS) as pool:
        users = Users(pool, UsersConfig(), clock)
        try:
            answer = await _asked(users, action, wanted)
        except Refusal as refusal:
            raise UsersRefused(str(refusal)) from None
        finally:
            await users.close()
    return msgspec.to_builtins(answer)


async def _asked(users: Users, action: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    accounts = users.accounts
    if action == "list":
        return {"users": await accounts.all()}
    name = wanted["name"]
    if action == "create":
        role = wanted["role"] or ("admin" if await accounts.is_empty() else "viewer")
        made = await accounts.create(
            name,
            wanted["password"],
            Role(role),
            email=wanted["email"],
            scope=wanted.get("scope"),
        )
    elif action == "password":
        found = await accounts.find(name)
        await accounts.set_password(found, wanted["password"])
        made = await accounts.find(name)
    else:
        kept = {key: value for key, value in wanted.items() if key != "name"}
        made = await accounts.change(name, msgspec.convert(kept, Changes))
    users.audit.note(_who(), "database", "", f"telerig users {action}", name, "done")
    return {"user": made}


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, in a container
        return str(os.getuid())
