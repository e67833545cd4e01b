"""Whatever the host sends: BELL, counted, and the next command works."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.can.frame import CanFrame
from sim.slcan import PROFILES

BELL = b"\a"
CR = b"\r"


@pytest.mark.parametrize(
    "line",
    [
        "t",
        "t1",
        "t100",
        "t1001",  # data missing
        "t10011",  # half a byte
        "t1001123",
        "t10001",  # data without a length
        "t100111FF",
        "t1009112233445566778899",  # no length of 9
        "t100A11",
        "t8000",  # more than 11 bits
        "t-010",
        "t+100",
        "t 100",
        "t1_00",
        "t1001 F",
        "t1001F ",
        "tXYZ0",
        "t10016g",
        "T20000000",  # more than 29 bits
        "T200000000",
        "TFFFFFFFF0",
        "T1000",
        "r10021122",  # remote frames have no data
        "r1009",
        "R00000100",
        "S",
        "S9",
        "S6 ",
        "SA",
        "S66",
        "s031",
        "s031C0",
        "sXYZZ",
        "O1",
        "OO",
        "Z2",
        "Z",
        "V1",
        "N\n",
        "\nV",
        "M0000000",
        "M000000000",
        "mGGGGGGGG",
        "W2",
        "F0",
        "C0",
        "Q",
        # CAN FD, which an adapter of 2010 does not know, and letters of other makes.
        *("d1000", "D000001000", "b1000", "B000001000", "Y2", "E", "l", "x", "v", "y", "a0"),
        "\0",
        "\xff\xfe",
        "\a",
    ],
)
def test_wrong_lines_are_refused(bench, line):
    """One BELL for one line, nothing on the bus, and the adapter goes on."""
    assert bench.ask(line) == BELL
    assert bench.passed == []
    assert bench.counters.refused == 1
    assert bench.ask("V") == b"V1013\r"


def test_wrong_set_up_is_refused(make_bench):
    """Wrong bit rates set nothing: the channel cannot be opened."""
    bench = make_bench()
    assert bench.ask("S9", "S", "s03", "O") == BELL * 4


def test_half_commands_wait(bench):
    """A command in pieces is one command, however long the host waits between them."""
    assert bench.type("t1002") == b""
    bench.wait(100.0)
    assert bench.type("11") == b""
    assert bench.type("33\rV") == b"z\r"
    assert bench.type("\r") == b"V1013\r"
    assert bench.passed == [CanFrame(0x100, b"\x11\x33")]


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_endless_line_is_one_error(bench, pieces):
    """A line that never ends takes no memory and gives one BELL when it does."""
    for _ in range(pieces):
        assert bench.type(b"t" * (20_000 // pieces), within_s=1e-6) == b""
    assert bench.ask("") == BELL
    assert bench.counters.long_lines == 1
    assert bench.ask("t0200") == b"z\r"


def test_longest_line(bench):
    """32 characters are a line that is looked at, 33 are too many."""
    assert bench.ask("t" * 32, "t" * 33) == BELL * 2
    assert bench.counters.long_lines == 1


def test_flood_of_commands_is_held_back(make_bench):
    """A host that writes commands and reads no answers is stalled, not buffered without end."""
    bench = make_bench(paced=True, baud=115_200)
    stalls = []
    bench.line.on_stall.append(lambda: stalls.append(bench.env.now))
    bench.line.on_resume.append(lambda: stalls.append(bench.env.now))
    bench.type("V\r" * 20_000, within_s=1e-6)
    for _ in range(60):
        bench.wait(0.25)
        free_s = bench.line.to_host.free_at_s - bench.env.now
        assert free_s * 11_520 < 4096, "answers pile up"
    bench.wait(60.0)
    assert len(stalls) == 2, "stalled once, resumed once"
    counters = bench.counters
    assert counters.commands + counters.input_lost_bytes // 2 == pytest.approx(20_000, abs=2)


def test_flood_over_rs232_is_lost_and_counted(make_bench):
    """A CAN232 has no handshake: what does not fit its buffer is gone, and it goes on."""
    bench = make_bench("lawicel_can232", paced=True)
    bench.type("V\r" * 10_000, within_s=60.0)
    counters = bench.counters
    assert not bench.line.stalled
    assert counters.input_lost_bytes > 0
    assert bench.type("\rV\r", within_s=1.0).endswith(b"V1335\r")


def test_frames_of_a_flood_are_sent_or_refused(bench):
    """A thousand transmit commands at once: eight fit the FIFO, the rest get BELL at once."""
    answers = bench.type("t1000\r" * 1000, within_s=1.0)
    assert answers == b"z\r" * 8 + BELL * 992
    assert len(bench.passed) == 8
    assert bench.counters.tx_refused == 992
    assert bench.ask("F", "F") == b"F02\rF00\r"


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(PROFILES)),
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.text("SsOLCtTrRPAFXWMmUVNZQEYdb0123456789ABCDEF\r\a\n", max_size=60).map(str.encode),
        ),
        max_size=12,
    ),
)
def test_garbage_never_breaks_it(make_bench, name, pieces):
    """Random characters: lines are counted, answers have their form, and it still works."""
    bench = make_bench(name)
    for piece in pieces:
        bench.type(piece, within_s=0.001)
    counters = bench.counters
    assert counters.commands == b"".join(pieces).count(CR)
    assert counters.refused <= counters.commands
    bench.type("\rC\r")
    assert not bench.adapter.channel.is_open
    bench.type("S6\rO\r")
    if not PROFILES[name].silent:
        assert bench.ask("V") == PROFILES[name].version + CR
    assert bench.adapter.channel.is_open


@settings(max_examples=60, deadline=None)
@given(
    frame=st.one_of(
        st.builds(CanFrame, st.integers(0, 0x7FF), st.binary(max_size=8)),
        st.builds(CanFrame, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8), st.just(True)),
        st.builds(
            lambda identifier, dlc: CanFrame(identifier, b"", False, True, dlc),
            st.integers(0, 0x7FF),
            st.integers(0, 8),
        ),
    )
)
def test_frames_survive_the_round_trip(make_bench, frame):
    """What one adapter reports another one sends as the same frame."""
    bench = make_bench()
    bench.ask("S6", "O")
    text = bench.broadcast(frame)
    bench.type(text)
    assert bench.passed == [frame, frame]
