"""The whole logger on a fake board: drives, outages, resets, time."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from firmware_stubs import signals
from firmware_stubs.logger import MOST_LOGS
from server.wire.messages import GATEWAY, GNSS, Downlink, Uplink
from tests.firmware import worlds
from tests.firmware.fake_board import EPOCH_MS, VIN, FakeBoard, PowerCut
from tests.firmware.worlds import Boot, all_values, decoded, drained

MINUTE_MS = 60_000
RPM = 0x0C
OPEN_PACKET_MS = 12_000  # flush_ms, and the rows that are not closed yet


def driven(for_ms: int = MINUTE_MS) -> FakeBoard:
    """Give a board that has driven for a while."""
    board = worlds.board()
    board.restart()
    board.run(for_ms)
    return board


def assert_nothing_lost_or_doubled(board: FakeBoard, boots: dict[int, Boot]) -> None:
    """What was decoded is exactly what the car said, of every signal, in order."""
    for pid, told in board.car.told.items():
        assert all_values(boots, pid) == told, f"PID {pid:02X}"
    for boot in boots.values():
        assert boot.rows == sorted(set(boot.rows))


def test_a_drive_arrives_whole_with_its_instants() -> None:
    """Every value that the car said is decoded, at the row at which it was asked for."""
    board = driven()
    boots = drained(board)
    assert_nothing_lost_or_doubled(board, boots)
    (boot,) = boots.values()
    for pid in (RPM, 0x10, 0x0D):
        pairs = list(zip(boot.instants[pid], boot.values[pid], strict=True))
        exact = [value == board.car.value(pid, utc_ms - EPOCH_MS) for utc_ms, value in pairs]
        # A row's instant and the request's differ by the clock's error, up to a few ms.
        near = [
            value in {board.car.value(pid, utc_ms - EPOCH_MS + ms) for ms in range(-30, 60)}
            for utc_ms, value in pairs
        ]
        assert all(near)
        assert sum(exact) > len(exact) // 2
    assert board.gateway.hellos[next(iter(boots))].vin == VIN.decode()


def test_fixes_stand_on_the_rows_of_their_instants() -> None:
    """The position of second s is decoded with exactly the instant of second s."""
    board = driven()
    (boot,) = drained(board).values()
    seconds = [(utc_ms - EPOCH_MS) // 1000 for utc_ms in boot.instants[signals.LAT]]
    assert len(seconds) >= 55
    assert all(utc_ms % 1000 == 0 for utc_ms in boot.instants[signals.LAT])
    base = (48 * 60 + 8) * 100_000
    assert boot.values[signals.LAT] == [base + second * 37 % 100_000 for second in seconds]
    assert boot.values[signals.ALT] == [
        (500 + second % 50) * 10 + second % 10 for second in seconds
    ]
    assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))


def test_ten_minutes_offline_are_caught_up_with_nothing_lost_or_doubled() -> None:
    """Packets wait on flash and come in order when the network is back."""
    board = driven()
    board.online = False
    board.run(10 * MINUTE_MS)
    assert board.logger is not None
    assert board.logger.counters().queue_packets >= 50
    board.online = True
    board.run(2 * MINUTE_MS)
    assert board.logger.counters().queue_packets <= 2
    boots = drained(board)
    assert len(boots) == 1
    assert_nothing_lost_or_doubled(board, boots)
    assert board.gateway.conflicts == board.gateway.repeats == 0
    counters = board.logger.counters()
    assert counters.rows_dropped == 0
    decoded_count = sum(len(values) for boot in boots.values() for values in boot.values.values())
    assert counters.readings_taken == decoded_count


def test_answers_that_get_lost_make_repeats_and_no_conflicts() -> None:
    """A packet that the gateway has already comes again with the same bytes."""
    board = worlds.board()
    board.lose_answers = 50
    board.restart()
    board.run(5 * MINUTE_MS)
    board.lose_answers = 0
    boots = drained(board)
    assert board.gateway.repeats > 0
    assert board.gateway.conflicts == 0
    assert_nothing_lost_or_doubled(board, boots)


@pytest.mark.parametrize("status", [0, 500, 503, 404, 401, 413])
def test_a_gateway_that_refuses_everything_for_a_while_loses_nothing(status: int) -> None:
    """Time-outs and statuses of all kinds are tried again, ever more slowly."""
    board = driven()
    before = len(board.gateway.uplinks)
    board.http_status = status
    board.run(3 * MINUTE_MS)
    tries = len(board.gateway.uplinks) - before
    assert tries <= 12
    board.http_status = 200
    board.run(2 * MINUTE_MS)
    assert_nothing_lost_or_doubled(board, drained(board))


@settings(max_examples=10, phases=[Phase.explicit, Phase.generate])
@given(st.binary(max_size=60), st.integers(0, 3))
def test_garbage_as_an_answer_loses_nothing(garbage: bytes, kind: int) -> None:
    """Random bytes, an answer to another boot, one for no packet: all survived."""
    board = driven(20_000)

    def answer(up: Uplink, down: Downlink) -> bytes | None:
        if kind == 0:
            return garbage
        if kind == 1:
            down.boot ^= 1
        if kind == 2:
            down.acked, down.ack = [], 0
        return b"" if kind == 3 else None

    board.gateway.answer = answer
    board.run(20_000)
    board.gateway.answer = None
    board.run(20_000)
    assert_nothing_lost_or_doubled(board, drained(board))


def test_a_full_queue_gives_up_the_oldest_counts_it_and_tells_the_gateway() -> None:
    """Rows are either decoded or counted as dropped; voids name the packets that never come."""
    board = worlds.board(sectors=2)
    board.restart()
    board.run(MINUTE_MS)
    board.online = False
    board.run(12 * MINUTE_MS)
    board.online = True
    board.run(2 * MINUTE_MS)
    boots = drained(board)
    (boot,) = boots.values()
    assert board.logger is not None
    dropped = board.logger.counters().rows_dropped
    assert dropped > 100
    assert len(boot.rows) + dropped >= boot.rows[-1] - 10
    told = board.car.told[RPM]
    got = boot.values[RPM]
    assert got[:100] == told[:100]
    assert got[-100:] == told[-100:]
    assert board.gateway.voids
    assert not set(board.gateway.voids) & set(board.gateway.packets)


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 45), st.integers(0, 99), st.booleans(), st.integers(1, 40))
def test_a_power_cut_at_any_flash_write_loses_at_most_the_open_packet(
    cut_at: int, share: int, online: bool, later_s: int
) -> None:
    """After the reset all that was packed comes, in a boot of its own; numbers never change."""
    board = worlds.board(sectors=4)
    board.online = online
    board.flash.cut_at, board.flash.cut_share = cut_at, share
    cut_ms = 0
    try:
        board.restart()
        board.run(MINUTE_MS + later_s * 1000)
    except PowerCut:
        cut_ms = board.now_ms
    told = {pid: len(values) for pid, values in board.car.told.items()}
    board.flash.cut_at = -1
    board.online = True
    board.run_to_next_second()
    board.restart()
    board.run(MINUTE_MS)
    boots = drained(board)
    assert board.gateway.conflicts == 0
    per_boot = list(boots.values())
    values = all_values(boots, RPM)
    said = board.car.told[RPM]
    after = per_boot[-1].values[RPM]
    before = values[: len(values) - len(after)]
    assert before == said[: len(before)]
    assert after == said[len(said) - len(after) :]
    lost = len(said) - len(values)
    assert lost <= 5 * (OPEN_PACKET_MS // 1000 + 1)
    assert cut_ms == 0 or told[RPM] - len(before) == lost


def test_time_that_is_learned_late_gives_instants_to_what_was_before() -> None:
    """Neither receiver nor gateway for 3 minutes: the first fix dates all rows of the boot."""
    board = worlds.board()
    board.online = board.gnss_on = False
    board.restart()
    board.run(3 * MINUTE_MS)
    board.gnss_on = True
    board.run(10_000)
    board.online = True
    board.run(MINUTE_MS)
    (boot,) = drained(board).values()
    assert_nothing_lost_or_doubled(board, {0: boot})
    assert min(boot.instants[RPM]) < EPOCH_MS + 2000
    for utc_ms, value in zip(boot.instants[RPM], boot.values[RPM], strict=True):
        at_ms = utc_ms - EPOCH_MS
        assert value in {board.car.value(RPM, at_ms + ms) for ms in range(-60, 60)}


def test_without_a_receiver_the_gateway_says_what_time_it_is() -> None:
    """Instants are right to half a round trip; the source is named."""
    board = worlds.board()
    board.gnss_on = False
    board.restart()
    board.run(MINUTE_MS)
    (boot,) = drained(board).values()
    times = set(board.gateway.times.values())
    assert {time.source for time in times if time.utc_ms} == {GATEWAY}  # type: ignore[attr-defined]
    pairs = zip(boot.instants[RPM], boot.values[RPM], strict=True)
    dated = [(utc_ms - EPOCH_MS, value) for utc_ms, value in pairs if utc_ms]
    assert len(dated) > 250
    for at_ms, value in dated:
        assert value in {board.car.value(RPM, at_ms + ms) for ms in range(-60, 60)}


def test_a_step_of_the_clock_changes_the_base_and_loses_no_reading() -> None:
    """The receiver is 40 s wrong for a minute: rows there carry its time, before and after not."""
    board = driven()
    board.gnss_error_ms = 40_000
    board.run(MINUTE_MS)
    board.gnss_error_ms = 0
    board.run(MINUTE_MS)
    boots = drained(board)
    assert_nothing_lost_or_doubled(board, boots)
    bases = {time.utc_ms - time.row * 100 for time in board.gateway.times.values()}  # type: ignore[attr-defined]
    assert len(bases) >= 3
    sources = {time.source for time in board.gateway.times.values()}  # type: ignore[attr-defined]
    assert GNSS in sources


def test_a_message_that_arrives_again_late_does_not_move_the_rows_after_it() -> None:
    """A proxy repeats a message from before the clock's step: later packets keep their instants."""
    board = worlds.board()
    board.gnss_on = False
    board.restart()
    board.run(15_000)
    late = board.gateway.uplinks[-1]
    board.gnss_error_ms, board.gnss_on = 40_000, True
    board.run(MINUTE_MS)

    def repeat(up: Uplink, down: Downlink) -> None:
        board.gateway.answer = None
        board.gateway.take(late)
        board.gateway.answer = repeat

    board.gateway.answer = repeat
    board.run(MINUTE_MS)
    (boot,) = drained(board).values()
    for utc_ms, value in list(zip(boot.instants[RPM], boot.values[RPM], strict=True))[-300:]:
        at_ms = utc_ms - EPOCH_MS - 40_000
        assert value in {board.car.value(RPM, at_ms + ms) for ms in range(-60, 60)}


