"""One PostgreSQL server for many runs, and a fresh database for each.

Where there are many runs, their databases are copies of one that `telerig migrate` has prepared:
a gateway that finds its schema there saves the server 0.1 s of CPU time. The first runs get empty
ones, so what a gateway does at its very first start goes on being tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import threading
from typing import Any
from urllib.parse import urlsplit

from rig.errors import RigError
from server.store.shown_url import shown

URL_VARIABLE = "TELERIG_DATABASE_URL"
CONNECT_TIMEOUT_S = 10.0
MIGRATE_TIMEOUT_S = 60.0
EMPTY_ONES = 2  # databases before a template is worth its making
# The faster way where its checkpoint costs nothing; PostgreSQL 15 was the first to have a choice.
MAY_COPY_FILES = """
    SELECT current_setting('fsync') = 'off' AND current_setting('server_version_num')::int >= 150000
"""
SETTINGS_VARIABLES = (
    "TELERIG_"  # the gateway's settings; for `telerig migrate` the URL alone counts
)


class DatabaseServerError(RigError):
    """The database server cannot be started, does not answer, or refuses."""


class Databases:
    """Hands out databases without a row; the server is started when the first one is asked for.

    `TELERIG_DATABASE_URL` names another server: its user must be allowed to create databases. The
    embedded server does not sync to disk: a run's database does not outlive the run.
    """

    def __init__(self) -> None:
        self._embedded: Any = None
        self._server_url = os.environ.get(URL_VARIABLE, "")
        self._lock = threading.Lock()
        self._count = 0
        self._template = ""
        self._copy_clause = ""

    def fresh(self) -> str:
        """Create a database that no gateway has used and return its URL.

        Raises:
            DatabaseServerError: the server cannot be started or reached, or refuses.
        """
        with self._lock:
            if not self._server_url:
                self._server_url = self._start_embedded()
            self._count += 1
            if self._count == EMPTY_ONES + 1:
                self._make_template()
        name = _new_name()
        self._run(f"CREATE DATABASE {name}{self._copy_clause}")
        return with_database(self._server_url, name)

    def drop(self, url: str) -> None:
        """Remove a database that `fresh` made.

        Raises:
            DatabaseServerError: the server does not answer, or refuses.
        """
        name = urlsplit(url).path.lstrip("/")
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def close(self) -> None:
        """Stop the server if it is ours."""
        with self._lock:
            if self._embedded is not None:
                self._embedded.stop()
                self._embedded = None
                self._server_url = ""
            elif self._template:
                with contextlib.suppress(DatabaseServerError):  # it has gone, and all with it
                    self._run(f"DROP DATABASE IF EXISTS {self._template} WITH (FORCE)")
            self._template = self._copy_clause = ""
            self._count = 0

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_embedded(self) -> str:
        from server.errors import ServerError
        from server.store.embedded import EmbeddedPostgres

        embedded = EmbeddedPostgres(durable=False)
        try:
            url = embedded.start()
        except ServerError as error:
            raise DatabaseServerError(str(error)) from error
        self._embedded = embedded
        return url

    def _make_template(self) -> None:
        """Prepare a database by the command of production; where that fails, go on without."""
        template = _new_name()
        self._run(f"CREATE DATABASE {template}")
        self._template = template
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(SETTINGS_VARIABLES)
        }
        environment[URL_VARIABLE] = with_database(self._server_url, template)
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [sys.executable, "-m", "rig.cli", "migrate"],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=MIGRATE_TIMEOUT_S,
                check=True,
            )
            self._copy_clause = f" TEMPLATE {template}"
            if self._run(MAY_COPY_FILES):
                self._copy_clause += " STRATEGY FILE_COPY"

    def _run(self, statement: str) -> Any:
        """Return what the statement says first."""
        import asyncpg

        try:
            return asyncio.run(_execute(self._server_url, statement))
        # ValueError: what is no URL at all.
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            found = " ".join(str(error).split())
            if isinstance(error, TimeoutError):
                found = f"no answer within {CONNECT_TIMEOUT_S:.0f} s"
            cure = f"correct {URL_VARIABLE}" if self._embedded is None else "see the system's log"
            raise DatabaseServerError(
                f"database server {shown(self._server_url)}: expected to create and drop "
                f"databases, found: {found}; start it, or {cure}"
            ) from error


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    # urlunsplit() would lose the empty host of `postgresql:///name?host=/run/postgresql`.
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{query}"


def _new_name() -> str:
    # Other machines may use the same server: a number would not be unique.
    return f"telerig_{secrets.token_hex(8)}"


async def _execute(url: str, statement: str) -> Any:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
