"""One PostgreSQL server for many runs, and a fresh database for each."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from typing import Any
from urllib.parse import urlsplit

from rig.errors import RigError
from server.store.shown_url import shown

URL_VARIABLE = "TELERIG_DATABASE_URL"
CONNECT_TIMEOUT_S = 10.0


class DatabaseServerError(RigError):
    """The database server cannot be started, does not answer, or refuses."""


class Databases:
    """Hands out empty databases; the server is started when the first one is asked for.

    `TELERIG_DATABASE_URL` names another server: its user must be allowed to create databases. The
    embedded server does not sync to disk: a run's database does not outlive the run.
    """

    def __init__(self) -> None:
        self._embedded: Any = None
        self._server_url = os.environ.get(URL_VARIABLE, "")
        self._lock = threading.Lock()

    def fresh(self) -> str:
        """Create an empty database and return its URL.

        Raises:
            DatabaseServerError: the server cannot be started or reached, or refuses.
        """
        with self._lock:
            if not self._server_url:
                self._server_url = self._start_embedded()
        # Other machines may use the same server: a number would not be unique.
        name = f"telerig_{secrets.token_hex(8)}"
        self._run(f"CREATE DATABASE {name}")
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

    def _run(self, statement: str) -> None:
        import asyncpg

        try:
            asyncio.run(_execute(self._server_url, statement))
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


async def _execute(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