def test_after_a_gateway_that_lost_its_states_the_next_packet_stands_alone() -> None:
    """What continued from a lost state is refused and counted; then everything arrives again."""
    board = driven()
    board.gateway.states = []
    board.run(2 * MINUTE_MS)
    boots = drained(board)
    assert board.logger is not None
    dropped = board.logger.counters().rows_dropped
    assert 0 < dropped <= 250
    (boot,) = boots.values()
    assert len(boot.rows) + dropped >= boot.rows[-1] - 10
    assert boot.values[RPM][-300:] == board.car.told[RPM][-300:]


def test_packets_refused_for_good_are_counted_and_told_as_voids() -> None:
    """The device does not send them again, and says that they will never come."""
    board = driven(30_000)
    board.gateway.answer = board.gateway.refuse
    board.run(20_000)
    board.gateway.answer = None
    board.run(30_000)
    assert board.logger is not None
    assert board.logger.counters().rows_dropped > 0
    assert board.gateway.voids
    assert board.gateway.repeats == 0
    assert any("refused: so" in line for line in board.gateway.logs)


def test_a_gateway_that_forgot_the_hello_gets_it_again() -> None:
    """need_hello brings profile and templates, and no packet is lost."""
    board = driven()
    board.gateway.hellos.clear()
    board.run(30_000)
    assert len(board.gateway.hellos) == 1
    assert_nothing_lost_or_doubled(board, drained(board))


