"""Makes segments and rollups of the hot log, a finished cycle of the ring at a time.

    open cycle --old or large enough--> finished --one transaction--> segments, rollups, numbers
                                                 --nobody reads it any more--> its table emptied

The transaction that stores the segments also says that the cycle is compacted: killed at whatever
moment, each reading is in exactly one place. Readers see the one state or the other
(`hot_live`). Nothing is deleted from the hot log: a table is truncated when no snapshot is left
that is older than its compaction.

Works on a connection of its own, in small steps in the event loop, and only when something was
committed. In a gateway that is busy it takes a fifth of the loop's time; in a process of its own
(`server.store.compact`) all of it. Of several on one database one compacts at a time: the one that
has the lease of the store, which is checked in each transaction that changes something. One that
was paused and goes on when another has taken its place changes nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import asyncpg
import msgspec
import structlog

from server.clock import Clock
from server.errors import BodyError, Fenced, StoreError
from server.instances.fence import ALONE_TOKEN, IDLE_STORE_MS, fenced
from server.instances.shard import STORE
from server.store import segment_table
from server.store.body import decode_parts
from server.store.config import StoreConfig
from server.store.connection import DATABASE_ERRORS, connect, first_line
from server.store.partitions import (
    BY_DAY,
    BY_MONTH,
    CONTENTS,
    DAY_NS,
    Partitions,
    drop_before,
    table_of,
)
from server.store.ring import RING_LOCK, SLOTS
from server.store.rollup import (
    LONG_NS,
    SHORT_NS,
    Window,
    encode_short,
    is_dense,
    joined,
    may_be_dense,
    windows,
)
from server.store.segment import (
    Building,
    Column,
    Encoder,
    Segment,
    catalogue_steps,
    decode_segment,
)
from server.store.segment_table import Key, Wanted, Written
from server.store.windows import MOST_OF_SIGNAL, MOST_SAMPLES, Windows, merged

log = structlog.get_logger("telerig.store")

LOCK_KEY = 0x7E1E_0003
LOOK_S = 60.0
"""So often it is looked whether there is something to do, at most, and only after commits."""
OWNER_LOOK_S = 10.0
"""The owner of the store looks so often: the others commit without a word to it."""
STANDING_MS = 1000
"""A transaction for which others wait is ended by the server when its process stands still so
long."""
RETENTION_S = 3600.0
STEP_TIMEOUT_S = 120.0
CLOSE_TIMEOUT_S = 5.0
PAGE_ROWS = 32
BREATHE_S = 0.002
"""After work of this length others get their turns: of the loop, until there is nothing to do,"""
OTHERS_SHARE = 4.0
"""and for this many times that length, if there is so much."""
NOTHING_S = 0.0001
"""A turn of the loop that took no longer had nothing to do."""
SMALL_SAMPLES = 32_768
"""Parts of one window are put together up to so many readings: long columns are the smaller ones,
and each segment has its price."""
CHEAP_SAMPLES = 4096
"""But one that has more readings than this, and more than what comes to it, stays as it is: to
encode it anew each time costs more than all else (a column of 240 is as good as one of 600)."""
PARTS_AT_ONCE = 64
"""So many windows go to the database together."""
VACUUM_S = 60.0
"""So often at most the room is freed that segments leave when they are put together."""

_STATE = """
    SELECT cycle, compacted, emptied,
           -- The first one that lies there: a table of the ring is filled from its beginning.
           (SELECT written_ns FROM hot WHERE slot = cycle % 4 AND hot.cycle = hot_ring.cycle
            LIMIT 1) AS oldest_ns,
           pg_total_relation_size(format('hot_%s', cycle % 4)::regclass) AS size_bytes
    FROM hot_ring, hot_progress
"""
_ENDED_WHEN_SILENT = f"""
    SET idle_in_transaction_session_timeout = {IDLE_STORE_MS};
    SET idle_session_timeout = {IDLE_STORE_MS}
"""
_NEXT = "UPDATE hot_ring SET cycle = cycle + 1, opened_ns = $2 WHERE cycle = $1"
_ROWS = """
    SELECT device, boot, seq_first, time_min_ns, body FROM hot WHERE slot = $1 AND cycle = $2
    ORDER BY device, boot, time_min_ns, seq_first
