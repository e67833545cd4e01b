"""Garbage on every wire at once."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from server.wire import frame
from server.wire.messages import Downlink, Uplink
from tests.firmware import worlds
from tests.firmware.worlds import drained

BYTES = st.binary(max_size=80)
FRAMED = BYTES.map(lambda payload: frame.frame(frame.DOWNLINK, payload))
GREETED = BYTES.map(lambda payload: frame.hello("x") + frame.frame(frame.DOWNLINK, payload))
CONSOLE = st.one_of(BYTES, FRAMED, GREETED)
LINES = st.lists(
    st.tuples(CONSOLE, BYTES, st.integers(0x7E7, 0x7F0), st.binary(max_size=8)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(LINES, BYTES)
def test_garbage_on_console_receiver_bus_and_in_answers_stops_nothing(
    lines: list[tuple[bytes, bytes, int, bytes]], answer: bytes
) -> None:
    """The logger goes on, and what it takes afterwards arrives."""
    board = worlds.board()
    board.restart()
    board.gateway.answer = lambda _up, _down: answer
    for console, receiver, arbitration_id, data in lines:
        board.console_in += console
        board._gnss += receiver
        board.inject(arbitration_id, data)
        board.run(300)
    board.gateway.answer = None
    board.run(30_000)
    (boot,) = drained(board).values()
    assert board.gateway.conflicts == 0
    assert len(boot.values[0x0C]) > 100
    assert boot.values[0x0C][-20:] == board.car.told[0x0C][-20:]


def test_an_answer_full_of_numbers_costs_nothing() -> None:
    """Acknowledgements, refusals and key requests for packets that were never sent are ignored."""
    board = worlds.board()
    board.restart()
    board.run(15_000)

    def answer(_up: object, down: Downlink) -> None:
        down.acked += range(5000, 5400)
        down.need_key = list(range(7000, 7400))

    board.gateway.answer = answer
    board.run(30_000)
    board.gateway.answer = None
    (boot,) = drained(board).values()
    assert boot.values[0x0C] == board.car.told[0x0C]


def test_an_answer_to_another_message_acknowledges_nothing() -> None:
    """Packets that only a mixed-up answer calls committed are sent again."""
    board = worlds.board()
    board.restart()
    board.run(15_000)
    gateway = board.gateway

    def mixed_up(up: Uplink, down: Downlink) -> None:
        for seq in down.acked:
            gateway.packets.pop((up.boot, seq), None)
            gateway.states.remove((up.boot, seq))
        down.boot ^= 1

    gateway.answer = mixed_up
    board.run(15_000)
    gateway.answer = None
    (boot,) = drained(board).values()
    assert boot.values[0x0C] == board.car.told[0x0C]
