"""Why a database does not work, in words of what to do about it (O09).

The sentences that users of the older systems searched for ("no such table", "Database not
initialized") cannot come: the gateway makes its tables when it starts. What can come instead is
told here.
"""

from __future__ import annotations

import asyncpg

_BY_KIND: tuple[tuple[type[BaseException], str], ...] = (
    (
        asyncpg.InvalidPasswordError,
        "check user and password in [database] url (or PGPASSWORD, ~/.pgpass)",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "the server knows no such user, or pg_hba.conf does not let it in: "
        "createuser telerig; then see pg_hba.conf",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        "there is no such database yet: createdb --owner telerig telerig; the gateway makes its "
        "tables itself",
    ),
    (
        asyncpg.UndefinedTableError,
        "a table was dropped while the gateway runs, or this is another database: start the "
        "gateway again, which makes what is missing, or restore a backup",
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        "give the gateway's user its database: ALTER DATABASE telerig OWNER TO telerig",
    ),
    (
        asyncpg.DiskFullError,
        "make room on the disk of the database; what was accepted is stored as soon as there is",
    ),
    (
        asyncpg.TooManyConnectionsError,
        "raise max_connections of the server, or lower [database] pool_size",
    ),
    (
        asyncpg.ReadOnlySQLTransactionError,
        "the server is a standby or read-only: name the primary in [database] url",
    ),
    (asyncpg.CannotConnectNowError, "the server is starting or stopping: try again in a moment"),
    (ConnectionRefusedError, "start PostgreSQL, or correct host and port of [database] url"),
    (FileNotFoundError, "no PostgreSQL has its socket there: start it, or name a host"),
    (PermissionError, "this user may not open the socket: run as another, or name a host"),
    (TimeoutError, "a firewall, or a wrong host: nothing answers"),
)


def explain(error: BaseException) -> str:
    """Say what to do about an error of the database; empty where nothing better is known."""
    for kind, advice in _BY_KIND:
        if isinstance(error, kind):
            return advice
    if "getaddrinfo" in str(error) or "Name or service not known" in str(error):
        return "the host of [database] url is unknown: check its name"
    if "SSL" in str(error).upper():
        return "check sslmode in [database] url"
    return ""
