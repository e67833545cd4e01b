"""Several gateways' logs on one database: nothing doubled, nothing lost, turns without gaps."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from server.clock import SystemClock
from server.errors import StaleState, StoreAway
from server.instances.shard import shard_of
from server.readings import Reading
from server.store.appends import Append, Appended
from server.store.compactor import Compactor
from server.store.connection import connect
from server.store.devicelog import DeviceLog
from server.store.hotlog import Batch, HotLog
from server.store.migrate import migrate
from server.store.ring import RING_LOCK
from server.store.turns import Head, heads
from tests.server.store.test_devicelog import T0_NS, piece
from tests.server.stored import fetch_readings

CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    ORDER BY state = 'active' DESC, random() LIMIT 1
"""
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted"
DEADLINE_S = 20.0


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with the schema."""
    connection = await connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def logs(database_url: str) -> AsyncIterator[list[DeviceLog]]:
    """The logs of three gateways."""
    logs = [DeviceLog(database_url, clock=SystemClock()) for _ in range(3)]
    yield logs
    for log in logs:
        await log.close()


async def waits(connection: asyncpg.Connection, count: int) -> None:
    """Wait until so many wait for a lock."""
    async with asyncio.timeout(DEADLINE_S):
        while await connection.fetchval(WAITS) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Answered(msgspec.Struct):
    """An append, its answer, and when it began and ended, in steps of this test."""

    append: Append
    appended: Appended
    began: int
    ended: int


class Crowd:
    """Callers that append at random to random gateways, again where there was no answer."""

    def __init__(self, logs: list[DeviceLog], seed: int) -> None:
        self.logs = logs
        self.chance = random.Random(seed)
        self.answered: list[Answered] = []
        self.wanted: dict[tuple[str, int], set[int]] = defaultdict(set)
        self.step = 0
        self.lost = 0

    def append(self) -> Append:
        """An append of a few boots: new numbers, known ones, and such that overlap."""
        chance = self.chance
        key = chance.choice(["a", "b", "c"]), chance.choice([7, 8])
        first = 1 + chance.randrange(len(self.wanted[key]) + 10)
        pieces = []
        for _ in range(chance.randint(1, 3)):
            size = chance.randint(1, 20)
            pieces.append(piece(first, size))
            self.wanted[key].update(range(first, first + size))
            first += size + chance.randrange(5)
        return Append(*key, pieces)

    async def send(self, append: Append) -> None:
        """Append until it is answered."""
        while True:
            self.step += 1
            began = self.step
            try:
                appended = await self.chance.choice(self.logs).append(append)
            except StoreAway:
                self.lost += 1
                continue
            self.step += 1
            self.answered.append(Answered(append, appended, began, self.step))
            return

    async def check(self, connection: asyncpg.Connection, url: str) -> None:
        """Compare what is stored with what was sent and answered."""
        stored: dict[tuple[str, int], list[int]] = defaultdict(list)
        for reading in await fetch_readings(url):
            assert reading.value == reading.seq
            stored[reading.device, reading.boot].append(reading.seq)
        assert {key: sorted(numbers) for key, numbers in stored.items()} == {
            key: sorted(numbers) for key, numbers in self.wanted.items() if numbers
        }
        boots = await connection.fetch("SELECT * FROM device_boots")
        assert {(b["device"], b["boot"]): b["readings"] for b in boots} == {
            key: len(numbers) for key, numbers in stored.items()
        }
        assert sum(b["bytes_plain"] for b in boots) == await connection.fetchval(
            "SELECT sum(bytes_plain) FROM device_days"
        )
        rows = await connection.fetch("SELECT device, boot, turn, seq_first FROM hot")
        of_turn: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        for row in rows:
            of_turn[row["device"], row["boot"], row["turn"]].append(row["seq_first"])
        for boot in boots:
            turns = {turn for *key, turn in of_turn if key == [boot["device"], boot["boot"]]}
            assert turns == set(range(1, boot["turn"] + 1))
        for answer in self.answered:
            append, appended = answer.append, answer.appended
            assert bool(appended.turn) == bool(appended.pieces)
            if appended.turn:
                found = of_turn[append.device, append.boot, appended.turn]
                assert sorted(found) == sorted(p.seq_first for p in appended.pieces)
        self.check_order()

    def check_order(self) -> None:
        """No turn is given twice; what began after another one's answer has a later turn."""
        by_boot: dict[tuple[str, int], list[Answered]] = defaultdict(list)
        for answer in self.answered:
            if answer.appended.turn:
                by_boot[answer.append.device, answer.append.boot].append(answer)
        for answers in by_boot.values():
            turns = Counter(answer.appended.turn for answer in answers)
            assert max(turns.values()) == 1
            for one in answers:
                for other in answers:
                    if one.ended < other.began:
                        assert one.appended.turn < other.appended.turn


