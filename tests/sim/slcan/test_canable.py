"""CANable's firmware: silent, trusting, with a memory for its last line."""

from __future__ import annotations

import pytest

from sim.can.frame import CanFrame

VERSION = b"b158aa7 github.com/normaldotcom/canable-fw.git\r"


@pytest.fixture(params=["canable", "canable2"])
def canable(request, make_bench):
    """Either generation, open at 500 kbit/s."""
    bench = make_bench(request.param)
    assert bench.ask("S6", "O") == b""
    return bench


def test_it_answers_nothing_but_its_version(make_bench):
    """Commands have no CR and no BELL, right or wrong; V has a version without a V."""
    bench = make_bench("canable")
    commands = ("S6", "O", "t10021133", "F", "N", "Z1", "W1", "?", "t1009", "C")
    assert bench.ask(*commands) == b""
    assert bench.ask("V") == VERSION
    assert bench.ask("v") == VERSION
    assert bench.counters.refused == 6  # F, N, Z, W, ?, and a length of 9


def test_frames_go_both_ways(canable):
    """Frames have LAWICEL's form."""
    for command in ("t10021133", "T18DAF1101FF", "r7E08", "R000001000"):
        canable.ask(command)
    assert canable.passed == [
        CanFrame(0x100, b"\x11\x33"),
        CanFrame(0x18DAF110, b"\xff", True),
        CanFrame(0x7E0, b"", False, True, 8),
        CanFrame(0x100, b"", True, True),
    ]
    assert canable.broadcast(CanFrame(0x7E8, b"\xab")) == b"t7E81AB\r"


def test_default_bit_rate(make_bench):
    """O without S opens at 125 kbit/s; S on the bus is ignored."""
    bench = make_bench("canable", bitrate_bps=125_000)
    bench.ask("O", "S6")
    assert bench.events[-1] == ("open", "125000")
    bench.ask("t1000")
    assert bench.passed == [CanFrame(0x100)]


@pytest.mark.parametrize(
    ("profile", "command", "bitrate_bps"),
    [
        ("canable", "S7", 750_000),
        ("canable2", "S7", 1_428_571),
        ("canable2", "S9", 83_333),
        ("canable", "S9", 125_000),
    ],
)
def test_bit_rates_of_its_own(make_bench, profile, command, bitrate_bps):
    """S7 and S9 differ from LAWICEL's, and between the generations."""
    bench = make_bench(profile)
    bench.ask(command, "O")
    assert bench.events[-1] == ("open", str(bitrate_bps))


def test_silent_mode(make_bench):
    """M1 is no acceptance code here: the channel opens listen-only."""
    bench = make_bench("canable")
    bench.ask("S6", "M1", "O", "t1000")
    assert bench.events[-1] == ("listen", "500000")
    assert bench.passed == []
    bench.ask("C", "M0", "O", "t1000")
    assert bench.passed == [CanFrame(0x100)]


def test_empty_line_repeats_the_last_frame(canable):
    """ "Pressing enter repeats the previous TX": its buffer still holds it."""
    canable.ask("t10021133")
    canable.ask("")
    assert canable.passed == [CanFrame(0x100, b"\x11\x33")] * 2


def test_missing_digits_are_those_of_the_line_before(canable):
    """A line that is too short is filled from the buffer."""
    canable.ask("t10021133", "t2002")
    assert canable.passed[-1] == CanFrame(0x200, b"\x11\x33")


def test_wrong_digits_become_numbers(canable):
    """No digit is checked: z is 35, and its upper bits run over into the next."""
    canable.ask("t1zz0")
    assert canable.passed == [CanFrame((0x100 + 35 * 16 + 35) & 0x7FF)]


def test_line_too_long_begins_anew(make_bench):
    """Characters beyond the buffer overwrite its beginning."""
    bench = make_bench("canable")
    bench.ask("S6", "O", "x" * 30 + "t1000")
    assert bench.passed == [CanFrame(0x100)]
    assert bench.counters.long_lines == 1


def test_can_fd_is_dropped_and_counted(make_bench):
    """canable2 takes FD frames; the bus is classical, so they are counted and go nowhere."""
    bench = make_bench("canable2")
    bench.ask(
        "S6", "Y2", "O", "d1001FF", "D0000010090011223344556677889900AA", "b1000", "B000001000"
    )
    assert bench.passed == []
    assert bench.counters.fd_refused == 4
    old = make_bench("canable")
    old.ask("S6", "O", "d1001FF")
    assert (old.counters.fd_refused, old.counters.refused) == (0, 1)


def test_error_register(make_bench):
    """canable2 tells its errors by E, without a CR: a full queue, a frame sent while closed."""
    bench = make_bench("canable2")
    assert bench.ask("E") == b"CANable Error Register: 0"
    bench.ask("t1000")
    assert bench.ask("E") == b"CANable Error Register: 4"
    bench.ask("S6", "O")
    bench.type("t1000\r" * 70, within_s=0.1)
    assert len(bench.passed) == 63
    assert bench.counters.tx_refused == 8
    assert bench.ask("E") == b"CANable Error Register: 14"


def test_it_forgets_all_without_power(make_bench):
    """A power cycle restores 125 kbit/s, normal mode, and an empty buffer."""
    bench = make_bench("canable")
    bench.ask("S6", "M1", "O", "t1000")
    bench.adapter.power_cycle()
    bench.ask("", "O")
    assert bench.events[-1] == ("open", "125000")
    assert bench.passed == []
