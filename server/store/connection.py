"""Connections to PostgreSQL, with its many ways to be away told in one line."""

from __future__ import annotations

import os

import asyncpg

from server.errors import DatabaseUnreachable, StoreError
from server.operation.explain import explain
from server.store.shown_url import shown

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 10.0

DATABASE_ERRORS = (
    OSError,  # refused, unknown host, no such socket, TimeoutError
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # its protocol when the connection is cut in an odd moment
)
"""What asyncpg raises when the database is away or refuses."""

STORE_ERRORS = (StoreError, *DATABASE_ERRORS)
"""What a store raises when something may not have been committed."""

SETTINGS = {"application_name": "telerig", "timezone": "UTC"}


class PlainConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection of a pool whose users leave nothing behind in their sessions.

    asyncpg would ask the server after each use to undo settings, locks, cursors and listening: a
    round trip, which may cost more than the question. Transactions that are open are ended all the
    same. So: settings by SET LOCAL, no locks beyond a transaction, and a connection of one's own
    for everything else.
    """

    def get_reset_query(self) -> str:
        """Give what is to be run after each use: nothing."""
        return ""


async def connect(url: str) -> asyncpg.Connection:
    """Open a connection.

    Raises:
        DatabaseUnreachable: it does not answer in time, refuses, or the URL makes no sense.
    """
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            server_settings=SETTINGS,
        )
    except (*DATABASE_ERRORS, ValueError) as error:  # ValueError: a URL it cannot read
        advice = explain(error) or "start it"
        away = DatabaseUnreachable(
            f"expected PostgreSQL at {shown(url)}, got: {first_line(error)}; {advice}; or name "
            "another one in [database] url or TELERIG_DATABASE_URL"
        )
        away.briefly = f"PostgreSQL does not answer: {_without_names(error)}; {advice}"
        raise away from error


def _without_names(error: BaseException) -> str:
    """Say why without host, port, user or database, which messages may have."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    if isinstance(error, asyncpg.PostgresError):
        return f"it refuses ({error.sqlstate})"
    return "no answer" if isinstance(error, TimeoutError) else type(error).__name__


def first_line(error: BaseException) -> str:
    """Say what went wrong, in one line; not where the database is, for anybody may be told."""
    if isinstance(error, DatabaseUnreachable):
        return error.briefly
    if isinstance(error, TimeoutError) and not str(error):
        return f"no answer within {CONNECT_TIMEOUT_S:g} s"
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