def test_noise_from_the_receiver_does_not_stop_it() -> None:
    """Random bytes between sentences are counted, and fixes are still there."""
    board = worlds.board()
    board.noise = board.chance.bytes(40).replace(b"$", b"") + b"\n"
    board.restart()
    board.run(MINUTE_MS)
    (boot,) = drained(board).values()
    assert len(boot.values[signals.LAT]) >= 55
    assert board.logger is not None
    assert board.logger.status()["bad_gnss_lines"]


def test_garbage_in_nvs_gives_the_default_plan() -> None:
    """A plan that is no JSON, or is refused, is told and replaced."""
    for wrong in (b"\xff\xfe", b"[1]", b'{"rates": {"RPMS": 1}}'):
        board = worlds.board()
        board.nvs["plan"] = wrong
        board.nvs["profile"] = b"TRP1 nothing"
        board.restart()
        board.run(5000)
        assert board.logger is not None
        assert len(board.logger.plan.signals) == 18
        assert any("plan" in line for line in board.lines)


def test_a_board_that_slept_leaves_rows_out_and_counts_them() -> None:
    """A minute without a poll is a gap with a number, not a row of wrong instants."""
    board = driven()
    board.now_ms += MINUTE_MS
    board.skip_fixes()
    board.run(MINUTE_MS)
    boots = drained(board)
    assert_nothing_lost_or_doubled(board, boots)
    assert board.logger is not None
    assert 500 <= board.logger.counters().rows_dropped <= 700


