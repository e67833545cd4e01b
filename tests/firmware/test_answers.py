"""Answers that are strange: packets that none of them names, and more in one than a board reads."""

from __future__ import annotations

from collections.abc import Callable

from firmware_stubs.links import SerialLink
from server.wire import frame
from server.wire.messages import Command, Downlink, Refusal, Uplink, read_downlink, read_uplink
from tests.firmware import worlds
from tests.firmware.fake_board import FakeBoard
from tests.firmware.test_logger import MINUTE_MS, RPM, assert_nothing_lost_or_doubled
from tests.firmware.worlds import drained


def deaf_to(board: FakeBoard, is_unreadable: Callable[[int, int], bool]) -> None:
    """Let the gateway see no number in some packets, by boot and number."""
    take = board.gateway.take

    def take_readable(body: bytes) -> bytes:
        up = read_uplink(body)
        numbers = [worlds.number_of(packet)[0] for packet in up.packets]
        up.packets = [
            packet
            for packet, seq in zip(up.packets, numbers, strict=True)
            if not is_unreadable(up.boot, seq)
        ]
        return take(up.to_bytes())

    board.gateway.take = take_readable  # type: ignore[method-assign]


def gave_up(board: FakeBoard) -> list[str]:
    """The lines about packets that were given up."""
    return [line for line in board.lines if "given up" in line]


def test_packets_that_no_answer_names_are_given_up_and_counted() -> None:
    """After 16 answers in which others were taken they are void; all others arrive."""
    board = worlds.board()
    deaf_to(board, lambda boot, seq: seq in (1, 2, 5))
    board.restart()
    board.run(8 * MINUTE_MS)
    drained(board)
    lines = gave_up(board)
    assert [line.split()[1] for line in lines] == ["1", "2", "5"]
    assert "16 times" in lines[0]
    assert board.logger is not None
    assert board.logger.counters().rows_dropped >= 200
    assert {seq for _, seq in board.gateway.voids} == {1, 2, 5}
    newest = max(seq for _, seq in board.gateway.packets)
    taken = {seq for _, seq in board.gateway.packets}
    assert taken == set(range(newest + 1)) - {1, 2, 5}
    assert newest > 20


def test_one_that_comes_alone_is_given_up_in_the_end() -> None:
    """The only packet, of a stopped logger, goes out neither for ever nor a few times only."""
    board = worlds.board()
    board.restart()
    board.run(MINUTE_MS)
    assert board.logger is not None
    last = max(seq for _, seq in board.gateway.packets)
    deaf_to(board, lambda boot, seq: seq > last)
    board.run(1000)
    board.logger.set_running(False)
    board.run(5 * MINUTE_MS)
    assert board.logger.counters().queue_packets == 1
    assert not gave_up(board)
    board.run(40 * MINUTE_MS)
    assert board.logger.counters().queue_packets == 0
    assert gave_up(board)
    before = len(board.gateway.uplinks)
    board.run(MINUTE_MS)
    assert len(board.gateway.uplinks) - before <= 6


def test_a_gateway_that_takes_nothing_for_a_while_loses_nothing() -> None:
    """Answers that name no packet at all are no reason to give any up at once."""
    board = worlds.board()
    board.restart()
    board.run(MINUTE_MS)

    def answer(up: Uplink, down: Downlink) -> None:
        down.acked = []

    board.gateway.answer = answer
    board.run(5 * MINUTE_MS)
    board.gateway.answer = None
    board.run(2 * MINUTE_MS)
    assert not gave_up(board)
    assert_nothing_lost_or_doubled(board, drained(board))


def test_unreadable_packets_of_an_old_boot_do_not_hold_up_the_new_one() -> None:
    """A batch ends where another boot begins; what stands behind it arrives within a minute."""
    board = worlds.board()
    board.online = False
    board.restart()
    board.run(30_000)
    board.run_to_next_second()
    board.restart()
    assert board.logger is not None
    new = board.logger.boot
    deaf_to(board, lambda boot, seq: boot != new)
    board.online = True
    board.run(MINUTE_MS)
    assert any(boot == new for boot, _ in board.gateway.packets)
    board.run(10 * MINUTE_MS)
    assert board.logger.counters().queue_packets <= 2
    assert len(gave_up(board)) == 3
    assert not any(boot == new for boot, _ in board.gateway.voids)


def test_an_answer_with_more_than_a_board_reads_is_taken_as_far_as_it_fits() -> None:
    """Thousands of numbers, refusals and commands: the first ones count, the rest is left out."""
    down = Downlink(
        boot=1,
        acked=list(range(20_000)),
        need_key=list(range(600)),
        refused=[Refusal(seq=seq, reason="x" * (600 if seq < 9 else 6)) for seq in range(600)],
        commands=[Command(id=number + 1, name="n" * 70) for number in range(20)],
        need_profile=True,
    )
    read = read_downlink(down.to_bytes())
    assert read.acked == list(range(512))
    assert read.need_key == list(range(512))
    assert [refusal.seq for refusal in read.refused] == list(range(512))
    assert {len(refusal.reason) for refusal in read.refused} == {512, 6}
    assert [command.id for command in read.commands] == list(range(1, 17))
    assert read.commands[0].name == "n" * 64
    assert read.need_profile


def test_a_text_is_cut_between_characters() -> None:
    """Cut UTF-8 is UTF-8 still."""
    for text in ("ä" * 400, "x" + "ä" * 400, "€" * 300, "x€" * 300, "😀" * 200):
        read = read_downlink(Downlink(refused=[Refusal(seq=1, reason=text)]).to_bytes())
        assert 509 <= len(read.refused[0].reason.encode()) <= 512
        assert text.startswith(read.refused[0].reason)


def test_a_drive_with_answers_that_are_too_long_loses_nothing() -> None:
    """Each answer names thousands of packets behind those that were sent; a command is too long."""
    board = worlds.board()

    def answer(up: Uplink, down: Downlink) -> None:
        down.acked = down.acked + [100_000 + number for number in range(3000)]
        down.commands = [Command(id=9, name="set_rates", parameters='{"RPM": 1' + " " * 5000 + "}")]

    board.gateway.answer = answer
    board.restart()
    board.run(2 * MINUTE_MS)
    assert board.logger is not None
    assert board.logger.counters().link_failures == 0
    assert (9, 2, "the parameters are no JSON object") in board.gateway.results
    board.gateway.answer = None
    boots = drained(board)
    assert_nothing_lost_or_doubled(board, boots)
    assert len(board.car.told[RPM]) > 500


def test_the_longest_answer_fits_the_serial_line() -> None:
    """A frame of the greatest size that the gateway makes is found by the board's decoder."""
    decoder = frame.Decoder(SerialLink.LONGEST_DOWNLINK_BYTES)
    payload = bytes(SerialLink.LONGEST_DOWNLINK_BYTES)
    assert decoder.feed(frame.frame(frame.DOWNLINK, payload)) == [(frame.DOWNLINK, payload)]
