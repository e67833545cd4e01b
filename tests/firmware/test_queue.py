"""The queue on flash: resets, power cuts, wear, overflow."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_stubs.hal import SECTOR_BYTES
from firmware_stubs.queue import LONGEST_PACKET_BYTES, Queue, RamFlash, State
from tests.firmware import worlds
from tests.firmware.fake_board import FakeBoard, PowerCut

HASH = b"profile!"


def opened(board: FakeBoard) -> Queue:
    """Open the queue as after a reset."""
    queue = Queue(board)
    queue.open()
    return queue


def begun(board: FakeBoard, boot: int = 1, utc_ms: int = 0, source: int = 0) -> Queue:
    """Open the queue and begin a boot."""
    queue = opened(board)
    queue.begin(State(boot, HASH, 0, utc_ms, source))
    return queue


def waiting(queue: Queue) -> list[tuple[int, int, bytes]]:
    """Give (boot, seq, packet) of all that waits, taking nothing."""
    found = []
    taken = []
    while (batch := queue.batch(1 << 20, 1 << 20)) is not None:
        for entry in batch.entries:
            found.append((batch.state.boot, entry.seq, entry.packet))
            taken.append(entry)
            queue.done(entry)
    return found


def packet(seq: int, size: int = 100) -> bytes:
    """Make a packet that tells its number."""
    return bytes((seq * 7 + place) & 255 for place in range(size))


def test_packets_come_back_in_order_until_they_are_done() -> None:
    """A batch is given again until its packets are done; counters follow."""
    queue = begun(worlds.board())
    for seq in range(5):
        queue.put(seq, 10, packet(seq))
    first = queue.batch(250, 64)
    again = queue.batch(250, 64)
    assert first is not None
    assert again is not None
    assert (
        [entry.seq for entry in first.entries] == [entry.seq for entry in again.entries] == [0, 1]
    )
    assert (queue.packets, queue.bytes) == (5, 500)
    assert all(queue.done(entry) for entry in first.entries)
    assert not queue.done(first.entries[0])
    assert (queue.packets, queue.bytes) == (3, 300)
    assert [seq for _, seq, _ in waiting(queue)] == [2, 3, 4]
    assert queue.batch(250, 64) is None


def test_what_waits_survives_a_reset_with_its_boot_and_profile() -> None:
    """Two boots in one queue come as two batches, each with its own state."""
    board = worlds.board()
    queue = begun(board, boot=1, utc_ms=5000, source=1)
    for seq in range(40):
        queue.put(seq, 10, packet(seq, 200))
    queue = begun(board, boot=2)
    queue.put(0, 3, b"new")
    queue = opened(board)
    assert queue.packets == 41
    batch = queue.batch(1 << 20, 1000)
    assert batch is not None
    assert (batch.state.boot, batch.state.utc_ms, batch.state.profile_hash) == (1, 5000, HASH)
    assert len(batch.entries) == 40
    assert waiting(queue)[40] == (2, 0, b"new")


def test_packets_of_a_time_not_known_get_the_base_that_was_learned_later() -> None:
    """The first base of the same boot counts for what was packed before it; not another boot's."""
    board = worlds.board()
    queue = begun(board, boot=1)
    queue.put(0, 1, b"lost")
    queue.begin(State(2, HASH, 0, 0, 0))
    queue.put(0, 1, b"a")
    queue.begin(State(2, HASH, 9, 77, 1))
    queue.begin(State(2, HASH, 10, 90, 1))
    queue.put(1, 1, b"b")
    seen = []
    while (batch := queue.batch(1 << 20, 64)) is not None:
        seen.append((batch.entries[0].packet, batch.state.row, batch.state.utc_ms))
        queue.done(batch.entries[0])
    assert seen == [(b"lost", 0, 0), (b"a", 9, 77), (b"b", 10, 90)]


def test_a_full_ring_gives_up_the_oldest_and_counts_rows() -> None:
    """What is left is the newest, in order; each packet is either there or counted."""
    board = worlds.board(sectors=4)
    queue = begun(board)
    for seq in range(200):
        queue.put(seq, 10, packet(seq, 200))
    left = [seq for _, seq, _ in waiting(queue)]
    gone = [seq for _, seq in queue.dropped]
    assert gone + left == list(range(200))
    assert queue.rows_dropped == 10 * len(gone)
    assert len(left) > 200 * 3 // 5 * 3 * 4096 // (200 * 200)
    assert len(opened(board).dropped) == 0


