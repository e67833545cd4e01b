"""The hot log and its sessions on the real database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import pytest

import server.store.hotlog as hotlog_module
from server.clock import SystemClock
from server.errors import DatabaseUnreachable, StoreError
from server.readings import Reading
from server.store.connection import DATABASE_ERRORS, connect
from server.store.hotlog import Batch, HotLog
from server.store.sessions import Session, list_sessions
from tests.server.stored import fetch_readings


def make(url: str, boot: int = 1, device: str = "car-1", vin: str | None = None) -> HotLog:
    """A hot log that is not open yet."""
    return HotLog(url, device=device, boot=boot, clock=SystemClock(), vin=vin)


def batch(seq_first: int, *values: float) -> Batch:
    """A batch of RPM readings."""
    return Batch.of(seq_first, [Reading(12, 1_000, value, 2_000) for value in values])


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A second connection to the database."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


async def sessions(connection: asyncpg.Connection) -> list[Session]:
    """All sessions, newest first."""
    return await list_sessions(connection, 100)


@pytest.mark.promise("T02")
async def test_batches_are_stored_once(database_url: str) -> None:
    """A batch that is written again changes nothing."""
    log = make(database_url)
    await log.open()
    await log.append(batch(1, 1.0, 2.0))
    await log.append(batch(1, 1.0, 2.0))
    await log.append(batch(3, 3.0))
    await log.close()
    stored = await fetch_readings(database_url, "car-1")
    assert [(reading.seq, reading.value) for reading in stored] == [(1, 1.0), (2, 2.0), (3, 3.0)]


async def test_a_session_is_opened_and_closed(
    database_url: str, connection: asyncpg.Connection
) -> None:
    """A session lasts from open to close and carries the vehicle that came later."""
    log = make(database_url, boot=7)
    await log.open()
    (session,) = await sessions(connection)
    assert (session.device, session.boot, session.vin, session.closed_ns) == (
        "car-1",
        7,
        None,
        None,
    )
    log.name_vehicle("WF0DXXGAKDDK12345")
    await log.append(batch(1, 1.0))
    assert (await sessions(connection))[0].vin == "WF0DXXGAKDDK12345"
    await log.close()
    (session,) = await sessions(connection)
    assert session.closed_how == "stopped"
    assert session.closed_ns is not None
    assert session.closed_ns > session.opened_ns


async def test_a_vehicle_without_readings(
    database_url: str, connection: asyncpg.Connection
) -> None:
    """A vehicle that was named after the last batch is stored at the close."""
    log = make(database_url)
    await log.open()
    log.name_vehicle("WF0DXXGAKDDK12345")
    await log.close()
    assert (await sessions(connection))[0].vin == "WF0DXXGAKDDK12345"


async def test_a_crash_is_recovered(database_url: str, connection: asyncpg.Connection) -> None:
    """The next start closes what a crash left open, with the instant of its last batch."""
    crashed = make(database_url, boot=1)
    await crashed.open()
    await crashed.append(batch(1, 1.0))
    await crashed.append(batch(2, 2.0))
    crashed._drop()
    empty = make(database_url, boot=2)
    await empty.open()
    empty._drop()
    log = make(database_url, boot=3)
    await log.open()
    await log.close()
    third, second, first = await sessions(connection)
    last_ns = await connection.fetchval("SELECT max(written_ns) FROM hot")
    assert (first.closed_how, first.closed_ns) == ("recovered", last_ns)
    assert (second.closed_how, second.closed_ns) == ("recovered", second.opened_ns)
    assert third.closed_how == "stopped"


async def test_one_gateway_a_device(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second gateway for the same device is refused; for another device it is welcome."""
    monkeypatch.setattr(hotlog_module, "DEVICE_LOCK_WAIT_S", 0.05)
    monkeypatch.setattr(hotlog_module, "DEVICE_LOCK_LOOK_S", 0.01)
    one = make(database_url)
    await one.open()
    with pytest.raises(StoreError, match="another gateway writes for device 'car-1'"):
        await make(database_url, boot=2).open()
    other = make(database_url, boot=3, device="car-2")
    await other.open()
    await other.close()
    await one.close()


async def test_a_lost_connection_is_made_again(
    database_url: str, connection: asyncpg.Connection
) -> None:
    """After its connection was cut, the next try of the same batch gets through."""
    log = make(database_url)
    await log.open()
    await _cut(connection)
    # Whether the first try fails or already has a new connection is up to timing.
    with contextlib.suppress(*DATABASE_ERRORS):
        await log.append(batch(1, 1.0))
    await log.append(batch(1, 1.0))
    await log.append(batch(2, 2.0))
    await log.close()
    assert [reading.seq for reading in await fetch_readings(database_url)] == [1, 2]


async def _cut(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("postgres@/", "nobody_here@/"), 'role "nobody_here" does not exist'),
        (("?host", "_x?host"), "does not exist"),
        (("?host=%2Ftmp", "?host=%2Fabsent"), "No such file"),
        (("?host=", "?port=x&host="), "expected PostgreSQL at"),
    ],
)
async def test_unreachable_in_one_line(
    database_url: str, change: tuple[str, str], message: str
) -> None:
    """Wrong user, database, place or URL: one line with the URL and what to do."""
    url = database_url.replace("/tmp", "%2Ftmp").replace(*change)
    with pytest.raises(DatabaseUnreachable) as caught:
        await make(url).open()
    assert message in str(caught.value)
    assert "TELERIG_DATABASE_URL" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_close_with_the_database_away(
    database_url: str, connection: asyncpg.Connection
) -> None:
    """Closing after the connection was cut raises nothing; the next start closes the session."""
    log = make(database_url)
    await log.open()
    await _cut(connection)
    await log.close()
    await log.close()
