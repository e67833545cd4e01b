"""Sessions: made, started, stopped, described; ended whatever happens."""

from __future__ import annotations

import asyncpg
import pytest

from server.clock import SystemClock
from server.errors import DeviceConflict
from server.history.reader import columns
from server.sessions.model import SILENT_S, Asked, Changed, Described, Session
from server.sessions.store import Sessions, readings_of
from server.store.hotlog import Batch, HotLog
from tests.server.history.stored import RPM, S, reading, seal, store

NOW_NS = 1_800_000_000 * S


def at(connection: asyncpg.Connection, after_s: int, own: int = 0) -> Sessions:
    """Give the sessions as seen so long after the beginning."""
    return Sessions(connection, NOW_NS + after_s * S, own)


@pytest.mark.promise("E11")
@pytest.mark.promise("E13")
@pytest.mark.promise("E14")
async def test_a_life(connection: asyncpg.Connection) -> None:
    """A manual session is planned, runs, has ended; it keeps what is told of it."""
    described = Described(name="Lap 1", car_id="ST", driver="Ada", notes="dry")
    made = await at(connection, 0).make("car-1", described, "car-1")
    assert (made.state, made.name, made.car_id, made.driver) == ("planned", "Lap 1", "ST", "Ada")
    assert (made.duration_s, made.started, readings_of(made).end_ns) == (None, None, 0)
    with pytest.raises(DeviceConflict, match="was started"):
        await at(connection, 1).stop(made)
    started = await at(connection, 10).start(made)
    assert (started.state, started.opened_ns) == ("running", NOW_NS + 10 * S)
    assert await at(connection, 20).start(started) == await at(connection, 20).find(made.id)
    assert (await at(connection, 15).running("car-1")) is not None
    stopped = await at(connection, 70).stop(started)
    assert (stopped.state, stopped.duration_s, stopped.closed_how) == ("ended", 60, "stopped")
    assert await at(connection, 99).stop(stopped) == stopped
    with pytest.raises(DeviceConflict, match="has not ended"):
        await at(connection, 100).start(stopped)
    changed = await at(connection, 101).change(made.id, Changed(notes="wet"))
    assert (changed.notes, changed.name) == ("wet", "Lap 1")
    await at(connection, 102).remove(changed)
    assert await at(connection, 103).find(made.id) is None


async def test_one_at_a_time(connection: asyncpg.Connection) -> None:
    """A device has one running manual session; another device has its own."""
    first = await at(connection, 0).make("car-1", Described(), "car-1")
    second = await at(connection, 0).make("car-1", Described(), "car-1")
    other = await at(connection, 0).make("car-2", Described(), "car-1")
    await at(connection, 1).start(first)
    with pytest.raises(DeviceConflict, match=f"session {first.id} runs"):
        await at(connection, 2).start(second)
    assert (await at(connection, 2).start(other)).state == "running"


@pytest.mark.promise("T06")
async def test_readings_of_a_session(connection: asyncpg.Connection, database_url: str) -> None:
    """A session's readings are its device's in its time, or its boot's, and nobody else's."""
    for device, boot, offset in (("car-1", 1, 0.0), ("car-1", 2, 100.0), ("car-2", 1, 900.0)):
        first = 10 if boot == 2 else 0
        made = [reading(RPM, NOW_NS + (first + n) * S, offset + n) for n in range(10)]
        await store(database_url, device, boot, made)
    manual = await at(connection, 5).make("car-1", Described(), "car-1")
    manual = await at(connection, 13).stop(await at(connection, 7).start(manual))

    async def values(session: Session) -> list[float]:
        found = [c async for c in columns(connection, readings_of(session))]
        return sorted(value for column in found for value in column.values)

    assert await values(manual) == [7.0, 8.0, 9.0, 100.0, 101.0, 102.0]
    automatic = await at(connection, 20).list(Asked(kind="automatic"), 10)
    by_key = {(s.device, s.boot): s for s in automatic}
    assert await values(by_key["car-1", 2]) == [100.0 + n for n in range(10)]
    assert await values(by_key["car-2", 1]) == [900.0 + n for n in range(10)]


