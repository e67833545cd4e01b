"""What is read back of a gateway's database, hot or compacted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.runner.databases import Databases
from rig.worker.stored import fetch_stored
from server.clock import SystemClock
from server.readings import Reading, State
from server.store.compactor import Compactor
from server.store.connection import connect
from server.store.hotlog import Batch, HotLog
from server.store.migrate import migrate

T0_NS = 1_760_000_400_000_000_000
MS = 1_000_000
RPM, SPEED = 12, 13


@pytest.fixture
def database_url() -> Iterator[str]:
    """An empty database."""
    databases = Databases()
    url = databases.fresh()
    yield url
    databases.drop(url)
    databases.close()


def reading(number: int) -> Reading:
    """RPM and SPEED in turn, 10.5 ms apart; the value says which one it is."""
    time_ns = T0_NS + number * 10 * MS + number * MS // 2
    return Reading((RPM, SPEED)[number % 2], time_ns, float(number), time_ns + 7, State(number % 3))


async def test_hot_log_and_segments_together(database_url: str) -> None:
    """Compacted readings come first, without what segments do not keep; each is there once."""
    connection = await connect(database_url)
    await migrate(connection, SystemClock())
    await connection.close()
    log = HotLog(database_url, device="car-1", boot=9, clock=SystemClock())
    await log.open()
    compactor = Compactor(database_url, SystemClock())
    assert await fetch_stored(database_url) == ([], 0, 0)
    for begin in (0, 4):
        await log.append(Batch.of(begin + 1, [reading(n) for n in range(begin, begin + 4)]))
        await compactor.run_once(all_of_it=True)
    await log.append(Batch.of(9, [reading(n) for n in range(8, 11)]))
    found = await fetch_stored(database_url)
    await compactor.close()
    await log.close()
    assert (found.cycles, found.segments) == (2, 1)
    compacted, hot = found.rows[:8], found.rows[8:]
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    assert [row.value for row in compacted] == order
    for row, n in zip(compacted, order, strict=True):
        expected = reading(n)
        assert (row.device, row.boot, row.signal) == ("car-1", 9, expected.signal)
        assert (row.time_ns, row.state) == (expected.time_ns // MS * MS, expected.state)
        assert (row.seq, row.received_ns, row.written_ns) == (0, 0, 0)
    assert [(row.seq, row.value, row.received_ns) for row in hot] == [
        (n + 1, float(n), reading(n).received_ns) for n in range(8, 11)
    ]
    assert all(row.written_ns for row in hot)
