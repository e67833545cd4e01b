"""The compactor on the real database: every reading in one place, whatever happens."""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

import server.store.compactor as compactor_module
from server.clock import SystemClock
from server.readings import Reading, State
from server.store.appends import Append, Piece
from server.store.body import Column as BodyColumn
from server.store.body import encode_columns, little_endian
from server.store.compactor import Compactor
from server.store.config import StoreConfig
from server.store.connection import connect
from server.store.devicelog import DeviceLog
from server.store.hotlog import Batch, HotLog
from server.store.migrate import migrate
from server.store.segment import Segment, decode_segment
from tests.server.hand_clock import HandClock

T0_NS = 1_760_000_400_000_000_000
MS = 1_000_000
RPM, SPEED = 12, 13

_DAY_SIZE = """
    SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
    WHERE relkind = 'r' AND relname ~ '^segments_[0-9]{8}$'
"""

_SIZES = "SELECT array_agg(samples ORDER BY id) FROM segments"

Stored = tuple[str, int, int, int, float]
"""Device, boot, signal, instant, value."""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with the schema."""
    connection = await connect(database_url)
    await migrate(connection, SystemClock())
    yield connection
    await connection.close()


@pytest.fixture
async def device_log(connection: asyncpg.Connection, database_url: str) -> AsyncIterator[DeviceLog]:
    """A log of devices."""
    log = DeviceLog(database_url, clock=SystemClock())
    yield log
    await log.close()


@pytest.fixture
async def compactor(connection: asyncpg.Connection, database_url: str) -> AsyncIterator[Compactor]:
    """A compactor that is told when to work."""
    compactor = Compactor(database_url, SystemClock())
    yield compactor
    await compactor.close()


def piece(seq: int, size: int, *, signal: int = RPM, begin_ns: int = T0_NS) -> Piece:
    """Readings whose values are their own numbers, a tenth of a second apart."""
    values = array("d", [float(seq + index) for index in range(size)])
    column = BodyColumn(
        0, signal, begin_ns + seq % 10_000 * 100 * MS, [100 * MS], little_endian(values)
    )
    times = column.times_ns
    body = encode_columns(T0_NS, [column])
    return Piece(seq, seq + size - 1, times[0], times[-1], body, size, size, 0, 12 * size, 100)


async def everything(connection: asyncpg.Connection) -> list[Stored]:
    """All readings, of the hot log and of segments, in one view."""
    from server.store.body import decode_body

    found: list[Stored] = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for row in await connection.fetch("SELECT device, boot, body FROM hot_live"):
            found += [
                (row["device"], row["boot"], r.signal, r.time_ns // MS * MS, r.value)
                for r in decode_body(row["body"])
            ]
        for row in await connection.fetch("SELECT * FROM segments"):
            values = dict(row)
            device, boot = values.pop("device"), values.pop("boot")
            del values["id"]
            for column in decode_segment(Segment(**values)):
                found += [
                    (device, boot, column.signal, time_ns, value)
                    for time_ns, value in zip(column.times_ns, column.values, strict=True)
                ]
    return sorted(found)


async def test_what_is_compacted_is_there_once(
    device_log: DeviceLog, compactor: Compactor, connection: asyncpg.Connection
) -> None:
    """Segments have what the hot log had, whose table is empty later; the ring goes round."""
    before = []
    for turn in range(7):
        first = 1 + turn * 40
        await device_log.append(Append("a", 7, [piece(first, 20), piece(first + 20, 20)]))
        await device_log.append(Append("b", 1, [piece(first, 40, signal=SPEED)]))
        before = await everything(connection)
        assert len(before) == 80 * (turn + 1)
        await compactor.run_once(all_of_it=True)
        assert await everything(connection) == before
    assert compactor.counts.cycles == 7
    await compactor.run_once()
    assert await connection.fetchval("SELECT count(*) FROM hot") == 0
    assert len(before) == 560


async def test_a_repeated_request_is_known_after_compaction(
    device_log: DeviceLog, compactor: Compactor, connection: asyncpg.Connection
) -> None:
    """What is in segments is a duplicate; of an overlap only what is missing is stored."""
    content = piece(2**61 + 5, 3)
    await device_log.append(Append("a", 7, [piece(1, 20), piece(31, 10)]))
    await device_log.append(Append("a", 0, [content]))
    for _ in range(2):
        await compactor.run_once(all_of_it=True)
        again = await device_log.append(Append("a", 7, [piece(1, 20), piece(31, 10)]))
        assert (again.accepted, again.duplicates) == (0, 30)
        again = await device_log.append(Append("a", 0, [content]))
        assert (again.accepted, again.duplicates) == (0, 3)
    answer = await device_log.append(Append("a", 7, [piece(11, 40)]))
    assert (answer.accepted, answer.duplicates) == (20, 20)
    await compactor.run_once(all_of_it=True)
    found = [row for row in await everything(connection) if row[1] == 7]
    assert [row[4] for row in found] == [float(number) for number in range(1, 51)]


async def test_local_batches_are_known_after_compaction(
    database_url: str, connection: asyncpg.Connection, compactor: Compactor
) -> None:
    """A batch that is written again after its compaction changes nothing."""
    log = HotLog(database_url, device="car", boot=3, clock=SystemClock())
    await log.open()
    readings = [Reading(RPM, T0_NS + n * MS, float(n), T0_NS, State.MEASURED) for n in range(10)]
    batch = Batch.of(1, readings)
    await log.append(batch)
    await compactor.run_once(all_of_it=True)
    await log.append(batch)
    await compactor.run_once(all_of_it=True)
    await log.append(batch)
    assert len(await everything(connection)) == 10
    await log.close()


async def test_late_readings_join_their_window(
    device_log: DeviceLog, compactor: Compactor, connection: asyncpg.Connection
) -> None:
    """Late and out-of-order readings are in the segment of their window, by their instants."""
    numbers = list(range(0, 3000, 50))
    random.Random(1).shuffle(numbers)
    for place in range(0, len(numbers), 20):
        pieces = [piece(number + 1, 50) for number in numbers[place : place + 20]]
        await device_log.append(Append("a", 7, pieces))
        await compactor.run_once(all_of_it=True)
    found = await everything(connection)
    assert [row[4] for row in found] == [float(number) for number in range(1, 3001)]
    (segment,) = await connection.fetch("SELECT * FROM segments")  # put together, as it is small
    assert (segment["samples"], segment["mins"], segment["maxs"]) == (3000, [1.0], [3000.0])
    rollups = await connection.fetch("SELECT * FROM rollups_5min ORDER BY t_ns")
    assert sum(row["counts"][0] for row in rollups) == 3000
    assert sum(row["sums"][0] for row in rollups) == sum(range(1, 3001))


async def test_parts_of_a_window_are_put_together_up_to_a_size(
    device_log: DeviceLog,
    compactor: Compactor,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No segment has more readings than one put together may have, no signal more than its own."""
    monkeypatch.setattr(compactor_module, "SMALL_SAMPLES", 100)
    monkeypatch.setattr(compactor_module, "MOST_OF_SIGNAL", 60)
    for turn in range(12):
        pieces = [piece(1 + turn * 20, 20)]
        if turn % 2:
            pieces.append(piece(1001 + turn * 20, 20, signal=SPEED))
        await device_log.append(Append("a", 7, pieces))
        await compactor.run_once(all_of_it=True)
    assert len(await everything(connection)) == 360
    found = await connection.fetch("SELECT samples, counts FROM segments ORDER BY id")
    assert [row["samples"] for row in found] == [80, 100, 80, 100]
    assert max(max(row["counts"]) for row in found) == 60