def test_the_list_of_what_was_given_up_is_bounded() -> None:
    """After thousands, the last 256 are known and all are counted."""
    queue = begun(worlds.board(sectors=2))
    for seq in range(3000):
        queue.put(seq, 1, packet(seq, 50))
    assert len(queue.dropped) == 256
    assert queue.rows_dropped + queue.packets == 3000


def test_an_entry_whose_sector_was_used_again_is_not_marked() -> None:
    """An answer that comes after the ring has gone round changes no newer packet."""
    queue = begun(worlds.board(sectors=2))
    queue.put(0, 1, packet(0))
    batch = queue.batch(1000, 1)
    for seq in range(1, 100):
        queue.put(seq, 1, packet(seq))
    assert batch is not None
    assert not queue.done(batch.entries[0])
    assert [seq for _, seq, _ in waiting(queue)][-1] == 99


def test_wear_is_even_and_little_more_is_written_than_packets() -> None:
    """Erases of sectors differ by one at most; the overhead of full packets is below 12 %."""
    board = worlds.board(sectors=8)
    queue = begun(board)
    payload = 0
    for seq in range(2000):
        queue.put(seq, 50, packet(seq, 231))
        payload += 231
        batch = queue.batch(1000, 1)
        assert batch is not None
        queue.done(batch.entries[0])
    assert max(board.flash.erased) - min(board.flash.erased) <= 1
    assert board.flash.written / payload < 1.12
    assert queue.rows_dropped == 0


def test_foreign_bytes_in_the_partition_are_no_packets() -> None:
    """A partition that held something else opens empty and works."""
    board = worlds.board(sectors=4)
    board.flash.memory[:] = board.chance.bytes(4 * SECTOR_BYTES)
    queue = opened(board)
    assert queue.packets == 0
    queue.begin(State(1, HASH, 0, 0, 0))
    queue.put(0, 1, b"x")
    assert waiting(opened(board)) == [(1, 0, b"x")]


def test_a_packet_that_is_too_long_and_a_partition_that_is_too_small_are_refused() -> None:
    """Both are errors of the program or the board, told at once."""
    queue = begun(worlds.board())
    with pytest.raises(ValueError, match="too long"):
        queue.put(0, 1, bytes(LONGEST_PACKET_BYTES + 1))
    with pytest.raises(ValueError, match="at least 2 sectors"):
        opened(worlds.board(sectors=1))


def test_without_a_partition_ram_serves() -> None:
    """A board without flash queues all the same, until its reset."""
    queue = Queue(RamFlash(2))
    queue.open()
    queue.begin(State(1, HASH, 0, 0, 0))
    for seq in range(100):
        queue.put(seq, 1, packet(seq))
    assert waiting(queue)[-1] == (1, 99, packet(99))


OPERATIONS = st.lists(st.sampled_from(["put", "put", "put", "done", "reset"]), max_size=120)


@settings(max_examples=200)
@given(OPERATIONS, st.integers(0, 150), st.integers(0, 99), st.integers(2, 5))
def test_a_power_cut_in_any_write_loses_at_most_what_was_being_written(
    operations: list[str], cut_at: int, share: int, sectors: int
) -> None:
    """Whatever was put and is not done comes back, in order; nothing comes that was not put."""
    board = worlds.board(sectors)
    board.flash.cut_at, board.flash.cut_share = cut_at, share
    put: dict[tuple[int, int], bytes] = {}
    done: set[tuple[int, int]] = set()
    dropped: set[tuple[int, int]] = set()
    unsure: set[tuple[int, int]] = set()
    boot, seq = 0, 0
    queue = Queue(board)

    def restart() -> None:
        nonlocal boot, seq, queue
        dropped.update(queue.dropped)
        boot, seq = boot + 1, 0
        queue = begun(board, boot)

    restart_pending = True
    for operation in operations:
        key = (boot, seq)
        try:
            if restart_pending:
                restart_pending = False
                restart()
            if operation == "reset":
                restart()
            elif operation == "put":
                key = (boot, seq)
                put[key] = packet(seq + boot * 31, 60 + 37 * seq % 170)
                unsure = {key}
                queue.put(seq, 1, put[key])
                unsure = set()
                seq += 1
            else:
                batch = queue.batch(600, 8)
                for entry in batch.entries if batch else []:
                    key = (batch.state.boot, entry.seq)  # type: ignore[union-attr]
                    assert put[key] == entry.packet
                    done.add(key)
                    queue.done(entry)
        except PowerCut:
            dropped.update(queue.dropped)
            # The sector that was being erased had been given up already.
            board.flash.cut_at = -1
            restart()
            break
    dropped.update(queue.dropped)
    board.flash.cut_at = -1
    left = waiting(opened(board))
    keys = [(boot, seq) for boot, seq, _ in left]
    assert all(put[boot, seq] == data for boot, seq, data in left)
    assert len(keys) == len(set(keys))
    assert sorted(keys) == keys
    missing = set(put) - set(keys) - done - dropped
    assert missing <= unsure