@pytest.mark.promise("E12")
@pytest.mark.promise("E21")
async def test_lists(connection: asyncpg.Connection) -> None:
    """Lists are filtered by device, state, kind and time, newest first, in pages."""
    for number in range(5):
        made = await at(connection, number).make(f"car-{number % 2}", Described(), "car-1")
        started = await at(connection, 10 * number).start(made)
        if number < 3:
            await at(connection, 10 * number + 5).stop(started)

    async def ids(limit: int = 10, offset: int = 0, **asked: object) -> list[int]:
        found = await at(connection, 100).list(Asked(**asked), limit, offset)  # type: ignore[arg-type]
        return [session.id for session in found]

    assert await ids() == [5, 4, 3, 2, 1]
    assert await ids(2, 1) == [4, 3]
    assert await ids(devices=frozenset({"car-1"})) == [4, 2]
    assert await ids(devices=frozenset()) == []
    assert await ids(state="running") == [5, 4]
    assert await ids(kind="automatic") == []
    assert await ids(start_ns=NOW_NS + 15 * S, end_ns=NOW_NS + 30 * S) == [3, 2]


async def test_a_crash_leaves_none_open(connection: asyncpg.Connection, database_url: str) -> None:
    """The next start of a gateway ends what its crash left open, with the last reading; sessions of
    another gateway go on."""
    log = HotLog(database_url, device="car-1", boot=1, clock=SystemClock())
    await log.open()
    mine = await at(connection, 0).make("car-1", Described(), "car-1")
    other = await at(connection, 0).make("car-9", Described(), "car-9")
    planned = await at(connection, 0).make("car-1", Described(), "car-1")
    begin_ns = SystemClock().now_ns()
    for session in (mine, other):
        await Sessions(connection, begin_ns).start(session)
    await log.append(_batch(begin_ns))
    assert log._connection is not None
    log._connection.terminate()

    again = HotLog(database_url, device="car-1", boot=2, clock=SystemClock())
    await again.open()
    sessions = Sessions(connection, SystemClock().now_ns(), again.session_id)
    found = {session.id: session for session in await sessions.list(Asked(), 10)}
    assert (found[mine.id].state, found[mine.id].closed_how) == ("ended", "recovered")
    assert found[mine.id].closed_ns > begin_ns  # type: ignore[operator]
    assert (found[log.session_id].state, found[log.session_id].closed_how) == ("ended", "recovered")
    assert found[other.id].state == "running"
    assert found[planned.id].state == "planned"
    assert found[again.session_id].state == "running"
    started = await sessions.start(planned)
    await again.close()
    assert (await sessions.find(started.id)).closed_how == "stopped"  # type: ignore[union-attr]


async def test_a_crash_after_compaction(connection: asyncpg.Connection, database_url: str) -> None:
    """A session whose readings are all in segments ends with the last of them."""
    log = HotLog(database_url, device="car-1", boot=1, clock=SystemClock())
    await log.open()
    last_ns = (SystemClock().now_ns() // S + 5) * S
    await log.append(_batch(last_ns))
    await seal(database_url)
    assert log._connection is not None
    log._connection.terminate()
    again = HotLog(database_url, device="car-1", boot=2, clock=SystemClock())
    await again.open()
    found = await Sessions(connection, last_ns).find(log.session_id)
    assert (found.closed_how, found.closed_ns) == ("recovered", last_ns)  # type: ignore[union-attr]
    await again.close()


async def test_who_is_silent_has_ended(connection: asyncpg.Connection) -> None:
    """A session of a device that went away for ever has ended; it goes on where the device does."""
    await connection.execute(
        "INSERT INTO sessions (device, boot, opened_ns, remote) VALUES ('esp', 3, $1, true)", NOW_NS
    )
    await connection.execute(
        "INSERT INTO device_boots (device, boot, session_id, first_ns, last_ns)"
        " VALUES ('esp', 3, 1, $1, $2)",
        NOW_NS,
        NOW_NS + 60 * S,
    )
    found = await at(connection, SILENT_S).find(1)
    assert found is not None
    assert (found.state, found.closed_ns) == ("running", None)
    silent = await at(connection, SILENT_S + 61).find(1)
    assert silent is not None
    assert (silent.state, silent.closed_how, silent.duration_s) == ("ended", "silent", 60)
    await connection.execute("UPDATE device_boots SET last_ns = last_ns + 1000000000000")
    again = await at(connection, SILENT_S + 61).find(1)
    assert again is not None
    assert again.state == "running"


async def test_automatic_sessions_are_not_stopped(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """Nobody starts, stops or removes an automatic session; it can be named."""
    await store(database_url, "car-1", 1, [reading(RPM, NOW_NS, 1.0)])
    (session,) = await at(connection, 0).list(Asked(), 10)
    sessions = at(connection, 0)
    for act in (sessions.start, sessions.stop, sessions.remove):
        with pytest.raises(DeviceConflict, match="a manual session"):
            await act(session)
    assert (await sessions.change(session.id, Changed(name="shake-down"))).name == "shake-down"


def _batch(time_ns: int) -> Batch:
    return Batch.of(1, [reading(RPM, time_ns, 1.0)])