async def test_a_large_part_is_not_encoded_again_for_a_small_one(
    device_log: DeviceLog,
    compactor: Compactor,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond some size only what is as large as itself is put to a segment."""
    monkeypatch.setattr(compactor_module, "CHEAP_SAMPLES", 50)
    for size in (20, 20, 20, 20, 20, 60, 200):
        number = sum(await connection.fetchval(_SIZES) or [0]) + 1
        await device_log.append(Append("a", 7, [piece(number, size)]))
        await compactor.run_once(all_of_it=True)
        if size == 60:
            assert await connection.fetchval(_SIZES) == [60, 100]
    assert await connection.fetchval(_SIZES) == [60, 300]
    assert len(await everything(connection)) == 360


async def test_many_devices_go_to_the_database_together(
    device_log: DeviceLog,
    compactor: Compactor,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each gets its own, with what was there of it, wherever a group of them ends."""
    monkeypatch.setattr(compactor_module, "PARTS_AT_ONCE", 3)
    before = []
    for turn in range(3):
        for device in range(7):
            pieces = [piece(1 + turn * 20, 20, signal=RPM + device % 2)]
            if turn < 2 or device % 3:
                await device_log.append(Append(f"d{device}", 7 + device, pieces))
        before = await everything(connection)
        await compactor.run_once(all_of_it=True)
        assert await everything(connection) == before
    found = await connection.fetch("SELECT device, boot, samples FROM segments ORDER BY device")
    assert [tuple(row) for row in found] == [
        (f"d{device}", 7 + device, 60 if device % 3 else 40) for device in range(7)
    ]
    rollups = await connection.fetch("SELECT device, counts FROM rollups_5min ORDER BY device")
    assert [(row["device"], sum(row["counts"])) for row in rollups] == [
        (f"d{device}", 60 if device % 3 else 40) for device in range(7)
    ]


@pytest.mark.parametrize(("turns", "waited_ms"), [(0, 0), (3, 3), (100, 10)])
async def test_others_have_their_turns(
    compactor: Compactor, monkeypatch: pytest.MonkeyPatch, turns: int, waited_ms: int
) -> None:
    """After 2.5 ms of work it waits while the loop has something to do, for 10 ms at most."""
    clock = HandClock()
    monkeypatch.setattr(compactor, "_clock", clock)
    compactor._breathed_s = clock.monotonic_s()

    async def busy() -> None:
        for _ in range(turns):
            clock.now_s += 0.001
            await asyncio.sleep(0)

    await compactor._breathe()  # nothing was worked: nobody has to wait
    working = asyncio.create_task(busy())
    clock.now_s += 0.0025
    begin_s = clock.monotonic_s()
    await compactor._breathe()
    assert clock.monotonic_s() - begin_s == pytest.approx(waited_ms / 1000, abs=0.0011)
    working.cancel()


async def test_the_room_of_what_was_put_together_is_used_again(
    device_log: DeviceLog,
    compactor: Compactor,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A table in which a segment is replaced again and again grows no more."""
    monkeypatch.setattr(compactor_module, "VACUUM_S", 0.0)
    noise = random.Random(2)
    sizes = []
    for turn in range(30):
        one = piece(1 + turn * 100, 100)
        values = array("d", [noise.random() for _ in range(100)])
        column = BodyColumn(0, RPM, one.time_min_ns, [100 * MS], little_endian(values))
        body = encode_columns(T0_NS, [column])
        await device_log.append(Append("a", 7, [msgspec.structs.replace(one, body=body)]))
        await compactor.run_once(all_of_it=True)
        sizes.append(await connection.fetchval(_DAY_SIZE))
    (segment,) = await connection.fetch("SELECT samples, length(data) AS size FROM segments")
    assert segment["samples"] == 3000
    assert sizes[-1] < 4 * segment["size"] + 100_000  # without: the sum of all that ever was


async def test_a_damaged_segment_keeps_nobody_from_its_place(
    device_log: DeviceLog, compactor: Compactor, connection: asyncpg.Connection
) -> None:
    """It stays as it is, is told, and what comes for its window stands beside it."""
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    await compactor.run_once(all_of_it=True)
    await connection.execute("UPDATE segments SET data = '\\x00'::bytea || data")
    await device_log.append(Append("a", 7, [piece(21, 20)]))
    with capture_logs() as logs:
        await compactor.run_once(all_of_it=True)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "segment is damaged"
    ]
    assert compactor.counts.samples == 40
    found = await connection.fetch("SELECT samples FROM segments ORDER BY id")
    assert [row["samples"] for row in found] == [20, 20]


async def test_a_reader_keeps_its_view(
    device_log: DeviceLog, compactor: Compactor, connection: asyncpg.Connection, database_url: str
) -> None:
    """A long read sees the same to its end, while all around is compacted and emptied."""
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    reader = await connect(database_url)
    async with reader.transaction(isolation="repeatable_read", readonly=True):
        assert await reader.fetchval("SELECT count(*) FROM hot_live") == 1
        for turn in range(1, 4):
            await compactor.run_once(all_of_it=True)
            await device_log.append(Append("a", 7, [piece(1 + turn * 20, 20)]))
        assert await reader.fetchval("SELECT count(*) FROM hot_live") == 1
        assert await reader.fetchval("SELECT count(*) FROM segments") == 0
    await reader.close()
    assert len(await everything(connection)) == 80


async def test_a_killed_compaction_never_was(
    device_log: DeviceLog,
    compactor: Compactor,
    connection: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut off in the middle, everything is as before, and the next attempt does it all."""
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    await device_log.append(Append("b", 7, [piece(1, 20)]))
    before = await everything(connection)
    store = Compactor._store
    calls = 0

    async def cut(self: Compactor, *args: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await store(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(compactor_module, "PARTS_AT_ONCE", 1)
    monkeypatch.setattr(Compactor, "_store", cut)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await compactor.run_once(all_of_it=True)
    assert await everything(connection) == before
    assert await connection.fetchval("SELECT count(*) FROM segments") == 0
    monkeypatch.undo()
    await compactor.run_once(all_of_it=True)
    assert await everything(connection) == before
    assert await connection.fetchval("SELECT count(*) FROM segments") == 2


async def test_writers_and_compactor_at_once(
    device_log: DeviceLog, database_url: str, connection: asyncpg.Connection
) -> None:
    """Commits while cycles end and are compacted: all there, once; repeats are duplicates."""
    config = StoreConfig(compact_after_s=0.05)
    compactor = Compactor(database_url, SystemClock(), config)
    device_log.committed = compactor.committed
    done = asyncio.Event()

    async def send(device: str) -> None:
        number = 0
        while not done.is_set():
            append = Append(device, 7, [piece(1 + 10 * number, 10)])
            assert (await device_log.append(append)).accepted == 10
            assert (await device_log.append(append)).duplicates == 10
            number += 1
            sent[device] = 10 * number

    async def compact() -> None:
        while compactor.counts.cycles < 6:
            await compactor.run_once(all_of_it=True)
        done.set()

    sent: dict[str, int] = {}
    await asyncio.gather(compact(), *map(send, "abc"))
    await compactor.close()
    found = await everything(connection)
    assert len(found) == len(set(found)) == sum(sent.values())


@pytest.mark.promise("T03")
async def test_it_works_by_itself(
    device_log: DeviceLog, database_url: str, connection: asyncpg.Connection
) -> None:
    """Commits wake it; when all is done nothing ticks any more."""
    compactor = Compactor(database_url, SystemClock(), StoreConfig(compact_after_s=0.05))
    device_log.committed = compactor.committed
    await device_log.append(Append("a", 7, [piece(1, 20)]))
    async with asyncio.timeout(20):
        while await connection.fetchval("SELECT emptied FROM hot_progress") < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        while compactor._task is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert compactor._timer is None
    assert len(await everything(connection)) == 20
    await compactor.close()


async def test_a_damaged_row_is_kept_aside(
    device_log: DeviceLog, compactor: Compactor, connection: asyncpg.Connection
) -> None:
    """A row that cannot be read keeps no other from its place, and is kept."""
    await device_log.append(Append("a", 7, [piece(1, 20), piece(21, 20)]))
    await connection.execute("UPDATE hot SET body = '\\x02ff' WHERE seq_first = 1")
    await compactor.run_once(all_of_it=True)
    assert len(await everything(connection)) == 20
    (row,) = await connection.fetch("SELECT * FROM hot_damaged")
    assert (row["device"], row["seq_first"], row["body"]) == ("a", 1, b"\x02\xff")


@pytest.mark.promise("T04", "T05")
async def test_old_days_are_dropped(
    device_log: DeviceLog, database_url: str, connection: asyncpg.Connection
) -> None:
    """What is older than the configuration keeps goes with its table; the rest stays."""
    now_ns = SystemClock().now_ns()
    day_ns = 86_400_000_000_000
    for seq, begin_ns in ((1, now_ns - 200 * day_ns), (1001, now_ns - 20 * day_ns), (2001, now_ns)):
        await device_log.append(Append("a", 7, [piece(seq, 20, begin_ns=begin_ns - 500_000 * MS)]))
    await device_log.append(Append("a", 7, [piece(3001, 20, begin_ns=1_000_000_000_000_000_000)]))
    compactor = Compactor(database_url, SystemClock(), StoreConfig(raw_days=30, rollup_days=100))
    await compactor.run_once(all_of_it=True)
    found = await everything(connection)
    assert [row[4] for row in found] == [
        *map(float, range(1001, 1021)),
        *map(float, range(2001, 2021)),
    ]
    assert compactor.counts.dropped >= 2
    assert await connection.fetchval("SELECT sum(counts[1]) FROM rollups_5min") == 40
    await compactor.run_once(all_of_it=True)
    again = await device_log.append(Append("a", 7, [piece(1001, 20)]))
    assert again.duplicates == 20
