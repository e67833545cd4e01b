"""The durable log of remote devices: many callers, one commit for all that wait.

    append() … append() -> [waiting] -> one statement, one commit -> all of them are answered

A connection of its own writes. One statement stores the rows, adds up the statistics of what was
new and keeps the state of the uplinks, so that all of it is committed or none. While a commit is
on its way the next group gathers; no timer delays anybody.

The key of a row is (device, boot, first number). A row that is stored already is a duplicate; of
one that overlaps with stored ones only the missing numbers are stored. So the same append again,
after whatever loss of an answer, changes nothing.

Several gateways may write for one boot. Each append that changes something is the boot's next turn
(1, 2, 3 …), kept with its rows and, the last one, with the boot. The statement locks the rows of
its boots, in the order that all keep, and compares them with what it sees: what it sees is what was
there when it began, so of a boot on which another one has committed meanwhile it writes nothing,
and is repeated. Of a boot it writes all or nothing as well where something is known already; the
rest is cut out and comes with the repetition. A state that was not made from the boot's last turn
is refused (`StaleState`): who made it reads the new one and decodes again.

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
from server.errors import StaleState, StoreAway, StoreError, StoreFull
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
TRIES = 100
"""So often a boot is tried that others write for at the same time; each time one of them has
committed."""

OPEN, CLOSED, OVERTAKEN, STALE, KNOWN, ABSENT = range(6)
"""What became of a boot: written; or nothing of it, because the cycle ended, another writer has
committed, its state is an old one, something of it is stored already, it is not in the table."""

_APPEND = f"""
WITH {GATE}, given AS (
    SELECT * FROM unnest(
        $1::int[], $2::int[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bytea[], $11::text[], $12::bigint[], $13::bigint[],
        $14::bigint[], $15::bigint[], $16::bigint[]
    ) AS given(place, step, device, boot, seq_first, seq_last, session_id, time_min_ns,
               time_max_ns, body, vin, readings, transmitted, suppressed, bytes_plain, bytes_sent)
), touched AS MATERIALIZED (
    SELECT * FROM unnest($18::int[], $19::text[], $20::bigint[], $21::bigint[], $22::int[],
                         $23::bytea[])
        AS touched(place, device, boot, made_from, steps, state)
), locked AS MATERIALIZED (
    -- In the order that they are given in, which all writers keep. A row that another writer has
    -- changed since this statement began is another one than it sees.
    SELECT touched.place, now.turn, now.ctid AS row, now.ctid <> seen.ctid AS is_overtaken
    FROM touched, LATERAL (
        SELECT ctid FROM device_boots boots
        WHERE boots.device = touched.device AND boots.boot = touched.boot OFFSET 0
    ) AS seen, LATERAL (
        SELECT ctid, turn FROM device_boots boots
        WHERE boots.device = touched.device AND boots.boot = touched.boot FOR NO KEY UPDATE
    ) AS now
    WHERE EXISTS (SELECT FROM gate)
), known AS (
    SELECT DISTINCT place FROM given
    -- Stored rows never overlap, so the nearest one before the end decides.
    WHERE coalesce((
        SELECT stored.seq_last FROM hot stored
        WHERE stored.device = given.device AND stored.boot = given.boot
          AND stored.seq_first <= given.seq_last
        ORDER BY stored.seq_first DESC LIMIT 1
    ) >= given.seq_first, false)
    -- What is in segments: a row has numbers of two buckets at most.
    OR coalesce((
        SELECT numbers && int8multirange(int8range(given.seq_first, given.seq_last, '[]'))
        FROM stored_numbers stored
        WHERE stored.device = given.device AND stored.boot = given.boot
          AND stored.bucket = given.seq_first >> 24
    ), false)
    OR given.seq_first >> 24 <> given.seq_last >> 24 AND coalesce((
        SELECT numbers && int8multirange(int8range(given.seq_first, given.seq_last, '[]'))
        FROM stored_numbers stored
        WHERE stored.device = given.device AND stored.boot = given.boot
          AND stored.bucket = given.seq_last >> 24
    ), false)
    OR given.boot = 0 AND EXISTS (
        SELECT FROM stored_contents stored
        WHERE stored.device = given.device AND stored.number = given.seq_first
    )
), boots_now AS MATERIALIZED (
    SELECT touched.*, locked.turn, locked.row, CASE
        WHEN NOT EXISTS (SELECT FROM gate) THEN {CLOSED}
        WHEN locked.is_overtaken THEN {OVERTAKEN}
        WHEN locked.row IS NULL THEN {ABSENT}
        WHEN touched.made_from <> locked.turn THEN {STALE}
        WHEN known.place IS NOT NULL THEN {KNOWN}
        ELSE {OPEN}
    END AS outcome
    FROM touched LEFT JOIN locked USING (place) LEFT JOIN known USING (place)
), turns AS MATERIALIZED (
    -- By place, from 1 on; -1: this boot is not written.
    SELECT array_agg(CASE outcome WHEN {OPEN} THEN turn ELSE -1 END ORDER BY place) AS turns
    FROM boots_now
), fresh AS (
    INSERT INTO hot (device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns,
                     written_ns, body, cycle, slot, turn)
    SELECT device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns, $17, body,
           (SELECT cycle FROM gate), (SELECT cycle FROM gate) % 4,
           (SELECT turns FROM turns)[place] + step
    FROM given WHERE (SELECT turns FROM turns)[place] >= 0
), sums AS (
    SELECT place, max(vin) AS vin,
           sum(readings)::bigint AS readings, sum(transmitted)::bigint AS transmitted,
           sum(suppressed)::bigint AS suppressed, sum(bytes_plain)::bigint AS bytes_plain,
           sum(bytes_sent)::bigint AS bytes_sent
    FROM given WHERE (SELECT turns FROM turns)[place] >= 0 GROUP BY place
), boots AS (
    UPDATE device_boots SET
        turn = boots_now.turn + boots_now.steps,
        last_ns = $17,
        vin = CASE WHEN sums.vin <> '' THEN sums.vin ELSE device_boots.vin END,
        readings = device_boots.readings + coalesce(sums.readings, 0),
        transmitted = device_boots.transmitted + coalesce(sums.transmitted, 0),
        suppressed = device_boots.suppressed + coalesce(sums.suppressed, 0),
        bytes_plain = device_boots.bytes_plain + coalesce(sums.bytes_plain, 0),
        bytes_sent = device_boots.bytes_sent + coalesce(sums.bytes_sent, 0),
        state = coalesce(boots_now.state, device_boots.state)
    FROM boots_now LEFT JOIN sums USING (place)
    -- The places of the rows are known: no look into the index, and none through the table.
    WHERE device_boots.ctid = ANY (ARRAY(SELECT row FROM boots_now WHERE outcome = {OPEN}))
      AND device_boots.ctid = boots_now.row
), days AS (
    INSERT INTO device_days AS days
    SELECT device, to_timestamp(($17 / 1000000000)::float8)::date, vin, sum(readings)::bigint,
           sum(transmitted)::bigint, sum(suppressed)::bigint, sum(bytes_plain)::bigint,
           sum(bytes_sent)::bigint
    FROM given WHERE (SELECT turns FROM turns)[place] >= 0
    -- In one order, so that no two writers wait for each other.
    GROUP BY device, vin ORDER BY device, vin
    ON CONFLICT (device, day, vin) DO UPDATE SET
        readings = days.readings + excluded.readings,
        transmitted = days.transmitted + excluded.transmitted,
        suppressed = days.suppressed + excluded.suppressed,
        bytes_plain = days.bytes_plain + excluded.bytes_plain,
        bytes_sent = days.bytes_sent + excluded.bytes_sent
)
SELECT outcome, turn FROM boots_now ORDER BY place
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
        self.pieces: Sequence[Piece] = append.pieces  # that are not known to be stored
        self.duplicates = 0
        self.is_settled = False

    @property
    def has_work(self) -> bool:
        """Whether anything of it is to be written."""
        return bool(self.pieces) or self.append.state is not None


class _Boot:
    """What a group has of one boot: each append becomes a turn."""

    def __init__(self) -> None:
        self.waiting: list[_Waiting] = []

    @property
    def key(self) -> tuple[str, int]:
        """Device and boot."""
        append = self.waiting[0].append
        return append.device, append.boot


class DeviceLog:
    """Writes for all remote devices; made without I/O, connects when somebody appends.

    Args:
        url: of the database, whose schema is up to date.
        clock: for the instants of writing.
        waiting_bytes: most bytes that wait for their commit.

    Attributes:
        failing: why the last commit failed; empty while commits succeed.
        commits: groups committed.
        overtaken: boots that were tried again because another gateway had written for them.
        stale: appends refused because their state was not made from the newest one.
        waiting_bytes: bytes that wait now.
        refusals: counts of what was refused, written now and then.
        committed: called after each commit, with its bytes.
    """

    def __init__(self, url: str, *, clock: Clock, waiting_bytes: int = WAITING_BYTES) -> None:
        self.failing = ""
        self.commits = 0
        self.overtaken = 0
        self.stale = 0
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
            StaleState: nothing is committed: another gateway has gone on from that state.
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
            group = [waiting for waiting in group if not waiting.is_settled]
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
        boots: dict[tuple[str, int], _Boot] = {}
        for waiting in group:
            key = waiting.append.device, waiting.append.boot
            boots.setdefault(key, _Boot()).waiting.append(waiting)
        # All gateways take the rows of boots in this order: no two wait for each other.
        left = [boots[key] for key in sorted(boots)]
        size_bytes = sum(waiting.size_bytes for waiting in group)
        for _ in range(TRIES):
            await self._sessions.open(
                connection,
                [waiting.append for boot in left for waiting in boot.waiting],
                self._clock.now_ns(),
            )
            left = await self._try(connection, left)
            if not left:
                break
        self.commits += 1
        self._succeeded()
        self.committed(size_bytes)
        for boot in left:
            for waiting in boot.waiting:
                self._refuse(waiting, StoreAway("too many write for this device at once"))

    async def _try(self, connection: asyncpg.Connection, boots: Sequence[_Boot]) -> list[_Boot]:
        """Commit boots; give those that are to be tried again."""
        written = []
        for boot in boots:
            for waiting in boot.waiting:
                if not waiting.has_work:
                    self._settle(waiting, 0)
            boot.waiting = [waiting for waiting in boot.waiting if not waiting.is_settled]
            if boot.waiting:
                written.append(boot)
        again = []
        outcomes = await self._insert(connection, written) if written else []
        for boot, (outcome, turn) in zip(written, outcomes, strict=True):
            if outcome == OPEN:
                for step, waiting in enumerate(boot.waiting, 1):
                    self._settle(waiting, turn + step)
            elif outcome == STALE:
                self._refuse_stale(boot, turn)
            else:
                again.append(boot)
                if outcome == OVERTAKEN:
                    self.overtaken += 1
                elif outcome == ABSENT:
                    self._sessions.forget_boot(*boot.key)
        for boot, (outcome, _) in zip(written, outcomes, strict=True):
            if outcome == KNOWN:
                for waiting in boot.waiting:
                    await self._trim(connection, waiting)
        return again

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
        self, connection: asyncpg.Connection, boots: Sequence[_Boot]
    ) -> Sequence[tuple[int, int]]:
        """Commit boots in one statement; give what became of each, and its turn before that."""
        rows = [
            (place, step, waiting.append, self._sessions.id_of(waiting.append), piece)
            for place, boot in enumerate(boots, 1)
            for step, waiting in enumerate(boot.waiting, 1)
            for piece in waiting.pieces
        ]
        keys = [boot.key for boot in boots]
        # Where an append has a state it is the only one of its boot in this group.
        appends = [boot.waiting[-1].append for boot in boots]
        found = await connection.fetch(
            _APPEND,
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[2].device for row in rows],
            [row[2].boot for row in rows],
            [row[4].seq_first for row in rows],
            [row[4].seq_last for row in rows],
            [row[3] for row in rows],
            [row[4].time_min_ns for row in rows],
            [row[4].time_max_ns for row in rows],
            [row[4].body for row in rows],
            [row[2].vin for row in rows],
            [row[4].readings for row in rows],
            [row[4].transmitted for row in rows],
            [row[4].suppressed for row in rows],
            [row[4].bytes_plain for row in rows],
            [row[4].bytes_sent for row in rows],
            self._clock.now_ns(),
            list(range(1, len(boots) + 1)),
            [key[0] for key in keys],
            [key[1] for key in keys],
            [append.turn for append in appends],
            [len(boot.waiting) for boot in boots],
            [append.state for append in appends],
        )
        return [(row["outcome"], row["turn"]) for row in found]

    @staticmethod
    async def _trim(connection: asyncpg.Connection, waiting: _Waiting) -> None:
        """Leave what is missing of pieces that are known in part; count what is known."""
        rest: list[Piece] = []
        for piece in waiting.pieces:
            append = waiting.append
            stored = await connection.fetch(
                _OVERLAPS, append.device, append.boot, piece.seq_first, piece.seq_last
            )
            missing = missing_of(piece, [(row[0], row[1]) for row in stored])
            waiting.duplicates += piece.readings - sum(part.readings for part in missing)
            rest += missing
        waiting.pieces = rest

    def _settle(self, waiting: _Waiting, turn: int) -> None:
        """Tell who waits that it is committed."""
        self._end(waiting)
        if not waiting.done.done():
            waiting.done.set_result(Appended(waiting.pieces, waiting.duplicates, turn))

    # -- failures --------------------------------------------------------------------------------
    def _fail(self, reason: str, group: Sequence[_Waiting]) -> None:
        """Tell everybody who waits: each may come again, and memory is free for others."""
        if not self.failing:
            log.error("commit of devices failed", reason=reason, appends=len(group))
        self.failing = reason
        self._forget_connection()
        for waiting in group:
            self._refuse(waiting, StoreAway(reason))
        self._fail_all(reason)

    def _refuse_content(self, reason: str, waiting: _Waiting) -> None:
        """Tell the one whose content the database does not take; it says nothing of others."""
        log.error("readings cannot be stored", device=waiting.append.device, reason=reason)
        self._forget_connection()
        self._refuse(waiting, StoreAway(reason))

    def _refuse_stale(self, boot: _Boot, turn: int) -> None:
        for waiting in boot.waiting:
            self.stale += 1
            made_from = waiting.append.turn
            found = f"turn {turn}: another gateway has gone on with device {boot.key[0]!r}"
            self._refuse(
                waiting, StaleState(f"expected a state of turn {made_from}, found {found}")
            )

    def _forget_connection(self) -> None:
        """End the connection, whatever it was in the middle of: a new one knows nothing of it."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._sessions.forget()

    def _fail_all(self, reason: str) -> None:
        while self._queue:
            self._refuse(self._queue.popleft(), StoreAway(reason))

    def _refuse(self, waiting: _Waiting, error: StoreError) -> None:
        if waiting.is_settled:
            return
        self._end(waiting)
        if not waiting.done.done():
            waiting.done.set_exception(error)
            waiting.done.exception()  # seen: a caller that is gone is no news

    def _end(self, waiting: _Waiting) -> None:
        waiting.is_settled = True
        self._account(waiting, -1)

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
            # Parts of a group are joined by hashing: a nested loop over a thousand rows, which a
            # generic plan may choose, takes a hundred times as long. What is stored is looked up by
            # its index, however small the tables were when the plan was made.
            await connection.execute("SET enable_nestloop = off; SET enable_seqscan = off")
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
