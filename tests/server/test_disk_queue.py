"""The queue in files: order, bounds, and what a kill or damage leaves."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.disk_queue import Place, Queue, QueueError, Record

MB = 1024 * 1024


def record(seq: int, size: int = 100, readings: int = 10) -> Record:
    """A record whose body tells its number."""
    body = seq.to_bytes(4, "big") * (size // 4 + 1)
    return Record(7, seq, seq + readings - 1, 1000 + seq, readings, "VIN1", body[:size])


Opener = Callable[..., Queue]


@pytest.fixture
def open_queue(tmp_path: Path) -> Iterator[Opener]:
    """Open the queue of this test; the one before is closed."""
    queues: list[Queue] = []

    def open_again(max_bytes: int = MB) -> Queue:
        if queues:
            queues[-1].close()
        queues.append(Queue(tmp_path / "queue", max_bytes, 0))
        return queues[-1]

    yield open_again
    for queue in queues:
        queue.close()


def content(queue: Queue) -> list[Record]:
    """All records that are not read."""
    return [record for record, _ in queue.read(queue.done)]


def read(queue: Queue, count: int) -> None:
    """Have the first records done with."""
    done = [found for found, _ in zip(queue.read(queue.done), range(count), strict=False)]
    queue.advance(done)


def test_first_in_first_out_over_restarts(open_queue: Opener) -> None:
    """Records come out as they came in, and the next run goes on where this one was."""
    queue = open_queue()
    records = [record(seq) for seq in range(0, 100, 10)]
    for one in records:
        queue.append(one)
    assert content(queue) == records
    read(queue, 4)
    queue = open_queue()
    assert content(queue) == records[4:]
    assert (queue.records, queue.readings) == (6, 60)
    assert queue.last == {7: 39}
    assert queue.watermark_ns == 1090
    assert queue.oldest_ns is not None


def test_files_that_are_read_are_deleted(open_queue: Opener, tmp_path: Path) -> None:
    """Room is given back file by file."""
    queue = open_queue()
    for seq in range(0, 5000, 10):
        queue.append(record(seq, 1000))
    files = len(list((tmp_path / "queue").glob("*.q")))
    assert files > 2
    read(queue, 500)
    assert len(list((tmp_path / "queue").glob("*.q"))) == 1
    assert (queue.records, queue.readings) == (0, 0)
    queue.append(record(6000))
    assert content(queue) == [record(6000)]


def test_the_oldest_are_dropped_where_there_is_no_room(open_queue: Opener) -> None:
    """A full queue keeps the newest, within its bound, and counts what it gave up."""
    queue = open_queue(100_000)
    for seq in range(0, 3000, 10):
        queue.append(record(seq, 1000))
    assert queue.size_bytes <= 100_000
    left = content(queue)
    assert left[-1].seq_first == 2990
    assert queue.counts.dropped + 10 * len(left) == 3000
    assert queue.readings == 10 * len(left)
    assert open_queue(100_000).counts.dropped == queue.counts.dropped


def test_what_arrives_while_it_is_dropped_is_not_lost(open_queue: Opener) -> None:
    """A record that was on its way when it was dropped is not counted as dropped."""
    queue = open_queue(100_000)
    queue.append(record(0, 1000))
    on_the_way = list(queue.read(queue.done))
    for seq in range(10, 3000, 10):
        queue.append(record(seq, 1000))
    queue.advance(on_the_way)
    assert queue.counts.dropped + 10 * len(content(queue)) + 10 == 3000


@given(st.integers(1, 400))
def test_a_torn_end_is_cut_off(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """However much of the last record a kill leaves out, the whole ones are there and more can be
    added."""
    folder = tmp_path_factory.mktemp("queue")
    queue = Queue(folder, MB, 0)
    records = [record(seq, 120) for seq in range(0, 50, 10)]
    for one in records:
        queue.append(one)
    queue.close()
    (path,) = folder.glob("*.q")
    size = path.stat().st_size
    os.truncate(path, size - cut)
    queue = Queue(folder, MB, 0)
    whole = (size - cut) // (size // 5)
    assert content(queue) == records[:whole]
    assert queue.watermark_ns == (1000 + 10 * (whole - 1) if whole else 0)
    queue.append(record(90))
    assert content(queue) == [*records[:whole], record(90)]
    queue.close()


@given(st.integers(0, 799), st.binary(min_size=1, max_size=40))
def test_damage_costs_no_other_record(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes
) -> None:
    """Bytes that were overwritten cost the records that they belong to, and never a crash."""
    folder = tmp_path_factory.mktemp("queue")
    queue = Queue(folder, MB, 0)
    records = [record(seq, 120) for seq in range(0, 50, 10)]
    for one in records:
        queue.append(one)
    queue.close()
    (path,) = folder.glob("*.q")
    data = bytearray(path.read_bytes())
    size = len(data) // 5
    at = min(at, len(data) - len(noise))
    data[at : at + len(noise)] = noise
    path.write_bytes(data)
    queue = Queue(folder, MB, 0)
    hit = range(at // size, (at + len(noise) - 1) // size + 1)
    safe = [one for number, one in enumerate(records) if number not in hit]
    found = content(queue)
    assert [one for one in found if one in safe] == safe
    assert all(one in records for one in found)
    queue.close()


def test_a_state_that_was_torn_is_the_one_before(open_queue: Opener, tmp_path: Path) -> None:
    """Half a slot is as none: the other one counts, and some records come again."""
    queue = open_queue()
    for seq in range(0, 50, 10):
        queue.append(record(seq))
    read(queue, 1)
    read(queue, 1)
    queue.close()
    path = tmp_path / "queue" / "state"
    data = bytearray(path.read_bytes())
    newest = queue._generation % 2 * 512
    data[newest + 8 : newest + 20] = b"\xff" * 12
    path.write_bytes(data)
    assert [one.seq_first for one in content(open_queue())] == [10, 20, 30, 40]


def test_a_full_disk_refuses_a_record_whole(
    open_queue: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that the disk takes only a part of is not in the queue, and the next one fits."""
    queue = open_queue()
    queue.append(record(0))
    real = os.write
    calls = iter([50, None])

    def write(descriptor: int, data: bytes) -> int:
        size = next(calls)
        if size is None:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:size])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="space"):
        queue.append(record(10))
    monkeypatch.undo()
    queue.append(record(20))
    assert [one.seq_first for one in content(queue)] == [0, 20]
    assert [one.seq_first for one in content(open_queue())] == [0, 20]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """A file where the folder should be is told as what it is."""
    (tmp_path / "queue").write_text("")
    with pytest.raises(QueueError, match="expected a folder"):
        Queue(tmp_path / "queue", MB, 0)


def test_places_are_ordered() -> None:
    """A later file is later, wherever in it."""
    assert Place(1, 500) < Place(2, 0)


def test_a_full_disk_gets_room_from_what_is_read(
    open_queue: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read of the last file is given up where there is no other room; before that, nothing
    is, and the queue goes on over a restart."""
    folder = tmp_path / "queue"
    write = os.write

    def to_small_disk(descriptor: int, data: bytes) -> int:
        if sum(file.stat().st_size for file in folder.glob("*.q")) + len(data) > 1000:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", to_small_disk)
    queue = open_queue()
    seq = 0
    with contextlib.suppress(OSError):
        for seq in range(0, 10_000, 10):
            queue.append(record(seq))
    kept = content(queue)
    assert 1 < len(kept) < 100
    read(queue, len(kept) - 1)
    with pytest.raises(OSError, match="No space"):
        queue.append(record(seq))
    assert content(queue) == kept[-1:]
    read(queue, 1)
    queue.append(record(seq))
    assert content(queue) == [record(seq)]
    queue = open_queue()
    assert content(queue) == [record(seq)]
    assert (queue.counts.dropped, queue.torn) == (0, False)
