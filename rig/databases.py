"""One PostgreSQL server for many runs, and a fresh database for each."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from rig.errors import RigError

URL_VARIABLE = "TELERIG_DATABASE_URL"


class Databases:
    """Hands out empty databases; the server is started when the first one is asked for.

    `TELERIG_DATABASE_URL` names another server: its user must be allowed to create databases. The
    embedded server does not sync to disk: a run's database does not outlive the run.
    """

    def __init__(self) -> None:
        self._embedded: Any = None
        self._base_url = os.environ.get(URL_VARIABLE, "")
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def fresh(self) -> str:
        """Create an empty database and return its URL.

        Raises:
            RigError: the server cannot be started or reached, or refuses.
        """
        with self._lock:
            if not self._base_url:
                self._base_url = self._start_embedded()
            name = f"telerig_{os.getpid()}_{next(self._numbers)}"
        self._run(_execute(self._base_url, f"CREATE DATABASE {name}"))
        return with_database(self._base_url, name)

    def drop(self, url: str) -> None:
        """Remove a database that `fresh` made."""
        name = urlsplit(url).path.lstrip("/")
        self._run(_execute(self._base_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    def close(self) -> None:
        """Stop the server if it is ours."""
        if self._embedded is not None:
            self._embedded.stop()
            self._embedded = None
            self._base_url = ""

    def __enter__(self) -> Databases:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start_embedded(self) -> str:
        from server.errors import ServerError
        from server.store.embedded import EmbeddedPostgres

        try:
            self._embedded = EmbeddedPostgres(durable=False)
            return str(self._embedded.start())
        except ServerError as error:
            raise RigError(str(error)) from error

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        import asyncpg

        try:
            asyncio.run(work)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise RigError(
                f"database server {self._base_url}: expected to create and drop databases, "
                f"got: {error}; start it, or correct {URL_VARIABLE}"
            ) from error


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path="/" + name))


async def _execute(url: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
