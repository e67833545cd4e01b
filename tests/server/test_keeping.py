"""Batches last: in the database, or in the journal until it is back; none is lost, none doubled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.clock import SystemClock
from server.journal import Journal, JournalError
from server.keeping import Keeping
from server.readings import Reading
from server.store.hotlog import Batch

BOOT = 7
ROOM_BYTES = 1 << 20


class Database:
    """Commits while `answers`; what it has under a key never changes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], Batch] = {}
        self.order: list[tuple[int, int]] = []
        self.answers = True
        self.loses_answers = False
        self.boot = BOOT

    async def append(self, batch: Batch) -> None:
        await asyncio.sleep(0)
        if not self.answers:
            raise ConnectionRefusedError("away")
        key = (self.boot if batch.boot is None else batch.boot, batch.seq_first)
        if key not in self.rows:
            self.order.append(key)
        self.rows.setdefault(key, batch)
        if self.loses_answers:
            raise ConnectionResetError("cut")


def batch(number: int, size: int = 3) -> Batch:
    """The batch of these numbers; its values tell them."""
    first = number * size + 1
    return Batch.of(
        first, [Reading(12, 1_000 + n, float(n), 2_000 + n) for n in range(first, first + size)]
    )


class Gateway:
    """One run over a folder and a database."""

    def __init__(
        self, folder: Path, database: Database, boot: int = BOOT, room: int = ROOM_BYTES
    ) -> None:
        database.boot = boot
        self.journal = Journal(folder, room, boot)
        self.stored: list[int] = []
        self.failing: list[str] = []
        self.keeping = Keeping(
            database,
            self.journal,
            SystemClock(),
            vin=lambda: "",
            on_stored=self.stored.append,
            on_failing=self.failing.append,
        )
        self.keeping.start()

    async def kill(self) -> None:
        """End as a kill -9 does: what runs just stops; the kernel closes the files."""
        drainer = self.keeping._drainer
        assert drainer is not None
        drainer.cancel()
        await asyncio.gather(drainer, return_exceptions=True)
        self.journal.close()


async def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries come at once."""
    monkeypatch.setattr("server.keeping.RETRY_FIRST_S", 0.002)
    monkeypatch.setattr("server.keeping.RETRY_LAST_S", 0.005)


async def test_nothing_goes_to_the_journal_while_the_database_answers(tmp_path: Path) -> None:
    """A commit is what makes a batch last; the disk stays quiet."""
    database = Database()
    gateway = Gateway(tmp_path, database)
    await gateway.keeping.keep(batch(0))
    assert (gateway.keeping.stored, gateway.keeping.journaled, gateway.stored) == (3, 0, [3])
    await gateway.keeping.stop(1)


async def test_batches_wait_on_the_disk_and_reach_the_database_in_order(tmp_path: Path) -> None:
    """While the database is away keep() returns at once; then all come in the order of the run."""
    database = Database()
    gateway = Gateway(tmp_path, database)
    database.answers = False
    for number in range(5):
        await gateway.keeping.keep(batch(number))
    assert (gateway.keeping.kept, gateway.keeping.stored, gateway.keeping.journaled) == (15, 0, 15)
    assert gateway.failing == ["away"]
    database.answers = True
    await gateway.keeping.keep(batch(5))  # behind the others
    await until(lambda: gateway.keeping.stored == 18)
    assert gateway.stored == [3, 6, 9, 12, 15, 18]
    assert database.order == [(BOOT, number * 3 + 1) for number in range(6)]
    assert [row.body for row in database.rows.values()] == [batch(n).body for n in range(6)]
    assert (gateway.keeping.journaled, gateway.failing[-1]) == (0, "")
    await gateway.keeping.stop(1)


async def test_what_a_killed_run_left_is_stored_under_its_own_boot(tmp_path: Path) -> None:
    """The next run puts in what waits, beside its own readings, which do not wait for it."""
    database = Database()
    first = Gateway(tmp_path, database, boot=1)
    database.answers = False
    await first.keeping.keep(batch(0))
    await first.keeping.keep(batch(1))
    await first.kill()
    database.answers = True
    second = Gateway(tmp_path, database, boot=2)
    await second.keeping.keep(batch(0))
    await until(lambda: len(database.rows) == 3)
    assert set(database.rows) == {(1, 1), (1, 4), (2, 1)}
    await until(lambda: second.stored == [3])
    await second.keeping.stop(1)


async def test_a_commit_whose_answer_was_lost_is_not_doubled(tmp_path: Path) -> None:
    """The same batch goes under the same key, by way of the journal."""
    database = Database()
    gateway = Gateway(tmp_path, database)
    database.loses_answers = True
    await gateway.keeping.keep(batch(0))
    database.loses_answers = False
    await until(lambda: gateway.stored == [3])
    assert database.order == [(BOOT, 1)]
    await gateway.keeping.stop(1)


async def test_a_full_journal_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    """keep() waits for room instead of dropping the oldest; nothing gets lost."""
    database = Database()
    gateway = Gateway(tmp_path, database, room=400)
    database.answers = False
    kept = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while True:
                await gateway.keeping.keep(batch(kept))
                kept += 1
    assert 1 <= kept < 100
    waiting = asyncio.create_task(gateway.keeping.keep(batch(kept)))
    database.answers = True
    await waiting
    await until(lambda: len(database.rows) == kept + 1)
    assert database.order == [(BOOT, number * 3 + 1) for number in range(kept + 1)]
    await gateway.keeping.stop(1)


async def test_a_stop_empties_the_journal_if_the_database_answers(tmp_path: Path) -> None:
    """Otherwise it ends at once, and the next run finds what was kept."""
    database = Database()
    gateway = Gateway(tmp_path, database)
    database.answers = False
    await gateway.keeping.keep(batch(0))
    async with asyncio.timeout(2):
        await gateway.keeping.stop(60)
    assert not database.rows
    database.answers = True
    again = Gateway(tmp_path, database, boot=8)
    await again.keeping.stop(5)
    assert set(database.rows) == {(BOOT, 1)}


async def test_one_gateway_for_a_journal(tmp_path: Path) -> None:
    """A second one is refused, with what to do; after the first one it may."""
    journal = Journal(tmp_path / "j", ROOM_BYTES, 1)
    with pytest.raises(JournalError, match=r"another gateway uses it; give each gateway"):
        Journal(tmp_path / "j", ROOM_BYTES, 2)
    journal.close()
    Journal(tmp_path / "j", ROOM_BYTES, 2).close()


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A file stands in the folder's place."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"expected a folder for the journal at .*max_mb = 0"):
        Journal(tmp_path / "file" / "j", ROOM_BYTES, 1)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), cut=st.integers(1, 400))
def test_whatever_is_torn_off_the_rest_comes_once(
    seed: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Power lost in the middle of a write: what had been synced before is there, in order."""
    folder = tmp_path_factory.mktemp("journal")
    draw = random.Random(seed)
    journal = Journal(folder, ROOM_BYTES, 1)
    sizes = [0]
    for number in range(draw.randrange(1, 6)):
        journal.put(batch(number), "", 0)
        sizes.append(journal.size_bytes)
    journal.close()
    file = next(folder.glob("*.q"))
    left = max(0, sizes[-1] - cut)
    os.truncate(file, left)
    whole = sum(size <= left for size in sizes[1:])
    again = Journal(folder, ROOM_BYTES, 2)
    found = []
    while (one := again.oldest()) is not None:
        found.append((one.boot, one.seq_first))
        again.done()
    assert found == [(1, number * 3 + 1) for number in range(whole)]
    again.close()
