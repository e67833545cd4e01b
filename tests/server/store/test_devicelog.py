"""The log of remote devices: group commit, duplicates, overlaps, statistics, a database away."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator

import asyncpg
import pytest

from server.clock import SystemClock
from server.errors import StoreAway, StoreFull
from server.store.appends import Append, Piece
from server.store.body import Column, encode_columns, little_endian
from server.store.connection import connect
from server.store.devicelog import DeviceLog
from server.store.migrate import migrate
from tests.server.stored import fetch_readings

T0_NS = 1_760_000_000_000_000_000
RPM = 12


@pytest.fixture
async def device_log(database_url: str) -> AsyncIterator[DeviceLog]:
    """A log on an empty database with the schema."""
    connection = await connect(database_url)
    await migrate(connection, SystemClock())
    await connection.close()
    log = DeviceLog(database_url, clock=SystemClock())
    yield log
    await log.close()


def piece(seq: int, size: int) -> Piece:
    """Readings whose values are their own numbers."""
    values = array("d", [float(seq + index) for index in range(size)])
    column = Column(0, RPM, T0_NS + seq * 1000, [1000], little_endian(values))
    times = column.times_ns
    body = encode_columns(T0_NS, [column])
    return Piece(seq, seq + size - 1, times[0], times[-1], body, size, size, 0, 12 * size, 100)


async def rows(url: str, query: str) -> list[asyncpg.Record]:
    """What the database holds."""
    connection = await connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_appends_are_stored_with_session_and_statistics(
    device_log: DeviceLog, database_url: str
) -> None:
    """An append is stored once; boots and days add up what was new, and name the vehicle."""
    answer = await device_log.append(Append("a", 7, [piece(1, 20)], vin="V1"))
    assert (answer.accepted, answer.duplicates) == (20, 0)
    assert (await device_log.append(Append("a", 7, [piece(21, 5)], vin="V1"))).accepted == 5
    stored = await fetch_readings(database_url, "a")
    assert [r.seq for r in stored] == [r.value for r in stored] == list(range(1, 26))
    (boot,) = await rows(database_url, "SELECT * FROM device_boots")
    assert (boot["readings"], boot["transmitted"], boot["bytes_sent"]) == (25, 25, 200)
    (day,) = await rows(database_url, "SELECT * FROM device_days")
    assert (day["vin"], day["readings"], day["bytes_plain"]) == ("V1", 25, 300)
    (session,) = await rows(database_url, "SELECT * FROM sessions")
    assert (session["device"], session["boot"], session["vin"]) == ("a", 7, "V1")


async def test_the_same_again_changes_nothing(device_log: DeviceLog, database_url: str) -> None:
    """A repeated append is all duplicates, and no statistics count it twice."""
    append = Append("a", 7, [piece(1, 20), piece(100, 3)])
    await device_log.append(append)
    before = await rows(database_url, "SELECT * FROM device_boots, device_days")
    again = await device_log.append(append)
    assert (again.accepted, again.duplicates) == (0, 23)
    assert await rows(database_url, "SELECT * FROM device_boots, device_days") == before
    assert len(await fetch_readings(database_url, "a")) == 23


async def test_overlaps_are_trimmed(device_log: DeviceLog, database_url: str) -> None:
    """Of a row that overlaps with stored ones only the missing numbers are stored."""
    await device_log.append(Append("a", 7, [piece(10, 5)]))
    await device_log.append(Append("a", 7, [piece(20, 5)]))
    answer = await device_log.append(Append("a", 7, [piece(5, 30)]))
    assert (answer.accepted, answer.duplicates) == (20, 10)
    stored = await fetch_readings(database_url, "a")
    assert sorted(r.seq for r in stored) == list(range(5, 35))
    assert all(r.value == r.seq and r.time_ns == T0_NS + r.seq * 1000 for r in stored)
    (boot,) = await rows(database_url, "SELECT * FROM device_boots")
    assert boot["readings"] == boot["transmitted"] == 30


async def test_overlaps_in_one_group_are_trimmed(device_log: DeviceLog, database_url: str) -> None:
    """Appends that come at once and overlap store each number once."""
    answers = await asyncio.gather(
        *(device_log.append(Append("a", 7, [piece(first, 10)])) for first in (1, 1, 4, 8, 15))
    )
    assert sum(answer.accepted for answer in answers) == 24
    assert sum(answer.duplicates for answer in answers) == 26
    stored = await fetch_readings(database_url, "a")
    assert sorted(r.seq for r in stored) == list(range(1, 25))


async def test_many_callers_share_commits(device_log: DeviceLog, database_url: str) -> None:
    """Two hundred appends of fifty devices at once need a few commits and are all stored."""
    appends = [Append(f"d{n % 50}", 1, [piece(1 + n // 50 * 10, 10)]) for n in range(200)]
    answers = await asyncio.gather(*map(device_log.append, appends))
    assert [answer.accepted for answer in answers] == [10] * 200
    assert device_log.commits <= 5
    assert len(await fetch_readings(database_url)) == 2000
    assert device_log.waiting_bytes == 0


async def test_state_is_kept_with_the_rows(device_log: DeviceLog, database_url: str) -> None:
    """The state of an uplink is that of the last append that had one."""
    await device_log.append(Append("a", 7, [piece(1, 1)], state=b"one"))
    await device_log.append(Append("a", 7, [piece(2, 1)]))
    await device_log.append(Append("a", 7, state=b"two"))
    (boot,) = await rows(database_url, "SELECT state, readings FROM device_boots")
    assert (boot["state"], boot["readings"]) == (b"two", 2)


async def test_another_boot_ends_the_session_before(
    device_log: DeviceLog, database_url: str
) -> None:
    """A session ends, at its last commit, when the device is heard with another boot."""
    await device_log.append(Append("a", 7, [piece(1, 1)]))
    await device_log.append(Append("b", 1, [piece(1, 1)]))
    await device_log.append(Append("a", 8, [piece(1, 1)]))
    await device_log.append(Append("a", 7, [piece(2, 1)]))  # late, and still of its session
    sessions = await rows(database_url, "SELECT * FROM sessions ORDER BY id")
    assert [s["closed_how"] for s in sessions] == ["restarted", None, None]
    counts = await rows(
        database_url, "SELECT session_id, count(*) AS n FROM hot GROUP BY 1 ORDER BY 1"
    )
    assert [row["n"] for row in counts] == [2, 1, 1]


async def test_a_database_that_goes_away_acknowledges_nothing(
    device_log: DeviceLog, database_url: str
) -> None:
    """While the database is away appends fail; the same again afterwards is stored once."""
    await device_log.append(Append("a", 7, [piece(1, 5)]))
    admin = await connect(database_url)
    await admin.execute("ALTER TABLE hot RENAME TO away")
    results = await asyncio.gather(
        *(device_log.append(Append("a", 7, [piece(n, 5)])) for n in (6, 11, 16)),
        return_exceptions=True,
    )
    assert all(isinstance(result, StoreAway) for result in results)
    assert "hot" in device_log.failing
    assert device_log.waiting_bytes == 0
    await admin.execute("ALTER TABLE away RENAME TO hot")
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    await admin.close()
    # The server ended the connection: that is noticed by the first, or before it.
    for n in (6, 6, 11, 16):
        try:
            await device_log.append(Append("a", 7, [piece(n, 5)]))
        except StoreAway:
            await device_log.append(Append("a", 7, [piece(n, 5)]))
    assert device_log.failing == ""
    stored = await fetch_readings(database_url, "a")
    assert sorted(r.seq for r in stored) == list(range(1, 21))


async def test_one_that_cannot_be_stored_harms_no_other(
    device_log: DeviceLog, database_url: str
) -> None:
    """An append that the database refuses for its content fails alone."""
    results = await asyncio.gather(
        *(
            device_log.append(Append(name, 7, [piece(1, 5)]))
            for name in ("a", "b", "with \0", "\ud800", "c")
        ),
        return_exceptions=True,
    )
    assert [isinstance(result, StoreAway) for result in results] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert len(await fetch_readings(database_url)) == 15
    assert device_log.failing == ""
    assert (await device_log.append(Append("a", 7, [piece(6, 5)]))).accepted == 5


async def test_a_mistake_in_the_writer_leaves_nobody_waiting(
    device_log: DeviceLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong while writing, callers are told, and the next ones are served."""

    async def broken(*arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(device_log, "_insert", broken)
    with pytest.raises(StoreAway, match="a bug"):
        await device_log.append(Append("a", 7, [piece(1, 5)]))
    monkeypatch.undo()
    assert (await device_log.append(Append("a", 7, [piece(1, 5)]))).accepted == 5


async def test_refusals_wait_for_the_database(device_log: DeviceLog, database_url: str) -> None:
    """Counts that could not be written are written later, together with what came meanwhile."""
    connection = await connect(database_url)
    device_log.refusals.add("a", "value", "first")
    await connection.execute("ALTER TABLE device_refusals RENAME TO away")
    with pytest.raises(asyncpg.UndefinedTableError):
        await device_log.refusals.write(connection, 5)
    await connection.execute("ALTER TABLE away RENAME TO device_refusals")
    device_log.refusals.add("a", "value", "second")
    await device_log.refusals.write(connection, 6)
    (row,) = await connection.fetch("SELECT * FROM device_refusals")
    assert (row["count"], row["examples"], row["first_ns"]) == (2, ["second", "first"], 6)
    assert not device_log.refusals
    await connection.close()


async def test_what_waits_is_bounded(database_url: str, device_log: DeviceLog) -> None:
    """Beyond the bounds appends are refused, of one device sooner; the others are stored."""
    small = DeviceLog(database_url, clock=SystemClock(), waiting_bytes=40_000)
    results = await asyncio.gather(
        *(small.append(Append("a", 1, [piece(n * 10 + 1, 1)])) for n in range(20)),
        *(small.append(Append(f"b{n}", 1, [piece(1, 1)])) for n in range(60)),
        return_exceptions=True,
    )
    full = [result for result in results if isinstance(result, StoreFull)]
    assert {error.one_device for error in full} == {True, False}
    stored = [result for result in results if not isinstance(result, BaseException)]
    assert len(stored) + len(full) == 80
    assert len(await fetch_readings(database_url)) == len(stored) > 20
    await small.append(Append("a", 1, [piece(1000, 1)]))  # there is room again
    await small.close()


async def test_refusals_are_counted_with_examples(device_log: DeviceLog, database_url: str) -> None:
    """What was refused is counted by device and reason, with the newest examples."""
    for n in range(9):
        device_log.refusals.add("a", "value", f"example {n}\0\ud800")
    device_log.refusals.add("b", "time", "x", by=3)
    await device_log.append(Append("a", 7, [piece(1, 1)]))
    await device_log.close()
    found = await rows(database_url, "SELECT * FROM device_refusals ORDER BY device")
    assert [(r["device"], r["reason"], r["count"]) for r in found] == [
        ("a", "value", 9),
        ("b", "time", 3),
    ]
    assert found[0]["examples"] == [f"example {n}␀?" for n in (8, 7, 6, 5, 4)]


async def test_a_stop_commits_what_waits(device_log: DeviceLog, database_url: str) -> None:
    """Appends on their way are committed by a close; later ones are refused."""
    waiting = [
        asyncio.create_task(device_log.append(Append("a", 7, [piece(n, 1)]))) for n in range(1, 9)
    ]
    await asyncio.sleep(0)
    await device_log.close()
    assert [(await task).accepted for task in waiting] == [1] * 8
    with pytest.raises(StoreAway):
        await device_log.append(Append("a", 7, [piece(9, 1)]))
    assert len(await fetch_readings(database_url, "a")) == 8
