"""A process that does to a database what its administrator, or its disk, would do.

Started as `python -m rig.worker.steward`, it is told by lines of JSON on standard input, and
answers each with one: `{"do": "open", "urls": [...], "full": true}` first. It runs in real time,
whatever clock the run has, and is no part of the gateway: so it is a process of its own. It ends
with its input.

* `cut`: every other connection to these databases is ended as at a shut-down, by
  `pg_terminate_backend`: the gateway gets 57P01 of the real server. Answered when they are gone.
* `fill`, `empty`: while the disk is "full", a statement that inserts or updates fails with 53100
  (disk_full), out of the server itself: a trigger of each table looks for a row that says so. A
  file system that is really full needs a mount of its own, which takes rights that users lack, and
  if the server's own journal (WAL) lies there too, PostgreSQL stops: that is `database_down`.
  The row is read as it is at that moment; no lock is held that the gateway could wait for.
* `blocked`: whether a backend waits for a lock of one of others.
* `count`: how many other connections there are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

import asyncpg

LOOK_AGAIN_S = 0.005
GONE_TIMEOUT_S = 20.0

_OTHERS = """
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
"""
_BLOCKED = "SELECT pg_blocking_pids($2) && $1::int[]"
_READY = """
    CREATE SCHEMA rig;
    CREATE TABLE rig.disk_is_full ();
    CREATE FUNCTION rig.look_at_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM rig.disk_is_full) THEN
            RAISE EXCEPTION USING ERRCODE = 'disk_full',
                MESSAGE = format('could not extend %s: No space left on device', TG_TABLE_NAME),
                HINT = 'Check free disk space.';
        END IF;
        RETURN NULL;
    END $$;
    GRANT USAGE ON SCHEMA rig TO PUBLIC;
    GRANT SELECT ON rig.disk_is_full TO PUBLIC
"""
_TABLES = """
    SELECT oid::regclass::text FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
      AND NOT relispartition AND relname <> 'telerig_migrations'
"""


class Steward:
    """Does what it is told to the databases of one run."""

    def __init__(self) -> None:
        self._connections: list[asyncpg.Connection] = []

    async def do(self, order: dict[str, Any]) -> Any:
        """Carry out one order and return its answer."""
        what = order["do"]
        if what == "open":
            for url in order["urls"]:
                connection = await asyncpg.connect(
                    url, server_settings={"application_name": "telerig rig"}
                )
                self._connections.append(connection)
                if order["full"]:
                    await _make_ready(connection)
            return None
        if what == "blocked":
            return await self._connections[0].fetchval(_BLOCKED, order["by"], order["backend"])
        return [await getattr(self, f"_{what}")(each) for each in self._connections]

    async def _cut(self, connection: asyncpg.Connection) -> int:
        ended = await connection.fetch(f"SELECT pg_terminate_backend(pid) {_OTHERS}")
        async with asyncio.timeout(GONE_TIMEOUT_S):
            while await self._count(connection):  # noqa: ASYNC110  other processes end them
                await asyncio.sleep(LOOK_AGAIN_S)
        return len(ended)

    async def _count(self, connection: asyncpg.Connection) -> int:
        count: int = await connection.fetchval(f"SELECT count(*) {_OTHERS}")
        return count

    async def _fill(self, connection: asyncpg.Connection) -> None:
        await connection.execute("INSERT INTO rig.disk_is_full DEFAULT VALUES")

    async def _empty(self, connection: asyncpg.Connection) -> None:
        await connection.execute("DELETE FROM rig.disk_is_full")


async def _make_ready(connection: asyncpg.Connection) -> None:
    """Bring the schema up to date, as the gateway would, and watch over its tables."""
    # Here: half of what a steward costs is the import of what only a full disk needs.
    import structlog

    from server.clock import SystemClock
    from server.store.migrate import migrate

    # Standard output is for answers alone.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    await migrate(connection, SystemClock())
    await connection.execute(_READY)
    for (table,) in await connection.fetch(_TABLES):
        await connection.execute(
            f"CREATE TRIGGER rig_disk BEFORE INSERT OR UPDATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION rig.look_at_disk()"
        )


async def serve() -> None:
    """Take orders until there are no more."""
    steward = Steward()
    for line in sys.stdin:
        try:
            answer = {"done": await steward.do(json.loads(line))}
        except Exception as error:  # noqa: BLE001  a process boundary: whoever asked must hear it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
