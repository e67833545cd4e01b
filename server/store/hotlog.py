"""The durable hot log: batches of readings, acknowledged after the commit.

One connection of its own writes. The key of a batch is (device, boot, first sequence number), so
a batch that is written again after a lost answer changes nothing.

Commits of a boot have numbers, 1, 2, 3 … (turns), by which other gateways see them in order; the
last one stands in `link_turns`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

import asyncpg
import msgspec
import structlog

from server.catalogue import Signal, register
from server.clock import Clock
from server.errors import CatalogueError, StoreError
from server.readings import Reading
from server.store.body import encode_body
from server.store.connection import DATABASE_ERRORS, connect
from server.store.migrate import migrate
from server.store.ring import GATE
from server.store.sessions import (
    close_session,
    earlier_session,
    name_vehicle,
    open_session,
    recover_sessions,
)
from server.store.signals import keep_signals

log = structlog.get_logger("telerig.store")

DEVICE_LOCK = 0x7E1E_0002
DEVICE_LOCK_WAIT_S = 5.0  # a predecessor's connection may take a moment to be noticed as dead
DEVICE_LOCK_LOOK_S = 0.1
CLOSE_TIMEOUT_S = 5.0

CONNECTION_ERRORS = (
    OSError,  # TimeoutError included
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
)
"""After these the state of the connection is not known any more."""

_INSERT = f"""
WITH {GATE}, counted AS (
    INSERT INTO link_turns AS kept (device, boot, turn, last_ns)
    SELECT $1::text, $2::bigint, 1, $8::bigint
    FROM gate
    WHERE NOT EXISTS (
            SELECT FROM hot stored
            WHERE stored.device = $1 AND stored.boot = $2 AND stored.seq_first = $3
        )
        AND NOT coalesce((
            SELECT numbers @> $3::bigint FROM stored_numbers stored
            WHERE stored.device = $1 AND stored.boot = $2 AND stored.bucket = $3::bigint >> 24
        ), false)
    ON CONFLICT (device, boot) DO UPDATE SET turn = kept.turn + 1, last_ns = excluded.last_ns
    RETURNING turn
), added AS (
    INSERT INTO hot (device, boot, seq_first, seq_last, session_id, time_min_ns, time_max_ns,
                     written_ns, body, cycle, slot, turn)
    SELECT $1::text, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint,
           $8::bigint, $9::bytea, cycle, cycle % 4, turn
    FROM gate, counted
)
SELECT EXISTS (SELECT FROM gate) AS is_done, coalesce((SELECT turn FROM counted), (
    SELECT turn FROM hot stored
    WHERE stored.device = $1 AND stored.boot = $2 AND stored.seq_first = $3
), 0) AS turn
"""


class Batch(msgspec.Struct, frozen=True):
    """Readings that are committed together; the same again on each try.

    Attributes:
        seq_first: sequence number of the first reading.
        seq_last: sequence number of the last reading.
        time_min_ns: earliest instant measured.
        time_max_ns: latest instant measured.
        body: the readings, encoded.
        newest: the last reading of each signal.
        boot: of the run that accepted them, where that was an earlier one (`server.journal`).
        vin: the vehicle of that run, where it is known.
    """

    seq_first: int
    seq_last: int
    time_min_ns: int
    time_max_ns: int
    body: bytes
    newest: Sequence[Reading] = ()
    boot: int | None = None
    vin: str = ""

    @classmethod
    def of(cls, seq_first: int, readings: Sequence[Reading]) -> Self:
        """Make the batch of readings whose first has that sequence number."""
        times = [reading.time_ns for reading in readings]
        return cls(
            seq_first,
            seq_first + len(readings) - 1,
            min(times),
            max(times),
            encode_body(readings),
            tuple({reading.signal: reading for reading in readings}.values()),
        )


def _nobody(batch: Batch) -> None:
    """Nobody wants to know."""


Turned = Callable[[int, int, str, int, bytes], None]
"""Told of a commit: boot, turn, vehicle ("": not known), first number and body."""


class HotLog:
    """Writes for one device; one at a time holds a device on a database.

    Args:
        url: of the database.
        device: whose readings.
        boot: number of this run of the gateway.
        clock: for the instants of writing, opening, closing.
        vin: vehicle, where it is known from the start.
        signals: those of the configuration, which no built-in catalogue has.

    Attributes:
        committed: called after each commit.
        turned: called after each commit with its place among those of its boot; None: nobody
            wants to know.
    """

    def __init__(
        self,
        url: str,
        *,
        device: str,
        boot: int,
        clock: Clock,
        vin: str | None = None,
        signals: Sequence[Signal] = (),
    ) -> None:
        self.device = device
        self.boot = boot
        self.session_id = 0
        self.committed: Callable[[Batch], None] = _nobody
        self.turned: Turned | None = None
        self._url = url
        self._clock = clock
        self._vin = vin
        self._signals = signals
        self._new_vin: str | None = None
        self._connection: asyncpg.Connection | None = None

    async def open(self) -> None:
        """Connect, bring the schema up to date, close what a crash left open, open a session.

        Raises:
            DatabaseUnreachable: the database does not answer.
            MigrationError: its schema is not one that this version knows.
            StoreError: another gateway writes for this device, the database refuses to write, or
                a signal has the id of another one that is stored.
        """
        connection = await connect(self._url)
        try:
            await migrate(connection, self._clock)
            await self._lock_device(connection)
            register(await keep_signals(connection, self._signals, self._clock.now_ns()))
            recovered = await recover_sessions(connection, self.device)
            if recovered:
                log.warning("sessions recovered", device=self.device, sessions=recovered)
            self.session_id = await open_session(
                connection, self.device, self.boot, self._vin, self._clock.now_ns()
            )
        except asyncpg.PostgresError as error:
            connection.terminate()
            raise StoreError(f"the database refuses to open a session: {error}") from error
        except CatalogueError as error:
            connection.terminate()
            raise StoreError(f"a signal that is stored cannot be used: {error}") from error
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    def name_vehicle(self, vin: str) -> None:
        """Note the vehicle of the session; written with the next batch, or at the end."""
        self._vin = self._new_vin = vin

    async def append(self, batch: Batch) -> None:
        """Commit a batch; connects again where the connection is gone.

        Raises:
            StoreError, DATABASE_ERRORS: it may or may not be committed; try the same batch again.
        """
        connection = await self._connected()
        boot, session_id, vin = self.boot, self.session_id, self._vin or ""
        try:
            if self._new_vin is not None:
                await name_vehicle(connection, self.session_id, self._new_vin)
                self._new_vin = None
            if batch.boot is not None:
                boot, vin = batch.boot, batch.vin
                session_id = await earlier_session(
                    connection, self.device, boot, batch.vin, batch.time_min_ns, batch.time_max_ns
                )
            turn = await self._insert(connection, boot, session_id, batch)
        except CONNECTION_ERRORS:
            self._drop()
            raise
        self.committed(batch)
        if self.turned is not None and turn:
            self.turned(boot, turn, vin, batch.seq_first, batch.body)

    async def _insert(
        self, connection: asyncpg.Connection, boot: int, session_id: int, batch: Batch
    ) -> int:
        """Write a batch; give its turn, 0 where it is compacted already."""
        while True:
            row = await connection.fetchrow(
                _INSERT,
                self.device,
                boot,
                batch.seq_first,
                batch.seq_last,
                session_id,
                batch.time_min_ns,
                batch.time_max_ns,
                self._clock.now_ns(),
                batch.body,
            )
            assert row is not None
            if row["is_done"]:
                return int(row["turn"])
            # The cycle ended in this moment: nothing was done.

    async def close(self) -> None:
        """Close the session and the connection; where the database is away, the next start
        closes the session."""
        connection, self._connection = self._connection, None
        if connection is None or connection.is_closed():
            return
        try:
            if self._new_vin is not None:
                await name_vehicle(connection, self.session_id, self._new_vin)
            await close_session(connection, self.session_id, self._clock.now_ns())
            await connection.close(timeout=CLOSE_TIMEOUT_S)
        except DATABASE_ERRORS as error:
            connection.terminate()
            log.warning("session left open for the next start", reason=str(error))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        connection = await connect(self._url)
        try:
            await self._lock_device(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        return connection

    async def _lock_device(self, connection: asyncpg.Connection) -> None:
        """Make sure that nobody else writes for this device: two would close each other's
        sessions."""
        waited_s = 0.0
        while not await connection.fetchval(
            "SELECT pg_try_advisory_lock($1, hashtext($2))", DEVICE_LOCK, self.device
        ):
            if waited_s >= DEVICE_LOCK_WAIT_S:
                raise StoreError(
                    f"another gateway writes for device {self.device!r} on this database: "
                    "stop that one, or give this one another [gateway] device"
                )
            await asyncio.sleep(DEVICE_LOCK_LOOK_S)
            waited_s += DEVICE_LOCK_LOOK_S
