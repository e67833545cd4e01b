"""The newest reading of each signal of each device: gathered, and written now and then.

What is gathered and not written yet is in memory; all else is in the table `latest`. After a crash
the hot log has what was not written: `rebuild` reads it again. Of several gateways each writes what
it has committed; a reading that is older than the one in the table changes nothing.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg
import structlog

from server.clock import Clock
from server.errors import BodyError, StoreError
from server.readings import Reading
from server.store.appends import Piece
from server.store.body import decode_parts
from server.store.connection import DATABASE_ERRORS, first_line

log = structlog.get_logger("telerig.store")

MOST_GATHERED = 50_000
"""Newest readings that wait to be written, at most; beyond, those that come first stay."""
HURRY_GATHERED = MOST_GATHERED // 4
"""So many are written at once, and not when their time has come."""
WRITE_ROWS = 5000
CLOSE_TIMEOUT_S = 3.0
LATE_NS = 60_000_000_000
REBUILT_NS = 3_600_000_000_000
"""So much of the end of the hot log is read again; a table that was never written has no more."""
REBUILD_TIMEOUT_S = 60.0

# In one order, so that no two gateways wait for each other.
_WRITE = """
    INSERT INTO latest AS kept (device, signal, boot, time_ns, value, state, written_ns)
    SELECT *, $7 FROM unnest(
        $1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::float8[], $6::smallint[]
    ) AS given (device, signal) ORDER BY given.device COLLATE "C", given.signal
    ON CONFLICT (device, signal) DO UPDATE SET
        boot = excluded.boot, time_ns = excluded.time_ns, value = excluded.value,
        state = excluded.state, written_ns = excluded.written_ns
    WHERE kept.time_ns <= excluded.time_ns
"""
_READ = "SELECT signal, boot, time_ns, value, state FROM latest WHERE device = $1"
_MISSED = """
    SELECT device, boot, body FROM hot
    WHERE written_ns >= coalesce($3, (SELECT coalesce(max(written_ns), 0) FROM latest)) - $1
      AND written_ns >= (SELECT max(written_ns) FROM hot) - $2
    ORDER BY written_ns