class Refusing(RamFlash):
    """A flash that can be told to take no more, as a worn or protected chip."""

    def __init__(self, sectors: int) -> None:
        super().__init__(sectors)
        self.refuses = False

    def flash_write(self, offset: int, data: bytes) -> None:
        if self.refuses:
            raise OSError(5)
        super().flash_write(offset, data)

    def flash_erase(self, offset: int) -> None:
        if self.refuses:
            raise OSError(5)
        super().flash_erase(offset)


def test_a_flash_that_takes_no_more_costs_nothing_until_a_reset() -> None:
    """What comes then is kept in RAM, behind what waited already; done stays done."""
    flash = Refusing(8)
    queue = Queue(flash)
    queue.open()
    queue.begin(State(1, HASH, 0, 5000, 1))
    for seq in range(3):
        queue.put(seq, 10, packet(seq))
    flash.refuses = True
    for seq in range(3, 6):
        queue.put(seq, 10, packet(seq))
    assert (queue.packets, queue.bytes) == (6, 600)
    batch = queue.batch(150, 64)
    assert batch is not None
    (first,) = batch.entries
    assert (first.seq, queue.done(first), queue.done(first)) == (0, True, False)
    queue.begin(State(1, HASH, 50, 9000, 1))
    queue.put(6, 10, packet(6))
    flash.refuses = False
    queue.put(7, 10, packet(7))
    assert queue.packets == 7
    assert queue.profiles() == [HASH]
    found = waiting(queue)
    assert sorted(seq for _, seq, _ in found) == [1, 2, 3, 4, 5, 6, 7]
    assert all(content == packet(seq) for _, seq, content in found)
    assert (queue.packets, queue.bytes, queue.rows_dropped) == (0, 0, 0)


def test_a_flash_that_never_takes_a_byte_leaves_the_queue_in_ram() -> None:
    """Bounded: the oldest are given up, and counted, when eight sectors are full."""
    flash = Refusing(8)
    flash.refuses = True
    queue = Queue(flash)
    queue.open()
    queue.begin(State(1, HASH, 0, 0, 0))
    for seq in range(400):
        queue.put(seq, 1, packet(seq))
    assert 200 < queue.packets < 330
    assert queue.rows_dropped == 400 - queue.packets
    found = [seq for _, seq, _ in waiting(queue)]
    assert found == list(range(queue.rows_dropped, 400))


@given(refusals=st.lists(st.booleans(), min_size=30, max_size=60))
def test_whatever_the_flash_refuses_each_packet_is_given_or_dropped_once(
    refusals: list[bool],
) -> None:
    """It refuses and takes again at will; one packet is done for each two that come."""
    flash = Refusing(3)
    queue = Queue(flash)
    queue.open()
    queue.begin(State(1, HASH, 0, 0, 0))
    given_up: list[int] = []
    done: list[int] = []
    for seq, refuses in enumerate(refusals):
        flash.refuses = refuses
        queue.put(seq, 1, packet(seq, 500))
        given_up += [dropped for _, dropped in queue.dropped]
        queue.dropped = []
        if seq % 2:
            batch = queue.batch(1, 64)
            if batch is not None:
                done.append(batch.entries[0].seq)
                queue.done(batch.entries[0])
    done += [seq for _, seq, _ in waiting(queue)]
    assert sorted(given_up + done) == list(range(len(refusals)))
    assert (queue.packets, queue.bytes) == (0, 0)