def test_the_log_is_bounded_while_nobody_takes_it() -> None:
    """The last lines wait for the gateway, no more."""
    board = worlds.board()
    board.online = False
    board.restart()
    assert board.logger is not None
    for text in [f"line {number} ".ljust(300, "x") for number in range(100)]:
        board.logger.log(20, text)
    assert len(board.logger.logs) == MOST_LOGS
    assert all(len(line.text) <= 200 for line in board.logger.logs)
    board.online = True
    board.run(5000)
    assert board.gateway.logs[-1].startswith("line 99")
    assert board.logger.logs == []


def test_two_resets_make_two_boots_with_the_profile_of_each() -> None:
    """A plan that changed in between does not confuse what waited from before."""
    board = worlds.board()
    board.online = False
    board.restart()
    board.run(MINUTE_MS)
    board.nvs["plan"] = b'{"rates": {"RPM": 10}}'
    board.restart()
    board.run(MINUTE_MS)
    board.online = True
    board.run(MINUTE_MS)
    boots = list(drained(board).values())
    assert len(boots) == 2
    assert 0x10 in boots[0].values
    assert set(boots[1].values) == {RPM}
    profiles = {hello.profile for hello in board.gateway.hellos.values()}
    assert len(profiles) == 2


def test_a_stopped_logger_takes_nothing_and_a_started_one_goes_on() -> None:
    """Rows in between are missing from the record, not filled with old values."""
    board = driven(30_000)
    assert board.logger is not None
    board.logger.set_running(False)
    board.run(100)
    asked = len(board.car.asked)
    board.run(30_000)
    assert len(board.car.asked) == asked
    board.logger.set_running(True)
    board.run(30_000)
    boots = drained(board)
    assert_nothing_lost_or_doubled(board, boots)
    (boot,) = boots.values()
    assert boot.instants[RPM][-1] - boot.instants[RPM][0] > 80_000
    assert len(decoded(board.gateway)) == 1
