"""Reads from the database what the bus did not bring: turns of many boots in one query.

`server.store.turns` gives the newest turns of boots; what they are is read here, from the hot log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import asyncpg
import msgspec
import structlog

from server.instances.in_order import Key, Missing
from server.instances.told import Told
from server.store.connection import STORE_ERRORS, connect, first_line

log = structlog.get_logger("telerig.instances")

ROWS = 1000
"""Rows of one boot that are read at a time; a commit has not more of them."""
ANSWER_S = 5.0
"""A query that takes longer was swallowed by the network: it is asked again."""

# Rows of a boot lie together by the primary key; the turn is looked at in passing.
_READ = """
    SELECT asked.device, asked.boot, found.turn, found.written_ns, found.seq_first, found.body,
           coalesce(sessions.vin, '') AS vin
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
             AS asked(device, boot, after, upto, since_ns)
    CROSS JOIN LATERAL (
        SELECT turn, written_ns, seq_first, body, session_id FROM hot
        WHERE hot.device = asked.device AND hot.boot = asked.boot
          AND hot.turn > asked.after AND hot.turn <= asked.upto
          AND hot.written_ns >= asked.since_ns
        ORDER BY hot.turn, hot.seq_first LIMIT $6
    ) AS found
    LEFT JOIN sessions ON sessions.id = found.session_id
    ORDER BY asked.device, asked.boot, found.turn, found.seq_first
"""
# Nothing compacted: whatever is not there had no rows.
_OLDEST = """
    SELECT asked.device, asked.boot, CASE
        WHEN EXISTS (
            SELECT FROM stored_numbers stored
            WHERE stored.device = asked.device AND stored.boot = asked.boot
        ) OR asked.boot = 0 AND EXISTS (
            SELECT FROM stored_contents stored WHERE stored.device = asked.device
        )
        THEN (SELECT min(turn) FROM hot WHERE hot.device = asked.device AND hot.boot = asked.boot)
        ELSE 1
    END AS turn
    FROM unnest($1::text[], $2::bigint[]) AS asked(device, boot)
"""


class Reader:
    """A connection of its own, made when something is asked, and again when it broke.

    Args:
        url: of the database.

    Attributes:
        failing: why the database could not be asked; empty while it can.
    """

    def __init__(self, url: str) -> None:
        self.failing = ""
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._busy = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Give the connection to one at a time; after an error the next one gets a new one.

        Raises:
            STORE_ERRORS: the database is away or does not answer; it is said once.
        """
        async with self._busy:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._url)
                async with asyncio.timeout(ANSWER_S):
                    yield self._connection
            except BaseException as error:
                self.close()
                if isinstance(error, STORE_ERRORS):
                    self._failed(first_line(error))
                raise
        if self.failing:
            log.info("the feed reads again")
            self.failing = ""

    def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _failed(self, reason: str) -> None:
        if not self.failing:
            log.error("the feed cannot read", reason=reason, next="tried again until it can")
        self.failing = reason


class Answer(msgspec.Struct):
    """What the hot log has of a boot: turns by number, and up to which one was looked."""

    turns: dict[int, Told]
    upto: int


async def read_turns(
    connection: asyncpg.Connection, asked: Sequence[tuple[Missing, int]], rows: int = ROWS
) -> dict[Key, Answer]:
    """Read what is missing, all of it in one query.

    Args:
        connection: to the database.
        asked: what, and the earliest instant of a commit that is wanted of it.
        rows: of one boot at a time.
    """
    answers = {missing.key: Answer({}, missing.upto) for missing, _ in asked}
    found = await connection.fetch(
        _READ,
        [missing.device for missing, _ in asked],
        [missing.boot for missing, _ in asked],
        [missing.after for missing, _ in asked],
        [missing.upto for missing, _ in asked],
        [since_ns for _, since_ns in asked],
        rows,
    )
    counts: dict[Key, int] = {}
    for device, boot, number, stored_ns, seq_first, body, vin in found:
        key = device, boot
        counts[key] = counts.get(key, 0) + 1
        turns = answers[key].turns
        turn = turns.get(number)
        if turn is None:
            turn = turns[number] = Told(device, boot, number, stored_ns, vin, [])
        assert isinstance(turn.rows, list)
        turn.rows.append((seq_first, body))
    for key, count in counts.items():
        if count < rows:
            continue
        answer = answers[key]
        answer.upto = max(answer.turns)
        if len(answer.turns) > 1:
            # The last one may be cut: it is read again.
            del answer.turns[answer.upto]
            answer.upto -= 1
    return answers


async def oldest_turns(
    connection: asyncpg.Connection, keys: Sequence[Key]
) -> dict[Key, int | None]:
    """Give the oldest turn of each boot that the hot log has; None: it has none.

    A turn after it that the hot log does not have had no rows: it changed a state alone.
    """
    rows = await connection.fetch(_OLDEST, [key[0] for key in keys], [key[1] for key in keys])
    return {(device, boot): turn for device, boot, turn in rows}