"""


_float = struct.Struct("<d").unpack


class Newest(NamedTuple):
    """The newest reading of a signal."""

    time_ns: int
    value: float
    state: int
    boot: int


class Latest:
    """Gathers the newest readings; made without I/O.

    Args:
        pool: connections to write with.
        clock: for the instants of writing.
        wait_s: from the first change to its writing.
    """

    def __init__(self, pool: asyncpg.Pool, clock: Clock, wait_s: float) -> None:
        self._pool = pool
        self._clock = clock
        self._wait_s = wait_s
        self._gathered: dict[tuple[str, int], Newest] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def take_readings(self, device: str, boot: int, readings: Sequence[Reading]) -> None:
        """Take committed readings of a link."""
        newest: dict[int, Reading] = {}
        for reading in readings:
            before = newest.get(reading.signal)
            if before is None or before.time_ns <= reading.time_ns:
                newest[reading.signal] = reading
        for signal, found in newest.items():
            self._take(device, signal, Newest(found.time_ns, found.value, found.state, boot))
        self._arm()

    def take_pieces(self, device: str, boot: int, pieces: Sequence[Piece]) -> None:
        """Take committed pieces of a device."""
        for piece in pieces:
            for signal, time_ns, value, state in piece.newest:
                before = self._gathered.get((device, signal))
                if before is None or before.time_ns <= time_ns:
                    self._take(device, signal, Newest(time_ns, _float(value)[0], state, boot))
            if not piece.newest:
                self._take_body(device, boot, piece.body)
        self._arm()

    def of(self, device: str) -> dict[int, Newest]:
        """Give what is gathered of a device and not written yet, by signal."""
        return {
            signal: newest for (name, signal), newest in self._gathered.items() if name == device
        }

    async def read(self, connection: asyncpg.Connection, device: str) -> Mapping[int, Newest]:
        """Give the newest reading of each signal of a device."""
        found = {
            row["signal"]: Newest(row["time_ns"], row["value"], row["state"], row["boot"])
            for row in await connection.fetch(_READ, device)
        }
        for signal, newest in self.of(device).items():
            if signal not in found or found[signal].time_ns <= newest.time_ns:
                found[signal] = newest
        return found

    async def rebuild(self, since_ns: int | None = None) -> None:
        """Take what a crash has left unwritten from the hot log, and write it.

        Args:
            since_ns: when the crash was, UTC nanoseconds; None: after the last writing of anybody,
                which is right where no other gateway has gone on.

        Raises:
            DATABASE_ERRORS: the database is away.
        """
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            async for row in connection.cursor(
                _MISSED, LATE_NS, REBUILT_NS, since_ns, timeout=REBUILD_TIMEOUT_S
            ):
                self._take_body(row["device"], row["boot"], row["body"])
                await asyncio.sleep(0)
        if self._gathered:
            await self._write()

    async def close(self) -> None:
        """Write what is gathered, as far as that is possible in short time."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                if self._task is not None:
                    await asyncio.gather(self._task, return_exceptions=True)
                await self._write()
        except (*DATABASE_ERRORS, StoreError) as error:
            log.info("newest values not written; the next start does", reason=first_line(error))

    def _take_body(self, device: str, boot: int, body: bytes) -> None:
        try:
            parts = decode_parts(body)
        except BodyError:
            return  # the compactor keeps it aside, and says so
        for signal, times_ns, values, states in parts:
            time_ns = max(times_ns)
            place = times_ns.index(time_ns)
            self._take(device, signal, Newest(time_ns, values[place], states[place], boot))

    def _take(self, device: str, signal: int, newest: Newest) -> None:
        key = device, signal
        before = self._gathered.get(key)
        if before is None:
            if len(self._gathered) < MOST_GATHERED:
                self._gathered[key] = newest
        elif before.time_ns <= newest.time_ns:
            self._gathered[key] = newest

    def _arm(self, *, may_hurry: bool = True) -> None:
        if self._task is not None or self._closing or not self._gathered:
            return
        hurries = may_hurry and len(self._gathered) >= HURRY_GATHERED
        if self._timer is not None and hurries:
            self._timer.cancel()
            self._timer = None
            self._begin()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(0.0 if hurries else self._wait_s, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._task = asyncio.create_task(self._run(), name="latest")

    async def _run(self) -> None:
        is_written = False
        try:
            await self._write()
            is_written = True
        except (*DATABASE_ERRORS, StoreError) as error:
            # Whoever commits says so; what could not be written is gathered still.
            log.debug("newest values not written yet", reason=first_line(error))
        except Exception:
            log.exception("newest values not written")  # a task boundary
        self._task = None
        self._arm(may_hurry=is_written)

    async def _write(self) -> None:
        while self._gathered:
            # All at once: a dict is looked through from where it once began, past all that has
            # been taken out of it since.
            gathered = list(self._gathered.items())
            for begin in range(0, len(gathered), WRITE_ROWS):
                await self._write_rows(gathered[begin : begin + WRITE_ROWS])
            if len(gathered) < WRITE_ROWS:
                return

    async def _write_rows(self, rows: Sequence[tuple[tuple[str, int], Newest]]) -> None:
        async with self._pool.acquire() as connection:
            await connection.execute(
                _WRITE,
                [key[0] for key, _ in rows],
                [key[1] for key, _ in rows],
                [newest.boot for _, newest in rows],
                [newest.time_ns for _, newest in rows],
                [newest.value for _, newest in rows],
                [newest.state for _, newest in rows],
                self._clock.now_ns(),
            )
        for key, newest in rows:
            if self._gathered.get(key) is newest:
                del self._gathered[key]