@pytest.mark.parametrize("seed", [1, 2])
async def test_many_write_for_the_same_boots(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str, seed: int
) -> None:
    """Repeats and overlaps at three gateways at once: each number once, turns in order, and no
    writer ever waits for another in a circle."""
    crowd = Crowd(logs, seed)
    for rounds in range(100):
        if rounds >= 12 and any(log.overtaken for log in logs):
            break  # on a busy machine they may come one after the other for a while
        appends = [crowd.append() for _ in range(20)]
        appends += crowd.chance.sample(appends, 8)
        await asyncio.gather(*map(crowd.send, appends))
    assert crowd.lost == 0  # a deadlock would lose some
    assert sum(log.overtaken for log in logs) > 0
    assert all(log.waiting_bytes == 0 for log in logs)
    await crowd.check(connection, database_url)


async def test_many_write_while_connections_are_cut(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str
) -> None:
    """What had no answer is sent again, to any gateway: each number once, turns without gaps."""
    crowd = Crowd(logs, 3)
    for log in logs:
        await log.append(crowd.append())  # connected
    for _ in range(8):
        sending = [asyncio.create_task(crowd.send(crowd.append())) for _ in range(20)]
        # In the middle: those that wait for a lock, if there are any.
        await asyncio.sleep(crowd.chance.random() * 0.02)
        await connection.fetch(CUT)
        await asyncio.gather(*sending)
    assert crowd.lost > 0
    await crowd.check(connection, database_url)


async def test_many_write_while_it_is_compacted(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str
) -> None:
    """Cycles end in the middle: what is in segments is known to all of them."""
    crowd = Crowd(logs, 4)
    compactor = Compactor(database_url, SystemClock())
    for _ in range(5):
        appends = [crowd.append() for _ in range(20)]
        await asyncio.gather(compactor.run_once(all_of_it=True), *map(crowd.send, appends))
    assert compactor.counts.cycles > 0
    await compactor.run_once(all_of_it=True)
    assert await connection.fetchval("SELECT sum(samples) FROM segments") == sum(
        map(len, crowd.wanted.values())
    )
    assert crowd.lost == 0
    crowd.check_order()


async def test_who_was_overtaken_tries_again(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str
) -> None:
    """What was committed while a writer waited for the boot it knows, and has the turn after."""
    log = logs[0]
    await log.append(Append("a", 7, [piece(1, 10)]))
    other = connection.transaction()
    await other.start()
    await connection.execute("UPDATE device_boots SET turn = turn + 1 WHERE device = 'a'")
    await connection.execute(
        "INSERT INTO hot SELECT device, boot, 11, 15, session_id, time_min_ns, time_max_ns,"
        " written_ns, $1, cycle, slot, 2 FROM hot WHERE device = 'a'",
        piece(11, 5).body,
    )
    watcher = await connect(database_url)
    late = asyncio.create_task(log.append(Append("a", 7, [piece(11, 10)])))
    await waits(watcher, 1)
    await other.commit()
    answer = await late
    assert (answer.accepted, answer.duplicates, answer.turn) == (5, 5, 3)
    assert log.overtaken == 1
    assert sorted(r.seq for r in await fetch_readings(database_url)) == list(range(1, 21))
    await watcher.close()