"""
_NUMBERS = """
    INSERT INTO stored_numbers AS kept (device, boot, bucket, numbers, written_ns)
    SELECT device, boot, bucket,
           range_agg(int8range(greatest(seq_first, bucket << 24),
                               least(seq_last, (bucket << 24) | 16777215), '[]')), $3
    FROM hot, generate_series(seq_first >> 24, seq_last >> 24) AS bucket
    WHERE slot = $1 AND cycle = $2 AND boot <> 0
    GROUP BY device, boot, bucket
    ON CONFLICT (device, boot, bucket) DO UPDATE SET
        numbers = kept.numbers + excluded.numbers, written_ns = excluded.written_ns
"""
_CONTENTS = """
    INSERT INTO stored_contents (device, number, kept_ns)
    SELECT device, seq_first, $3 FROM hot WHERE slot = $1 AND cycle = $2 AND boot = 0
"""
_DONE = """
    UPDATE hot_progress SET compacted = $1, done = pg_current_xact_id()::text::bigint
    WHERE compacted = $1 - 1
"""
# A snapshot that was taken before the compaction was committed has an older xmin.
_READ = """
    SELECT EXISTS (
        SELECT FROM pg_stat_activity, hot_progress
        WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_xmin IS NOT NULL
          AND age(backend_xmin) >= age((done & 4294967295)::text::xid)
    )
"""
_EMPTIED = "UPDATE hot_progress SET emptied = $1 WHERE emptied = $1 - 1"
_DAMAGED = """
    INSERT INTO hot_damaged
    SELECT device, boot, seq_first, seq_last, written_ns, $5, body FROM hot
    WHERE slot = $1 AND cycle = $2 AND device = $3 AND boot = $4 AND seq_first = $6
"""
_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint"
_FORGET = """
    DELETE FROM stored_numbers WHERE written_ns < $1
