"""Tables of a day or a month: made where something is to be stored, dropped as a whole.

A new table is attached, and an old one detached, under locks that keep no reader and no writer
waiting.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable

import asyncpg
import structlog

from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.store")

DAY_NS = 86_400_000_000_000
BEGIN_NS = 1_577_836_800_000_000_000
"""2020: what was measured before lies in one table."""
BY_DAY = ("segments", "rollups_10s")
BY_MONTH = "rollups_5min"
CONTENTS = "stored_contents"
KEYS = {"segments": "t0_ns", "rollups_10s": "t0_ns", BY_MONTH: "t_ns", CONTENTS: "kept_ns"}
LOCK_TIMEOUT_MS = 3000
DROP_TIMEOUT_S = 60.0

_NAME = re.compile(r"(segments|rollups_10s|rollups_5min|stored_contents)_(\d{4})(\d\d)(\d\d)?")
_EXISTING = """
    SELECT relname, inhrelid IS NOT NULL AS attached, coalesce(inhdetachpending, false) AS pending
    FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
      AND relname ~ '^(segments|rollups_10s|rollups_5min|stored_contents)_[0-9]{6,8}$'
    ORDER BY relname
"""


class Partitions:
    """The tables that are known to be there."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def forget(self) -> None:
        """Look again: a transaction was rolled back, or tables were dropped."""
        self._known.clear()

    async def ensure(
        self, connection: asyncpg.Connection, parent: str, times_ns: Iterable[int]
    ) -> None:
        """Make sure that rows of these instants have a table."""
        for time_ns in times_ns:
            if time_ns < BEGIN_NS and parent != CONTENTS:
                continue
            begin, end = _month(time_ns) if parent == BY_MONTH else _day(time_ns)
            name = table_of(parent, time_ns)
            if name in self._known:
                continue
            if await connection.fetchval("SELECT to_regclass($1)", name) is None:
                bounds = f"FROM ({_ns(begin)}) TO ({_ns(end)})"
                key = KEYS[parent]
                # With the check there is nothing to look through when it is attached.
                await connection.execute(
                    f"""
                    CREATE TABLE {name} (LIKE {parent} INCLUDING ALL,
                        CONSTRAINT bounds CHECK ({key} >= {_ns(begin)} AND {key} < {_ns(end)}));
                    ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {bounds};
                    ALTER TABLE {name} DROP CONSTRAINT bounds;
                    """
                )
            self._known.add(name)


def table_of(parent: str, time_ns: int) -> str:
    """Give the table that has the rows of an instant."""
    if time_ns < BEGIN_NS and parent != CONTENTS:
        return f"{parent}_before_2020"
    begin, _ = _day(time_ns)
    return f"{parent}_{begin.strftime('%Y%m' if parent == BY_MONTH else '%Y%m%d')}"


async def drop_before(
    connection: asyncpg.Connection, parents: Iterable[str], horizon_ns: int
) -> list[str]:
    """Drop the tables that have nothing from an instant on; give their names.

    What cannot be done now, because a reader holds on to it for long, is left for the next time.
    """
    dropped = []
    wanted = set(parents)
    await connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
    try:
        for row in await connection.fetch(_EXISTING):
            name = row["relname"]
            match = _NAME.fullmatch(name)
            if match is None or match[1] not in wanted or _end_ns(match) > horizon_ns:
                continue
            try:
                if row["attached"]:
                    how = "FINALIZE" if row["pending"] else "CONCURRENTLY"
                    await connection.execute(
                        f"ALTER TABLE {match[1]} DETACH PARTITION {name} {how}",
                        timeout=DROP_TIMEOUT_S,
                    )
                await connection.execute(f"DROP TABLE {name}")
            except asyncpg.PostgresError as error:
                log.warning("old table not dropped yet", table=name, reason=first_line(error))
            else:
                dropped.append(name)
        if horizon_ns > BEGIN_NS:
            for parent in wanted - {CONTENTS}:
                await _empty(connection, f"{parent}_before_2020")
    finally:
        if not connection.is_closed():
            await connection.execute("SET lock_timeout = 0")
    return dropped


async def _empty(connection: asyncpg.Connection, name: str) -> None:
    try:
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {name})"):
            await connection.execute(f"TRUNCATE {name}")
    except DATABASE_ERRORS as error:
        log.warning("old table not emptied yet", table=name, reason=first_line(error))


def _end_ns(match: re.Match[str]) -> int:
    begin = datetime.datetime(int(match[2]), int(match[3]), int(match[4] or 1), tzinfo=datetime.UTC)
    if match[4]:
        return _ns(begin) + DAY_NS
    return _ns(_month(_ns(begin))[1])


def _day(time_ns: int) -> tuple[datetime.datetime, datetime.datetime]:
    begin = datetime.datetime.fromtimestamp(time_ns // DAY_NS * 86_400, datetime.UTC)
    return begin, begin + datetime.timedelta(days=1)


def _month(time_ns: int) -> tuple[datetime.datetime, datetime.datetime]:
    day, _ = _day(time_ns)
    begin = day.replace(day=1)
    return begin, (begin + datetime.timedelta(days=32)).replace(day=1)


def _ns(instant: datetime.datetime) -> int:
    return int(instant.timestamp()) * 1_000_000_000