@pytest.mark.parametrize("names", ["abc", "cba"])
async def test_boots_are_locked_in_one_order(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str, names: str
) -> None:
    """Whoever came first: who waits for a boot holds none that comes after it, so that no two
    writers wait for each other."""
    log = logs[0]
    await asyncio.gather(*(log.append(Append(name, 7, [piece(1, 1)])) for name in names))
    watcher = await connect(database_url)
    async with connection.transaction():
        await connection.execute("UPDATE device_boots SET last_ns = 0 WHERE device = 'b'")
        group = [asyncio.create_task(log.append(Append(name, 7, [piece(2, 1)]))) for name in names]
        await waits(watcher, 1)
        free = await watcher.fetch(
            "SELECT device FROM device_boots ORDER BY device FOR UPDATE SKIP LOCKED"
        )
        assert [row[0] for row in free] == ["c"]
    assert [(await task).turn for task in group] == [2, 2, 2]
    await watcher.close()


async def test_an_old_state_is_refused(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str
) -> None:
    """Of two gateways that go on from one state one is taken; of the other nothing is stored."""
    one, other = logs[:2]
    first = await one.append(Append("a", 7, [piece(1, 5)], b"one", turn=0))
    assert first.turn == 1
    results = await asyncio.gather(
        one.append(Append("a", 7, [piece(6, 5)], b"two", turn=1)),
        other.append(Append("a", 7, [piece(11, 5)], b"other", turn=1)),
        other.append(Append("b", 7, [piece(1, 5)])),
        return_exceptions=True,
    )
    kinds = [type(result) for result in results]
    assert kinds[:2].count(StaleState) == kinds[:2].count(Appended) == 1
    assert kinds[2] is Appended
    assert one.stale + other.stale == 1
    (row,) = await connection.fetch("SELECT turn, state FROM device_boots WHERE device = 'a'")
    won = kinds.index(Appended)
    assert (row["turn"], row["state"]) == (2, [b"two", b"other"][won])
    found = sorted(r.seq for r in await fetch_readings(database_url, "a"))
    assert found == [*range(1, 6), *range(6 + 5 * won, 11 + 5 * won)]
    stateless = await other.append(Append("a", 7, [piece(31, 5)]))
    assert stateless.turn == 3
    with pytest.raises(StaleState, match="expected a state of turn 2, found turn 3"):
        await one.append(Append("a", 7, state=b"late", turn=2))


async def test_a_state_comes_with_all_of_its_rows(
    logs: list[DeviceLog], connection: asyncpg.Connection
) -> None:
    """Where something is known already, the rest and the state are one turn all the same."""
    log = logs[0]
    await log.append(Append("a", 7, [piece(1, 5), piece(20, 5)]))
    answer = await log.append(Append("a", 7, [piece(3, 20), piece(40, 2)], b"s", turn=1))
    assert (answer.accepted, answer.duplicates, answer.turn) == (14 + 2, 6, 2)
    again = await log.append(Append("a", 7, [piece(3, 20)], b"t", turn=2))
    assert (again.accepted, again.duplicates, again.turn) == (0, 20, 3)
    nothing = await log.append(Append("a", 7, [piece(3, 20)]))
    assert (nothing.accepted, nothing.turn) == (0, 0)
    (row,) = await connection.fetch("SELECT turn, state, readings FROM device_boots")
    assert tuple(row) == (3, b"t", 26)


async def test_one_session_of_a_device_stays_open(
    logs: list[DeviceLog], connection: asyncpg.Connection
) -> None:
    """Gateways that hear boots of one device for the first time at once leave one open."""
    for boot in range(1, 13, 3):
        await asyncio.gather(
            *(log.append(Append("a", boot + n, [piece(1, 1)])) for n, log in enumerate(logs))
        )
        assert await connection.fetchval("SELECT count(*) FROM sessions") == boot + 2
        open_now = "SELECT count(*) FROM sessions WHERE closed_ns IS NULL"
        assert await connection.fetchval(open_now) == 1


async def test_a_boot_that_the_table_lost_is_opened_again(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str
) -> None:
    """After a fail-over to a server that had not got everything yet, a device goes on."""
    await logs[0].append(Append("a", 7, [piece(1, 5)]))
    await connection.execute("DELETE FROM device_boots; DELETE FROM hot")
    answer = await logs[0].append(Append("a", 7, [piece(1, 8)]))
    assert (answer.accepted, answer.turn) == (8, 1)
    assert len(await fetch_readings(database_url, "a")) == 8


