"""The firmware under the real MicroPython: the same bytes as under CPython."""

from __future__ import annotations

import json
from pathlib import Path

from tests import micropython

HERE = Path(__file__).parent
FILES = {"tests/firmware/fake_board.py": HERE / "fake_board.py"}

START = """
from server.wire.codec.packet import Header
from tests.firmware.fake_board import FakeBoard, FakeGateway
def number_of(packet):
    header = Header(packet)
    return header.seq, header.reference if header.kind == 1 else -1
board = FakeBoard(FakeGateway(number_of), 8)
board.restart()
"""
SECOND = "board.run(1000)"
SHOW = """
import binascii
for body in board.gateway.uplinks:
    print(binascii.hexlify(body).decode())
print(sorted(board.gateway.packets))
print(board.lines)
"""


def test_a_minute_of_driving_gives_the_same_uplinks_in_both_pythons() -> None:
    """Every byte that goes to the gateway is the same."""
    under_micropython = micropython.run(START, step=SECOND, steps=60, finish=SHOW, files=FILES)
    assert under_micropython == micropython.run_here(START, step=SECOND, steps=60, finish=SHOW)
    assert len(under_micropython) > 6


# Memory is true only at the beginning of a top-level call, hence a step that only measures.
MEASURED = """
if len(marks) % 2:
    marks.append(gc.mem_alloc())
else:
    marks.append(0)
    if len(marks) == 3:
        board.restart()
    elif len(marks) > 3:
        board.run(10000)
        board.car.asked = []
        board.car.told = {}
    gc.collect()
"""
FRESH = START.replace(
    "board.restart()", "board.online = False\nmarks = []\nimport gc\ngc.collect()"
)


def test_the_firmwares_memory_fits_a_board_and_stays_bounded() -> None:
    """All state is below 64 KB; offline, it grows no more once the encoder's ring is full."""
    show = "print([mark for mark in marks if mark])"
    shown = micropython.run(FRESH, step=MEASURED, steps=164, finish=show, files=FILES)
    marks = json.loads(shown[0])
    before, six_minutes, twelve_minutes = marks[0], max(marks[2:40]), max(marks[40:])
    assert twelve_minutes - before < 64_000
    assert twelve_minutes < six_minutes + 1024
