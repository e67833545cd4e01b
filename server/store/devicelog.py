"""The durable log of remote devices: many callers, one commit for all that wait.

    append() … append() -> [waiting] -> one statement, one commit -> all of them are answered

A connection of its own writes. One statement stores the rows, adds up the statistics of what was
new and keeps the state of the uplinks, so that all of it is committed or none. While a commit is
on its way the next group gathers; no timer delays anybody.

The key of a row is (device, boot, first number). A row that is stored already is a duplicate; of
one that overlaps with stored ones only the missing numbers are stored. So the same append again,
after whatever loss of an answer, changes nothing.

What waits is bounded in bytes, over all and for each device; beyond it an append is refused. Where
the database is away, all that wait are told so, and none is acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from server.clock import Clock
from server.errors import StoreAway, StoreError, StoreFull
from server.store.appends import Append, Appended, Piece, Ranges, missing_of
from server.store.connection import DATABASE_ERRORS, connect, first_line
from server.store.refusals import RefusalCounts
from server.store.remote_sessions import RemoteSessions
from server.store.ring import GATE

log = structlog.get_logger("telerig.store")

WAITING_BYTES = 64 * 1024 * 1024
"""Most bytes that wait for their commit; the bound of the memory that devices can use up."""
DEVICE_SHARE = 4
"""One device may fill so large a part of it: a quarter."""
GROUP_BYTES = 8 * 1024 * 1024
GROUP_ROWS = 1000
OVERHEAD_BYTES = 1000  # of what an append costs beside its bodies
REFUSALS_S = 1.0
TRIAL_S = 5.0
TRIAL_BYTES = 256 * 1024
CLOSE_TIMEOUT_S = 5.0

_APPEND = f"""
WITH {GATE}, given AS (
    SELECT * FROM unnest(
        $1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::bigint[], $8::bytea[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[],
        $13::bigint[], $14::bigint[]
    ) AS given(device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns, body, vin,
               readings, transmitted, suppressed, bytes_plain, bytes_sent)
), fresh AS (
    INSERT INTO hot (device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns,
                     written_ns, body, cycle, slot)
    SELECT device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns, $15, body,
           (SELECT cycle FROM gate), (SELECT cycle FROM gate) % 4
    FROM given
    WHERE EXISTS (SELECT FROM gate)
    -- Stored rows never overlap, so the nearest one before the end decides.
    AND coalesce((
        SELECT stored.seq_last FROM hot stored
        WHERE stored.device = given.device AND stored.boot = given.boot
          AND stored.seq_first <= given.seq_last
        ORDER BY stored.seq_first DESC LIMIT 1
    ) < given.seq_first, true)
    -- What is in segments: a row has numbers of two buckets at most.
    AND NOT coalesce((
        SELECT numbers && int8multirange(int8range(given.seq_first, given.seq_last, '[]'))
        FROM stored_numbers stored
        WHERE stored.device = given.device AND stored.boot = given.boot
          AND stored.bucket = given.seq_first >> 24
    ), false)
    AND (given.seq_first >> 24 = given.seq_last >> 24 OR NOT coalesce((
        SELECT numbers && int8multirange(int8range(given.seq_first, given.seq_last, '[]'))
        FROM stored_numbers stored
        WHERE stored.device = given.device AND stored.boot = given.boot
          AND stored.bucket = given.seq_last >> 24
    ), false))
    AND (given.boot <> 0 OR (
        SELECT count(*) FROM stored_contents stored
        WHERE stored.device = given.device AND stored.number = given.seq_first
    ) = 0)
    ON CONFLICT DO NOTHING
    RETURNING device, boot, seq_first
), added AS (
    SELECT given.* FROM given JOIN fresh USING (device, boot, seq_first)
), touched AS (
    SELECT * FROM unnest($16::text[], $17::bigint[], $18::bytea[]) AS touched(device, boot, state)
    WHERE EXISTS (SELECT FROM gate)
), sums AS (
    SELECT touched.device, touched.boot, touched.state, max(vin) AS vin,
           sum(readings)::bigint AS readings, sum(transmitted)::bigint AS transmitted,
           sum(suppressed)::bigint AS suppressed, sum(bytes_plain)::bigint AS bytes_plain,
           sum(bytes_sent)::bigint AS bytes_sent
    FROM touched LEFT JOIN added USING (device, boot)
    GROUP BY touched.device, touched.boot, touched.state
), boots AS (
    UPDATE device_boots SET
        last_ns = $15,
        vin = CASE WHEN sums.vin <> '' THEN sums.vin ELSE device_boots.vin END,
        readings = device_boots.readings + coalesce(sums.readings, 0),
        transmitted = device_boots.transmitted + coalesce(sums.transmitted, 0),
        suppressed = device_boots.suppressed + coalesce(sums.suppressed, 0),
        bytes_plain = device_boots.bytes_plain + coalesce(sums.bytes_plain, 0),
        bytes_sent = device_boots.bytes_sent + coalesce(sums.bytes_sent, 0),
        state = coalesce(sums.state, device_boots.state)
    FROM sums
    WHERE device_boots.device = sums.device AND device_boots.boot = sums.boot
      AND (sums.readings IS NOT NULL OR sums.state IS NOT NULL)
), days AS (
    INSERT INTO device_days AS days
    SELECT device, to_timestamp(($15 / 1000000000)::float8)::date, vin, sum(readings)::bigint,
           sum(transmitted)::bigint, sum(suppressed)::bigint, sum(bytes_plain)::bigint,
           sum(bytes_sent)::bigint
    FROM added GROUP BY device, vin
    ON CONFLICT (device, day, vin) DO UPDATE SET
        readings = days.readings + excluded.readings,
        transmitted = days.transmitted + excluded.transmitted,
        suppressed = days.suppressed + excluded.suppressed,
        bytes_plain = days.bytes_plain + excluded.bytes_plain,
        bytes_sent = days.bytes_sent + excluded.bytes_sent
)
SELECT device, boot, seq_first FROM fresh
UNION ALL
SELECT '', 0, 0 WHERE NOT EXISTS (SELECT FROM gate)
"""

_OVERLAPS = """
SELECT seq_first, seq_last FROM hot
WHERE device = $1 AND boot = $2 AND seq_first <= $4
  AND seq_first >= coalesce((
      SELECT max(seq_first) FROM hot WHERE device = $1 AND boot = $2 AND seq_first <= $3
  ), $3)
UNION ALL
SELECT lower(part), upper(part) - 1
FROM stored_numbers,
    unnest(numbers * int8multirange(int8range($3::bigint, $4::bigint, '[]'))) AS part
WHERE device = $1 AND boot = $2 AND bucket BETWEEN $3::bigint >> 24 AND $4::bigint >> 24
UNION ALL
SELECT $3::bigint, $4::bigint
WHERE $2 = 0 AND EXISTS (SELECT FROM stored_contents WHERE device = $1 AND number = $3::bigint)
ORDER BY seq_first
"""


_TRIAL_SESSION = """
INSERT INTO sessions (device, boot, opened_ns) VALUES ('', 0, $1) RETURNING id
"""
_TRIAL_ROW = """
INSERT INTO hot (device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns,
                 written_ns, body)
VALUES ('', 0, 0, 0, $1, 0, 0, $2, $3)
"""


class _Waiting:
    """One append and who waits for it."""

    def __init__(self, append: Append, size_bytes: int) -> None:
        self.append = append
        self.size_bytes = size_bytes
        self.done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self.stored: list[Piece] = []
        self.duplicates = 0


class DeviceLog:
    """Writes for all remote devices; made without I/O, connects when somebody appends.

    Args:
        url: of the database, whose schema is up to date.
        clock: for the instants of writing.
        waiting_bytes: most bytes that wait for their commit.

    Attributes:
        failing: why the last commit failed; empty while commits succeed.
        commits: groups committed.
        waiting_bytes: bytes that wait now.
        refusals: counts of what was refused, written now and then.
        committed: called after each commit, with its bytes.
    """

    def __init__(self, url: str, *, clock: Clock, waiting_bytes: int = WAITING_BYTES) -> None:
        self.failing = ""
        self.commits = 0
        self.waiting_bytes = 0
        self.refusals = RefusalCounts(self._refused)
        self.committed: Callable[[int], None] = lambda size_bytes: None
        self._url = url
        self._clock = clock
        self._limit_bytes = waiting_bytes
        self._device_bytes: dict[str, int] = {}
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None
        self._sessions = RemoteSessions()
        self._refusals_timer: asyncio.TimerHandle | None = None
        self._trial_due = False
        self._trial_s: float | None = None

    def try_again(self) -> None:
        """Have a commit tried soon where the last one failed; not more often than every 5 s.

        A device that is kept away while commits fail would otherwise never show that they succeed
        again.
        """
        now_s = self._clock.monotonic_s()
        is_early = self._trial_s is not None and now_s < self._trial_s
        if not self.failing or is_early or self._closing or self._writer is None:
            return
        self._trial_s = now_s + TRIAL_S
        self._trial_due = True
        self._wake.set()

    def check_room(self, device: str, size_bytes: int) -> None:
        """Refuse early what `append` would refuse later.

        Raises:
            StoreFull: so many bytes have no room now.
        """
        size_bytes += OVERHEAD_BYTES
        if self.waiting_bytes + size_bytes > self._limit_bytes:
            raise StoreFull(
                f"expected room for {size_bytes} bytes, found {self.waiting_bytes} of "
                f"{self._limit_bytes} waiting for the database: try again soon",
                one_device=False,
            )
        share_bytes = self._limit_bytes // DEVICE_SHARE
        of_device = self._device_bytes.get(device, 0)
        if of_device + size_bytes > share_bytes:
            raise StoreFull(
                f"expected room for {size_bytes} bytes, found {of_device} of {share_bytes} of this "
                "device waiting for the database: wait for answers before sending more",
                one_device=True,
            )

    async def append(self, append: Append) -> Appended:
        """Commit readings and state of a device; give what was new and what was known already.

        Raises:
            StoreFull: there is no room.
            StoreAway: it may or may not be committed; try the same again.
        """
        size_bytes = append.size_bytes
        self.check_room(append.device, size_bytes)
        if self._closing:
            raise StoreAway("expected a gateway that runs, this one stops")
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_forever(), name="device log")
        waiting = _Waiting(append, size_bytes + OVERHEAD_BYTES)
        self._account(waiting, 1)
        self._queue.append(waiting)
        self._wake.set()
        # A caller that is cancelled leaves its append in the group: it is committed all the same.
        return await waiting.done

    async def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Commit what waits, as far as that is possible in this time, and disconnect."""
        self._closing = True
        self._wake.set()
        if self._refusals_timer is not None:
            self._refusals_timer.cancel()
        writer, self._writer = self._writer, None
        if writer is None and self.refusals:
            writer = asyncio.create_task(self._write_forever())
        if writer is not None:
            _, late = await asyncio.wait({writer}, timeout=timeout_s)
            for task in late:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._fail_all("the gateway stops")
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            try:
                await connection.close(timeout=CLOSE_TIMEOUT_S)
            except DATABASE_ERRORS:
                connection.terminate()

    # -- the writer ------------------------------------------------------------------------------
    async def _write_forever(self) -> None:
        while True:
            if not self._queue and not self._closing:
                await self._wake.wait()
            self._wake.clear()
            if self._queue:
                await self._write_group(self._take_group())
            else:
                if self._trial_due:
                    self._trial_due = False
                    await self._write_trial()
                if self._refusals_timer is None or self._closing:
                    await self._write_refusals()
            if self._closing and not self._queue:
                await self._write_refusals()
                return

    def _take_group(self) -> list[_Waiting]:
        """Take what goes into one commit: of a boot only ranges that do not overlap."""
        group: list[_Waiting] = []
        later: list[_Waiting] = []
        taken: dict[tuple[str, int], Ranges] = {}
        rows = size_bytes = 0
        while self._queue and rows < GROUP_ROWS and size_bytes < GROUP_BYTES:
            waiting = self._queue.popleft()
            append = waiting.append
            ranges = taken.setdefault((append.device, append.boot), Ranges())
            if not ranges.take(append):
                later.append(waiting)
                continue
            group.append(waiting)
            rows += len(append.pieces)
            size_bytes += waiting.size_bytes
        self._queue.extendleft(reversed(later))
        return group

    async def _write_group(self, group: Sequence[_Waiting]) -> None:
        try:
            await self._commit(group)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            # One of them cannot be stored at all: it must not keep the others out.
            if len(group) == 1:
                self._refuse_content(first_line(error), group[0])
                return
            for waiting in group:
                await self._write_group([waiting])
        except (*DATABASE_ERRORS, StoreError) as error:
            self._fail(first_line(error), group)
        except Exception as error:
            # A task boundary: a bug must not leave everybody waiting for ever.
            log.exception("device log failed")
            self._fail(repr(error), group)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        connection = await self._connected()
        await self._sessions.open(
            connection, [waiting.append for waiting in group], self._clock.now_ns()
        )
        missed = await self._insert(connection, [(w, w.append.pieces) for w in group], True)
        if missed:
            # At least partly known: what is left of them overlaps with nothing any more.
            rest = [(w, await self._trim(connection, w, pieces)) for w, pieces in missed]
            if any(pieces for _, pieces in rest):
                await self._insert(connection, rest, False)
        self.commits += 1
        self._succeeded()
        self.committed(sum(waiting.size_bytes for waiting in group))
        for waiting in group:
            self._account(waiting, -1)
            if not waiting.done.done():
                waiting.done.set_result(Appended(waiting.stored, waiting.duplicates))

    async def _write_trial(self) -> None:
        """Commit a row as devices' rows are, which nobody ever sees; say so where that works."""
        now_ns = self._clock.now_ns()
        try:
            connection = await self._connected()
            async with connection.transaction():
                session = await connection.fetchval(_TRIAL_SESSION, now_ns)
                await connection.execute(_TRIAL_ROW, session, now_ns, bytes(TRIAL_BYTES))
                await connection.execute("DELETE FROM hot WHERE device = '' AND boot = 0")
                await connection.execute("DELETE FROM sessions WHERE id = $1", session)
        except (*DATABASE_ERRORS, StoreError) as error:
            self._fail(first_line(error), [])
        except Exception as error:
            log.exception("device log failed")  # a task boundary, as in `_write_group`
            self._fail(repr(error), [])
        else:
            self._succeeded()

    def _succeeded(self) -> None:
        if self.failing:
            log.info("commits of devices succeed again")
            self.failing = ""

    async def _insert(
        self,
        connection: asyncpg.Connection,
        work: Sequence[tuple[_Waiting, Sequence[Piece]]],
        with_state: bool,
    ) -> list[tuple[_Waiting, list[Piece]]]:
        """Commit pieces; give those of which something is stored already."""
        rows = [
            (w.append.device, w.append.boot, self._sessions.id_of(w.append), w.append.vin, piece)
            for w, pieces in work
            for piece in pieces
        ]
        states: dict[tuple[str, int], bytes | None] = {}
        for waiting, _ in work:
            key = waiting.append.device, waiting.append.boot
            states[key] = waiting.append.state if with_state else None
        fresh = await self._fetch(
            connection,
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[4].seq_first for row in rows],
            [row[4].seq_last for row in rows],
            [row[2] for row in rows],
            [row[4].time_min_ns for row in rows],
            [row[4].time_max_ns for row in rows],
            [row[4].body for row in rows],
            [row[3] for row in rows],
            [row[4].readings for row in rows],
            [row[4].transmitted for row in rows],
            [row[4].suppressed for row in rows],
            [row[4].bytes_plain for row in rows],
            [row[4].bytes_sent for row in rows],
            self._clock.now_ns(),
            [key[0] for key in states],
            [key[1] for key in states],
            list(states.values()),
        )
        if len(fresh) == len(rows):
            for waiting, pieces in work:
                waiting.stored += pieces
            return []
        stored = {tuple(row) for row in fresh}
        missed = []
        for waiting, pieces in work:
            key = waiting.append.device, waiting.append.boot
            waiting.stored += [piece for piece in pieces if (*key, piece.seq_first) in stored]
            known = [piece for piece in pieces if (*key, piece.seq_first) not in stored]
            if known:
                missed.append((waiting, known))
        return missed

    @staticmethod
    async def _fetch(connection: asyncpg.Connection, *columns: object) -> list[asyncpg.Record]:
        while True:
            fresh: list[asyncpg.Record] = await connection.fetch(_APPEND, *columns)
            if not fresh or fresh[0]["device"]:
                return fresh
            # The cycle ended in this moment: nothing was done.

    async def _trim(
        self, connection: asyncpg.Connection, waiting: _Waiting, pieces: Sequence[Piece]
    ) -> list[Piece]:
        """Give what is missing of pieces that are known in part; count what is known."""
        rest: list[Piece] = []
        for piece in pieces:
            append = waiting.append
            stored = await connection.fetch(
                _OVERLAPS, append.device, append.boot, piece.seq_first, piece.seq_last
            )
            missing = missing_of(piece, [(row[0], row[1]) for row in stored])
            waiting.duplicates += piece.readings - sum(part.readings for part in missing)
            rest += missing
        return rest

    # -- failures --------------------------------------------------------------------------------
    def _fail(self, reason: str, group: Sequence[_Waiting]) -> None:
        """Tell everybody who waits: each may come again, and memory is free for others."""
        if not self.failing:
            log.error("commit of devices failed", reason=reason, appends=len(group))
        self.failing = reason
        self._forget_connection()
        for waiting in group:
            self._refuse(waiting, reason)
        self._fail_all(reason)

    def _refuse_content(self, reason: str, waiting: _Waiting) -> None:
        """Tell the one whose content the database does not take; it says nothing of others."""
        log.error("readings cannot be stored", device=waiting.append.device, reason=reason)
        self._forget_connection()
        self._refuse(waiting, reason)

    def _forget_connection(self) -> None:
        """End the connection, whatever it was in the middle of: a new one knows nothing of it."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._sessions.forget()

    def _fail_all(self, reason: str) -> None:
        while self._queue:
            self._refuse(self._queue.popleft(), reason)

    def _refuse(self, waiting: _Waiting, reason: str) -> None:
        self._account(waiting, -1)
        if not waiting.done.done():
            waiting.done.set_exception(StoreAway(reason))
            waiting.done.exception()  # seen: a caller that is gone is no news

    def _account(self, waiting: _Waiting, sign: int) -> None:
        device = waiting.append.device
        self.waiting_bytes += sign * waiting.size_bytes
        left = self._device_bytes.get(device, 0) + sign * waiting.size_bytes
        if left:
            self._device_bytes[device] = left
        else:
            self._device_bytes.pop(device, None)

    # -- connection, refusals --------------------------------------------------------------------
    async def _connected(self) -> asyncpg.Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await connect(self._url)
        try:
            # Groups are joined with what was stored by hashing: a nested loop over a thousand
            # rows, which a generic plan may choose, takes a hundred times as long.
            await connection.execute("SET enable_nestloop = off")
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        return connection

    def _refused(self) -> None:
        """Arm the timer that writes counts of refusals, a while after the first of them."""
        if self._refusals_timer is None and not self._closing:
            loop = asyncio.get_running_loop()
            self._refusals_timer = loop.call_later(REFUSALS_S, self._refusals_due)
        if self._writer is None and not self._closing:
            self._writer = asyncio.create_task(self._write_forever(), name="device log")

    def _refusals_due(self) -> None:
        self._refusals_timer = None
        self._wake.set()

    async def _write_refusals(self) -> None:
        if not self.refusals:
            return
        with contextlib.suppress(*DATABASE_ERRORS, StoreError):
            # What cannot be written now is kept, and written with the next ones.
            await self.refusals.write(await self._connected(), self._clock.now_ns())