async def test_a_cycle_ends_although_writers_overlap(
    connection: asyncpg.Connection, database_url: str, logs: list[DeviceLog]
) -> None:
    """Who ends a cycle waits for those that write, not for those that come later."""
    writer = await connect(database_url)
    ender = await connect(database_url)
    log = logs[0]
    await log.append(Append("a", 7, [piece(1, 5)]))
    transaction = writer.transaction()
    await transaction.start()
    await writer.fetchval("SELECT hot_enter()")

    async def end() -> None:
        async with ender.transaction():
            await ender.execute("SELECT pg_advisory_xact_lock($1)", RING_LOCK)
            await ender.execute("UPDATE hot_ring SET cycle = cycle + 1")

    ending = asyncio.create_task(end())
    await waits(connection, 1)
    late = asyncio.create_task(log.append(Append("a", 7, [piece(6, 5)])))
    await waits(connection, 2)
    await transaction.commit()
    await ending
    assert (await late).turn == 2
    cycles = await connection.fetch("SELECT cycle, turn FROM hot ORDER BY turn")
    assert [tuple(row) for row in cycles] == [(1, 1), (2, 2)]
    await writer.close()
    await ender.close()


async def test_links_have_turns_too(
    logs: list[DeviceLog], connection: asyncpg.Connection, database_url: str
) -> None:
    """Commits of a gateway's own links are counted and told; heads are those of all boots."""
    told: list[tuple[int, int, str, int]] = []
    log = HotLog(database_url, device="car", boot=3, clock=SystemClock(), vin="V1")
    log.turned = lambda boot, turn, vin, seq_first, body: told.append((boot, turn, vin, seq_first))
    await log.open()
    batches = [Batch.of(seq, [Reading(12, T0_NS + seq, float(seq), T0_NS)]) for seq in (1, 2, 3)]
    for batch in (batches[0], batches[0], batches[1]):
        await log.append(batch)
    await log.append(msgspec.structs.replace(batches[2], boot=2, vin="V0"))
    assert told == [(3, 1, "V1", 1), (3, 1, "V1", 1), (3, 2, "V1", 2), (2, 1, "V0", 3)]
    await logs[0].append(Append("a", 7, [piece(1, 1)]))
    everything = await heads(connection, None, 0)
    assert everything == [Head("a", 7, 1), Head("car", 2, 1), Head("car", 3, 2)]
    assert await heads(connection, [shard_of("car")], 0) == everything[1:]
    assert await heads(connection, None, SystemClock().now_ns() + 10**9) == []
    rows = await connection.fetch(
        "SELECT seq_first, turn FROM hot WHERE device = 'car' AND boot = 3 ORDER BY turn"
    )
    assert [tuple(row) for row in rows] == [(1, 1), (2, 2)]
    await log.close()


async def test_the_shard_is_the_same_in_the_database(connection: asyncpg.Connection) -> None:
    """SQL and Python agree on where a device belongs."""
    names = ["", "a", "esp-1", "edge.1M8GDM9AXKP042788", "Gerät ü", "車両" * 20]
    names += [f"vehicle-{n}" for n in range(200)]
    found = await connection.fetch("SELECT device_shard(name) FROM unnest($1::text[]) name", names)
    assert [row[0] for row in found] == [shard_of(name) for name in names]


async def test_two_gateways_start_on_an_empty_database(empty_database_url: str) -> None:
    """Migrations run once, and both have what they need."""
    logs = [HotLog(empty_database_url, device=name, boot=1, clock=SystemClock()) for name in "ab"]
    await asyncio.gather(*(log.open() for log in logs))
    await asyncio.gather(
        *(log.append(Batch.of(1, [Reading(12, T0_NS, 1.0, T0_NS)])) for log in logs)
    )
    assert len(await fetch_readings(empty_database_url)) == 2
    connection = await connect(empty_database_url)
    assert await migrate(connection, SystemClock()) == 0
    await connection.close()
    for log in logs:
        await log.close()