"""


class _Part(NamedTuple):
    """What a cycle has of one window of a boot."""

    device: str
    boot: int
    begin_ns: int
    columns: list[Column]

    @property
    def key(self) -> tuple[str, int, int]:
        return self[:3]

    @property
    def samples(self) -> int:
        return sum(len(column.values) for column in self.columns)

    def wanted(self, length_ns: int) -> Wanted:
        """Say which stored segment it can be put together with."""
        longest = max(len(column.values) for column in self.columns)
        end_ns = self.begin_ns + length_ns
        room = min(SMALL_SAMPLES - self.samples, max(self.samples, CHEAP_SAMPLES))
        return Wanted(*self.key, end_ns, room, MOST_OF_SIGNAL - longest)


class Compacted(msgspec.Struct):
    """What a compactor has done since its start."""

    cycles: int = 0
    samples: int = 0
    segments: int = 0
    bytes: int = 0
    failed: int = 0
    busy_s: float = 0.0
    dropped: int = 0
    fenced: int = 0


class _State(msgspec.Struct, frozen=True):
    """How the ring is."""

    cycle: int
    compacted: int
    emptied: int
    oldest_ns: int | None
    size_bytes: int

    @property
    def has_rows(self) -> bool:
        """Whether anything stands in the open cycle."""
        return self.oldest_ns is not None


class Compactor:
    """Compacts in the background; made without I/O.

    Args:
        url: of the database, whose schema is up to date.
        clock: for the age of what is there.
        config: when, and how long what is kept.
        lease: gives the token of the store's lease, None while another gateway has it; left out
            where there are no leases: then a lock of the database keeps two apart.
        is_told: somebody calls `committed` after each commit; else it looks by itself, as it also
            does where there are leases: other gateways commit without a word to it.
        say: takes a line of the log about each cycle.

    Attributes:
        failing: why the last attempt failed; empty while they succeed.
        counts: what was done.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        config: StoreConfig | None = None,
        lease: Callable[[], int | None] | None = None,
        *,
        is_told: bool = True,
        say: Callable[..., Any] | None = None,
    ) -> None:
        self.failing = ""
        self.counts = Compacted()
        self._url = url
        self._clock = clock
        self._config = config if config is not None else StoreConfig()
        self._lease = lease
        self._is_told = is_told and lease is None
        self._say = say
        self._token = ALONE_TOKEN
        self._encoder = Encoder()
        self._length_ns = round(self._config.window_s * 1e9)
        self._partitions = Partitions()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._retention_s: float | None = None
        self._breathed_s = 0.0
        self._left: set[str] = set()
        self._vacuum_s = 0.0

    def committed(self, size_bytes: int) -> None:
        """Take note that rows of so many bytes were committed; called in the event loop."""
        if self._lease is not None and self._lease() is None:
            return  # the owner looks by itself
        self._bytes += size_bytes
        if self._task is not None or self._closing:
            return
        if self._bytes >= self._config.compact_bytes:
            self._begin()
        elif self._timer is None:
            self._arm(self._look_s)

    def look(self) -> None:
        """See soon whether there is something to do: the store's lease is ours now."""
        if self._task is None and not self._closing:
            self._begin()

    async def close(self) -> None:
        """End; what was in the middle is as if it had not begun."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def run_once(self, *, all_of_it: bool = False) -> None:
        """Do now what is to be done; `all_of_it`: also what is not old enough yet.

        Raises:
            StoreError, DATABASE_ERRORS: the database is away, or refuses; it is all as it was.
            Fenced: another gateway has taken the store's lease meanwhile.
        """
        token = self._owned_token
        if token is None:
            return  # another gateway compacts
        self._token = token
        connection = await connect(self._url)
        try:
            if not self._is_told:
                # A process that is paused, or gone with its machine, keeps lock and place so long.
                await connection.execute(_ENDED_WHEN_SILENT)
            # Without leases another one compacts where the lock is taken.
            if token != ALONE_TOKEN or await connection.fetchval(
                "SELECT pg_try_advisory_lock($1)", LOCK_KEY
            ):
                await self._work(connection, all_of_it)
        except BaseException:
            connection.terminate()
            self._partitions.forget()
            raise
        await connection.close(timeout=CLOSE_TIMEOUT_S)

    @property
    def _owned_token(self) -> int | None:
        return ALONE_TOKEN if self._lease is None else self._lease()

    @contextlib.asynccontextmanager
    async def _owned(self, connection: asyncpg.Connection) -> AsyncIterator[None]:
        """A transaction that changes nothing unless the store is still ours."""
        async with connection.transaction():
            await fenced(connection, STORE, self._token)
            yield

    @property
    def _not_standing(self) -> str:
        """SQL of a transaction for which others wait: it is ended when it stands still."""
        if self._is_told:
            return ""  # who waits stands still as well: it is the same process
        return f"SET LOCAL idle_in_transaction_session_timeout = {STANDING_MS}"

    # -- when ------------------------------------------------------------------------------------
    @property
    def _look_s(self) -> float:
        return min(LOOK_S, self._config.compact_after_s)

    def _arm(self, wait_s: float) -> None:
        if self._timer is None and not self._closing:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(wait_s, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None and not self._closing:
            self._task = asyncio.create_task(self._run(), name="compactor")

    async def _run(self) -> None:
        begin_s = self._clock.monotonic_s()
        wait_s: float | None = self._look_s
        try:
            self._bytes = 0
            await self.run_once()
            wait_s = self._wait_s
        except Fenced as error:
            self.counts.fenced += 1
            log.info("compaction left to its new owner", reason=str(error))
        except (*DATABASE_ERRORS, StoreError) as error:
            self._failed(first_line(error))
        except Exception as error:
            log.exception("compaction failed")  # a task boundary: the next attempt may succeed
            self._failed(repr(error))
        else:
            if self.failing:
                log.info("compaction succeeds again", failed=self.counts.failed)
            self.failing = ""
        self.counts.busy_s += self._clock.monotonic_s() - begin_s
        self._task = None
        if self._owned_token is None:
            return
        if not self._is_told:
            wait_s = min(OWNER_LOOK_S, self._look_s, wait_s or OWNER_LOOK_S)
        if self._bytes >= self._config.compact_bytes and not self.failing:
            self._begin()
        elif wait_s is not None or self._bytes:
            self._arm(wait_s if wait_s is not None else self._look_s)

    _wait_s: float | None = None
    """When something will be to do that is known of now."""

    def _failed(self, reason: str) -> None:
        self.counts.failed += 1
        if reason != self.failing:
            log.error("compaction failed", reason=reason, next="tried again until it succeeds")
        self.failing = reason

    async def _breathe(self) -> None:
        """Give others their turns, as long as they use them, up to most of the loop's time."""
        clock = self._clock
        now_s = clock.monotonic_s()
        worked_s = now_s - self._breathed_s
        if worked_s < BREATHE_S:
            return
        until_s = now_s + worked_s * OTHERS_SHARE
        while True:
            await asyncio.sleep(0)
            before_s, now_s = now_s, clock.monotonic_s()
            if now_s - before_s < NOTHING_S or now_s >= until_s:
                break
        self._breathed_s = now_s

    # -- what ------------------------------------------------------------------------------------
    async def _work(self, connection: asyncpg.Connection, all_of_it: bool) -> None:
        state = await self._state(connection)
        if state.emptied < state.compacted:
            await self._empty(connection, state)
            state = await self._state(connection)
        if state.has_rows and (all_of_it or self._is_due(state)):
            await self._finish(connection, state)
            state = await self._state(connection)
        for cycle in range(state.compacted + 1, state.cycle):
            await self._compact(connection, cycle)
        await self._vacuum(connection)
        await self._retain(connection)
        state = await self._state(connection)
        self._wait_s = None
        if state.has_rows:
            age_s = (self._clock.now_ns() - (state.oldest_ns or 0)) / 1e9
            # Not at once again, where the ring has no free table.
            self._wait_s = max(self._look_s / 10, self._config.compact_after_s - age_s)
        if state.emptied < state.compacted:
            self._wait_s = min(self._wait_s or self._look_s, self._look_s)

    @staticmethod
    async def _state(connection: asyncpg.Connection) -> _State:
        row = await connection.fetchrow(_STATE, timeout=STEP_TIMEOUT_S)
        assert row is not None
        return _State(**dict(row))

    def _is_due(self, state: _State) -> bool:
        age_ns = self._clock.now_ns() - (state.oldest_ns or 0)
        return (
            age_ns >= self._config.compact_after_s * 1e9
            or state.size_bytes >= self._config.compact_bytes
        )

    async def _finish(self, connection: asyncpg.Connection, state: _State) -> None:
        """End the open cycle, where the next table of the ring is free."""
        if state.emptied <= state.cycle - SLOTS:
            return
        with contextlib.suppress(asyncpg.LockNotAvailableError):  # next time, then
            async with self._owned(connection):
                # Writers hold the ring for as long as a commit takes.
                await connection.execute(f"SET LOCAL lock_timeout = 2000; {self._not_standing}")
                await connection.execute("SELECT pg_advisory_xact_lock($1)", RING_LOCK)
                await connection.execute(_NEXT, state.cycle, self._clock.now_ns())

    async def _empty(self, connection: asyncpg.Connection, state: _State) -> None:
        if await connection.fetchval(_READ):
            return
        for cycle in range(state.emptied + 1, state.compacted + 1):
            try:
                async with self._owned(connection):
                    # Who waits for this lock keeps all others waiting: not for long.
                    await connection.execute(f"SET LOCAL lock_timeout = 100; {self._not_standing}")
                    # First: where another one has emptied it, it has newer rows by now.
                    done = await connection.execute(_EMPTIED, cycle)
                    if done != "UPDATE 1":
                        raise StoreError(f"expected cycle {cycle} to be the next to empty: {done}")
                    await connection.execute(f"TRUNCATE hot_{cycle % SLOTS}")
            except asyncpg.LockNotAvailableError:
                return

    async def _compact(self, connection: asyncpg.Connection, cycle: int) -> None:
        """Store the segments of a finished cycle, in one transaction."""
        counts = Compacted()
        began_s = self._clock.monotonic_s()
        place = cycle % SLOTS, cycle
        now_ns = self._clock.now_ns()
        async with self._owned(connection):
            parts: dict[tuple[str, int, int], _Part] = {}
            held = 0
            async for part in self._windows(connection, place):
                held += part.samples
                if part.key in parts or len(parts) >= PARTS_AT_ONCE or held > MOST_SAMPLES:
                    await self._store(connection, [*parts.values()], counts)
                    parts.clear()
                    held = part.samples
                parts[part.key] = part
            if parts:
                await self._store(connection, [*parts.values()], counts)
            await connection.execute(_NUMBERS, *place, now_ns, timeout=STEP_TIMEOUT_S)
            await self._partitions.ensure(connection, CONTENTS, [now_ns])
            await connection.execute(_CONTENTS, *place, now_ns, timeout=STEP_TIMEOUT_S)
            done = await connection.execute(_DONE, cycle)
            if done != "UPDATE 1":
                raise StoreError(f"expected cycle {cycle} to be the next to compact: {done}")
        self.counts.cycles += 1
        self.counts.samples += counts.samples
        self.counts.segments += counts.segments
        self.counts.bytes += counts.bytes
        say = self._say if self._say is not None else log.debug  # as logging is set up by now
        say(
            "compacted", cycle=cycle, samples=counts.samples, segments=counts.segments,
            bytes=counts.bytes, took_s=round(self._clock.monotonic_s() - began_s, 3),
        )  # fmt: skip

    async def _windows(
        self, connection: asyncpg.Connection, place: tuple[int, int]
    ) -> AsyncIterator[_Part]:
        """Give what a cycle has, by device, boot and window: bounded in memory."""
        gathered = Windows(self._length_ns)
        key: tuple[str, int] | None = None
        cursor = await connection.cursor(_ROWS, *place, timeout=STEP_TIMEOUT_S)
        while rows := await cursor.fetch(PAGE_ROWS, timeout=STEP_TIMEOUT_S):
            for row in rows:
                if key is not None and key != (row["device"], row["boot"]):
                    for window in gathered.before(None):
                        yield _Part(*key, *window)
                key = row["device"], row["boot"]
                for window in gathered.before(row["time_min_ns"]):
                    yield _Part(*key, *window)
                try:
                    found = decode_parts(row["body"])
                except BodyError as error:
                    await self._keep_damaged(connection, place, row, str(error))
                    continue
                except Exception as error:
                    # The border of the decoder, as in `server.ingest.uplink`.
                    log.exception("stored row poisons the decoder", device=row["device"])
                    await self._keep_damaged(connection, place, row, repr(error))
                    continue
                for column in found:
                    gathered.add(*column)
                while gathered.is_full:
                    for window in gathered.largest():
                        yield _Part(*key, *window)
                await self._breathe()
        for window in gathered.before(None):
            assert key is not None
            yield _Part(*key, *window)

    @staticmethod
    async def _keep_damaged(
        connection: asyncpg.Connection, place: tuple[int, int], row: asyncpg.Record, reason: str
    ) -> None:
        """Keep a row that cannot be read, aside: it must not keep the others from their place."""
        device, boot, number = row["device"], row["boot"], row["seq_first"]
        log.error("stored row is damaged", device=device, boot=boot, seq=number, reason=reason)
        await connection.execute(_DAMAGED, *place, device, boot, reason, number)

    async def _store(
        self, connection: asyncpg.Connection, parts: Sequence[_Part], counts: Compacted
    ) -> None:
        """Store windows, each put together with the little that is there of it."""
        wanted = [part.wanted(self._length_ns) for part in parts if part.samples < SMALL_SAMPLES]
        stored = await segment_table.near(connection, wanted, STEP_TIMEOUT_S)
        found = {
            (wanted[place].device, wanted[place].boot, wanted[place].begin_ns): kept
            for place, kept in stored.items()
        }
        numbers = await segment_table.numbers(connection, len(parts))
        removed, written = [], []
        for part, number in zip(parts, numbers, strict=True):
            columns = part.columns
            counts.samples += part.samples
            kept = found.get((part.device, part.boot, part.begin_ns))
            before = None if kept is None else await self._decoded(*kept)
            if kept is not None and before is not None:
                columns = merged(before, columns)
                removed.append(kept)
            written.append(await self._built(Key(part.device, part.boot, number), columns))
        for _, segment in removed:
            self._left.update(table_of(table, segment.t0_ns) for table in (*BY_DAY, BY_MONTH))
        await segment_table.remove(connection, removed, STEP_TIMEOUT_S)
        await segment_table.write(connection, written, self._partitions, STEP_TIMEOUT_S)
        counts.segments += len(written) - len(removed)
        counts.bytes += sum(len(one.segment.data) for one in written)
        counts.bytes -= sum(len(segment.data) for _, segment in removed)

    async def _decoded(self, key: Key, segment: Segment) -> list[Column] | None:
        """Give the columns of a segment; None for a damaged one, which stays as it is: it must not
        keep the others from their place."""
        columns = []
        try:
            for column in decode_segment(segment):
                columns.append(column)
                await self._breathe()
        except BodyError as error:
            log.error(
                "segment is damaged",
                device=key.device,
                boot=key.boot,
                id=key.number,
                reason=str(error),
            )
            return None
        return columns

    async def _built(self, key: Key, columns: Sequence[Column]) -> Written:
        """Encode a segment and its rollups."""
        building = Building(self._encoder)
        short: dict[int, list[Window]] = {}
        long: dict[int, list[Window]] = {}
        for column in columns:
            readings = building.add(column)
            if may_be_dense(readings.times_ns):
                found = windows(readings, SHORT_NS)
                long[column.signal] = joined(found, LONG_NS)
                if is_dense(found):
                    short[column.signal] = found
            else:
                long[column.signal] = windows(readings, LONG_NS)
            await self._breathe()
        segment = building.segment()
        row = await self._short_row(key, segment, short) if short else None
        return Written(key, segment, row, segment_table.long_rows(key, long))

    async def _short_row(
        self, key: Key, segment: Segment, short: dict[int, list[Window]]
    ) -> segment_table.Row:
        ends, streams, size = [], [], 0
        for signal, found in short.items():
            step = catalogue_steps(signal)[0]
            streams.append(encode_short(self._encoder.scaler, signal, step, found))
            size += len(streams[-1])
            ends.append(size)
            await self._breathe()
        place = key.device, key.boot, segment.t0_ns, segment.t1_ns, key.number
        return *place, [*short], ends, b"".join(streams)

    async def _vacuum(self, connection: asyncpg.Connection) -> None:
        """Free the room of segments that were put into others, for the next ones.

        Now, because it is needed at the next compaction; autovacuum waits until it is a fifth of
        the table.
        """
        now_s = self._clock.monotonic_s()
        if now_s < self._vacuum_s:
            return
        self._vacuum_s = now_s + VACUUM_S
        for table in sorted(self._left):
            self._left.discard(table)
            with contextlib.suppress(asyncpg.PostgresError):  # it was dropped, or the disk is full
                if await connection.fetchval("SELECT to_regclass($1)", table) is not None:
                    await connection.execute(
                        f"VACUUM (SKIP_LOCKED, TRUNCATE false) {table}", timeout=STEP_TIMEOUT_S
                    )

    async def _retain(self, connection: asyncpg.Connection) -> None:
        """Drop what is too old, now and then."""
        now_s = self._clock.monotonic_s()
        if self._retention_s is not None and now_s < self._retention_s:
            return
        if self._owned_token != self._token:
            return
        self._retention_s = now_s + RETENTION_S
        config, now_ns = self._config, self._clock.now_ns()
        if self._token != ALONE_TOKEN:
            # Of many machines one has a clock that is ahead: it must drop nothing for that.
            now_ns = min(now_ns, await connection.fetchval(_NOW))
        dropped = await drop_before(connection, [CONTENTS], now_ns - config.content_days * DAY_NS)
        if config.raw_days:
            horizon_ns = now_ns - config.raw_days * DAY_NS
            dropped += await drop_before(connection, BY_DAY, horizon_ns)
            await connection.execute(_FORGET, horizon_ns)
        if config.rollup_days:
            horizon_ns = now_ns - config.rollup_days * DAY_NS
            dropped += await drop_before(connection, [BY_MONTH], horizon_ns)
        if dropped:
            self._partitions.forget()
            self.counts.dropped += len(dropped)
            log.info("old readings dropped", tables=dropped)
