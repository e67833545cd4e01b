"""Questions to the car, over ISO-TP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs import obd
from firmware_stubs.isotp import FUNCTIONAL
from firmware_stubs.obd import Obd, Request
from tests.firmware import worlds
from tests.firmware.fake_board import CAR_PIDS, VIN, FakeBoard

LENGTHS = {**CAR_PIDS, 0x5C: 1, 0x5E: 2}


class Asking:
    """A board with an OBD layer, and what it was told.

    Attributes:
        values: (row, pid) -> data.
    """

    def __init__(self) -> None:
        self.board: FakeBoard = worlds.board()
        self.values: dict[tuple[int, int], bytes] = {}
        self.obd = Obd(self.board, LENGTHS, self._take)

    def _take(self, row: int, pid: int, data: bytes) -> None:
        assert (row, pid) not in self.values
        self.values[row, pid] = bytes(data)

    def run(self, for_ms: int) -> None:
        """Poll each millisecond."""
        for _ in range(for_ms):
            self.obd.poll(self.board.ticks_ms())
            self.board.now_ms += 1

    def ask(self, request: Request, for_ms: int = 300) -> Request:
        """Ask, wait, and give the request back."""
        assert self.obd.ask(request)
        self.run(for_ms)
        return request


@pytest.fixture
def asking() -> Asking:
    """A layer that knows its car."""
    made = Asking()
    made.run(600)
    return made


def test_the_car_is_asked_which_pids_it_has(asking: Asking) -> None:
    """Bitmaps are asked for once; the owner of each PID is the ECU that said so."""
    assert {pid for pid in asking.obd.owners if pid % 0x20} == set(CAR_PIDS)
    assert set(asking.obd.owners.values()) == {0x7E8}
    assert asking.board.car.asked == [b"\x01\x00", b"\x01\x20", b"\x01\x40"]


def test_six_pids_go_in_one_request_and_come_in_several_frames(asking: Asking) -> None:
    """A multi-frame answer is put together and cut into values."""
    pids = [0x0C, 0x0D, 0x04, 0x0B, 0x10, 0x11, 0x05]
    asking.obd.ask_row(7, pids)
    asking.run(100)
    assert asking.board.car.asked[3:] == [bytes([1, *pids[:6]]), bytes([1, 0x05])]
    told = {pid: asking.board.car.told[pid][-1] for pid in pids}
    got = {pid: int.from_bytes(asking.values[7, pid], "big") for pid in pids}
    assert got == told


def test_pids_that_the_car_lacks_are_not_asked_for(asking: Asking) -> None:
    """Oil temperature and fuel rate are in the plan and not in the car."""
    asking.obd.ask_row(1, [0x5C, 0x5E])
    asking.run(100)
    assert len(asking.board.car.asked) == 3
    assert asking.values == {}


def test_an_ecu_that_answers_only_a_part_is_asked_one_by_one(asking: Asking) -> None:
    """The first row has holes, the next ones are complete."""
    asking.board.car.single = True
    asking.obd.ask_row(1, [0x0C, 0x0D])
    asking.run(100)
    asking.obd.ask_row(2, [0x0C, 0x0D])
    asking.run(100)
    assert set(asking.values) == {(1, 0x0C), (2, 0x0C), (2, 0x0D)}


def test_a_silent_car_is_asked_rarely_and_noticed_when_it_wakes(asking: Asking) -> None:
    """Rows of a sleeping car stay empty; questions come once a second; then values again."""
    asking.board.car.asleep = True
    for row in range(50):
        asking.obd.ask_row(row, [0x0C])
        asking.run(100)
    assert asking.obd.is_silent()
    asking.board.car.asleep = False
    for row in range(50, 65):
        asking.obd.ask_row(row, [0x0C])
        asking.run(100)
    assert not asking.obd.is_silent()
    assert (64, 0x0C) in asking.values
    assert not any((row, 0x0C) in asking.values for row in range(50))


def test_a_car_that_is_off_at_the_start_is_discovered_later() -> None:
    """Discovery goes on until an ECU answers."""
    asking = Asking()
    asking.board.car.asleep = True
    asking.run(3000)
    assert asking.obd.owners == {}
    asking.board.car.asleep = False
    asking.run(3000)
    assert 0x0C in asking.obd.owners


def test_answers_pending_are_waited_for(asking: Asking) -> None:
    """Response pending (78) extends the wait; the answer counts."""
    request = Request(0x7E0, b"\x01\x0c")
    asking.board.car.asleep = True
    asking.ask(request, 10)
    asking.board.inject(0x7E8, b"\x03\x7f\x01\x78\x00\x00\x00\x00")
    asking.run(2000)
    assert not request.done
    asking.board.inject(0x7E8, b"\x04\x41\x0c\x12\x34\x00\x00\x00")
    asking.run(5)
    assert request.positive() == [(0x7E8, b"\x0c\x12\x34")]


def test_trouble_codes_and_vin_are_read(asking: Asking) -> None:
    """Codes have their letters; the VIN is checked."""
    codes = asking.ask(Request(FUNCTIONAL, b"\x03", True))
    assert obd.trouble_codes(codes) == {"7E8": ["P0301", "P0420"]}
    assert obd.vin(asking.ask(obd.vin_request())) == VIN.decode()
    wrong = Request(FUNCTIONAL, b"\x09\x02")
    wrong.answers = [(0x7E8, b"\x49\x02\x01" + b"WF0TEST-00000001?")]
    assert obd.vin(wrong) == ""


def test_all_letters_of_trouble_codes() -> None:
    """Two bytes give P, C, B and U codes with hexadecimal digits; zeros are padding."""
    request = Request(FUNCTIONAL, b"\x03", True)
    request.answers = [(0x7E9, b"\x43\x04\x01\x33\x5a\xbc\x91\x00\xe1\x01\x00\x00")]
    assert obd.trouble_codes(request) == {"7E9": ["P0133", "C1ABC", "B1100", "U2101"]}


def test_a_negative_answer_ends_the_question(asking: Asking) -> None:
    """The code is kept for whoever asked."""
    assert asking.ask(Request(0x7E0, b"\x22\xf1\x90"), 50).refused() == 0x11


def test_the_queue_of_questions_is_bounded(asking: Asking) -> None:
    """Too many questions are refused, not kept."""
    taken = [asking.obd.ask(Request(0x7E0, b"\x01\x0c")) for _ in range(60)]
    assert taken.count(True) == obd.MOST_WAITING


FRAMES = st.tuples(st.integers(0x7E6, 0x7F0), st.binary(max_size=8))


@given(st.lists(FRAMES, max_size=40))
def test_garbage_on_the_bus_is_survived(frames: list[tuple[int, bytes]]) -> None:
    """Random frames crash nothing, use bounded memory, and the next question is answered."""
    asking = Asking()
    asking.run(400)
    for arbitration_id, data in frames:
        asking.board.inject(arbitration_id, data)
        asking.run(2)
    asking.run(1100)
    asking.values.clear()
    asking.obd.ask_row(9, [0x0C])
    asking.run(200)
    asking.obd.ask_row(10, [0x0D])
    asking.run(200)
    assert (10, 0x0D) in asking.values
    assert not asking.obd.bus.busy()


@pytest.mark.parametrize(
    ("frames", "errors"),
    [
        ([b"\x10\x14\x41\x0c\x01\x02\x0d\x03", b"\x22" + bytes(7)], 1),
        ([b"\x10\x04" + bytes(6)], 1),
        ([b"\x1f\xff" + bytes(6)], 1),
        ([b"\x21" + bytes(7)], 1),
        ([b"\x10\x14" + bytes(6), b"\x10\x14" + bytes(6)], 2),
        ([b"\x09" + bytes(7)], 1),
        ([b"\x00" + bytes(7)], 1),
    ],
)
def test_answers_that_break_the_protocol_are_counted(
    asking: Asking, frames: list[bytes], errors: int
) -> None:
    """Wrong sequence, impossible lengths, a rest that never comes."""
    for data in frames:
        asking.board.inject(0x7E8, data)
        asking.run(2)
    asking.run(1200)
    assert asking.obd.bus.errors == errors


def test_frames_of_an_answer_in_the_wrong_order_give_no_answer(asking: Asking) -> None:
    """An answer is whole and in order, or it is none."""
    request = Request(0x7E0, b"\x03")
    asking.board.car.asleep = True
    asking.ask(request, 5)
    first = b"\x10\x12\x43\x08\x01\x01\x01\x02"
    for data in (first, b"\x22\x01\x03\x01\x04\x01\x05\x01", b"\x21\x06\x01\x07\x01\x08\x00\x00"):
        asking.board.inject(0x7E8, data)
        asking.run(2)
    asking.run(7000)
    assert request.done
    assert request.answers == []
