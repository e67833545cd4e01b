"""The CAN controller: its filter, its two queues, and overruns that are told."""

from __future__ import annotations

from typing import Any

from sim.can.frame import CanFrame
from sim.esp32.can_controller import ERROR_ID, RECEIVE_FRAMES, TRANSMIT_FRAMES


def test_answers_of_ecus_pass_and_all_else_does_not(bench: Any) -> None:
    """With the board's own instant of the frame's end."""
    other = bench.car.bus.attach("ecu", lambda *_: None)
    for arbitration_id in (0x7DF, 0x7E0, 0x7E8, 0x7EF, 0x7F0):
        other.send(CanFrame(arbitration_id, b"\x03\x41\x0d\x21"))
    bench.run(0.1)
    first, second = bench.hal.can_receive(), bench.hal.can_receive()
    assert (first[0], second[0]) == (0x7E8, 0x7EF)
    assert first[1] == b"\x03\x41\x0d\x21"
    assert bench.hal.can_receive() is None


def test_the_transmit_queue_has_an_end(bench: Any) -> None:
    """The driver says so and loses nothing that it took."""
    bench.car.bus.attach("ecu", lambda *_: None)  # somebody must acknowledge
    taken = [bench.hal.can_send(0x7DF, b"\x02\x01\x0c") for _ in range(TRANSMIT_FRAMES + 2)]
    assert taken == [True] * TRANSMIT_FRAMES + [False] * 2
    bench.run(0.1)
    assert bench.car.bus.frame_count == TRANSMIT_FRAMES


def test_an_overrun_is_told_after_the_frames_before_it(bench: Any) -> None:
    """One error for a series of lost frames."""
    other = bench.car.bus.attach("ecu", lambda *_: None)
    for number in range(RECEIVE_FRAMES + 3):
        other.send(CanFrame(0x7E8, bytes([number])))
    bench.run(0.1)
    assert bench.board.can.overruns == 3
    frames = [bench.hal.can_receive() for _ in range(RECEIVE_FRAMES + 1)]
    assert [frame[1][0] for frame in frames[:-1]] == list(range(RECEIVE_FRAMES))
    assert frames[-1][:2] == (ERROR_ID, b"")
    assert bench.hal.can_receive() is None
