"""What the manuals of LAWICEL's CANUSB and CAN232 show, word for word."""

from __future__ import annotations

import pytest

from sim.can.frame import CanFrame
from sim.slcan import SlcanMemory

BELL = b"\a"
CR = b"\r"


def frame(text: str, data: str = "", **options: object) -> CanFrame:
    """A data frame: identifier in hex, extended if of eight digits."""
    return CanFrame(int(text, 16), bytes.fromhex(data), is_extended=len(text) == 8, **options)


@pytest.mark.parametrize(
    ("profile", "command", "answer"),
    [
        ("lawicel_canusb", "V", b"V1013\r"),
        ("lawicel_canusb", "N", b"NA123\r"),
        ("lawicel_can232", "V", b"V1335\r"),
        ("lawicel_canusb", "S4", CR),
        ("lawicel_canusb", "s031C", CR),
        ("lawicel_canusb", "Z1", CR),
        ("lawicel_can232", "X1", CR),
        ("lawicel_can232", "U1", CR),
        ("lawicel_canusb", "X1", BELL),
        ("lawicel_canusb", "U1", BELL),
        ("lawicel_canusb", "P", BELL),
        ("lawicel_canusb", "A", BELL),
        ("lawicel_canusb", "", CR),
        # Only with the channel open.
        *((("lawicel_can232", command, BELL)) for command in ("C", "F", "P", "A", "Q1", "t0200")),
        # Only when a bit rate was set.
        *((("lawicel_can232", command, BELL)) for command in ("O", "L", "W1", "M00000000")),
        ("lawicel_canusb", "mFFFFFFFF", BELL),
    ],
)
def test_closed_channel(make_bench, profile, command, answer):
    """Each command before the channel was set up gives CR, its text, or BELL."""
    assert make_bench(profile).ask(command) == answer


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        *((command, CR) for command in ("O", "L", "W0", "W1", "M00006000", "m00001FF0", "S8")),
        *((command, BELL) for command in ("C", "F", "Q1", "t10021133")),
    ],
)
def test_channel_that_is_set_up(make_bench, command, answer):
    """After S or s the filter can be set and the channel opened."""
    bench = make_bench()
    assert bench.ask("S6", command) == CR + answer


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        *((command, BELL) for command in ("O", "L", "S6", "s031C", "Z1", "W0", "M00000000")),
        ("F", b"F00\r"),
        ("Q0", CR),
        ("Q1", CR),
        ("Q3", BELL),
        ("C", CR),
        ("V", b"V1013\r"),
    ],
)
def test_open_channel(bench, command, answer):
    """What needs a closed channel is refused while it is open."""
    assert bench.ask(command) == answer


@pytest.mark.parametrize(
    ("command", "answer", "sent"),
    [
        ("t10021133", b"z\r", frame("100", "1133")),
        ("t0200", b"z\r", frame("020")),
        ("T0000010021133", b"Z\r", frame("00000100", "1133")),
        ("r1002", b"z\r", CanFrame(0x100, is_remote=True, requested_bytes=2)),
        ("R000001002", b"Z\r", CanFrame(0x100, b"", True, True, 2)),
        ("t7ff8aAbBcCdDeEfF0011", b"z\r", frame("7FF", "aabbccddeeff0011")),
    ],
)
def test_frames_are_sent(bench, command, answer, sent):
    """The examples of the transmit commands go on the bus as they say."""
    assert bench.ask(command) == answer
    assert bench.passed == [sent]
    assert bench.counters.frames_sent == 1


def test_can232_acknowledges_by_its_poll_mode(make_bench):
    """CAN232: CR while frames are polled, z or Z with auto poll (X1); z for R."""
    bench = make_bench("lawicel_can232")
    frames = ("t0200", "T000001000", "r0200", "R000001000")
    assert bench.ask("S6", "O", *frames) == CR * 6
    assert bench.ask("C", "X1", "O", *frames) == CR * 3 + b"z\rZ\rz\rz\r"


def test_received_frames_are_sent_to_the_host(bench):
    """A CANUSB reports each frame of the bus by itself, in the form in which it is sent."""
    frames = (
        frame("100", "1133"),
        frame("00000100", "1133"),
        CanFrame(0x7E8, is_remote=True, requested_bytes=8),
        CanFrame(0x18DAF110, b"", True, True),
        frame("001", "00010203040506FF"),
    )
    text = b"t10021133\rT0000010021133\rr7E88\rR18DAF1100\rt001800010203040506FF\r"
    assert sorted(bench.broadcast(*frames).split(CR)) == sorted(text.split(CR))


def test_timestamps(make_bench):
    """Z1 adds four digits: milliseconds since power-on, modulo one minute (t100211334D67)."""
    bench = make_bench()
    assert bench.ask("S6", "Z1", "O") == CR * 3
    bench.env.run(0x4D67 / 1000)
    bench.broadcast(frame("100", "1133"))
    assert bench.heard == b"t100211334D67\r"
    bench.env.run(60.0)
    assert bench.broadcast(frame("100", "1133")) == b"t100211330000\r"
    bench.env.run(119.9995)
    assert bench.broadcast(frame("100")) == b"t1000EA5F\r"
    bench.ask("C", "Z0", "O")
    assert bench.broadcast(frame("100", "1133")) == b"t10021133\r"


def test_frames_can_be_polled(make_bench):
    """CAN232 as delivered: P gives one frame or a lone CR, A all that wait and an A."""
    bench = make_bench("lawicel_can232")
    bench.ask("S6", "O")
    assert bench.broadcast(*(frame(f"10{number}") for number in range(4))) == b""
    assert bench.ask("P") == b"t1000\r"
    assert bench.ask("A") == b"t1010\rt1020\rt1030\rA\r"
    assert bench.ask("A") == b"A\r"
    assert bench.ask("P") == CR
    bench.ask("C", "X1", "O")
    assert bench.ask("P", "A") == BELL * 2
    assert bench.broadcast(frame("123")) == b"t1230\r"


def test_auto_poll_is_remembered(make_bench):
    """X is kept in the EEPROM: a CAN232 that was set up once reports by itself for ever."""
    bench = make_bench("lawicel_can232", memory=SlcanMemory(auto_poll=True))
    bench.ask("S6", "O")
    assert bench.broadcast(frame("123")) == b"t1230\r"
    bench.adapter.power_cycle()
    assert not bench.adapter.channel.is_open
    bench.ask("S6", "O")
    assert bench.broadcast(frame("124")) == b"t1240\r"


def test_listen_only(make_bench):
    """L hears all and sends nothing."""
    bench = make_bench()
    bench.ask("S6", "L")
    assert bench.broadcast(frame("123")) == b"t1230\r" or not bench.passed
    assert bench.ask("t0200", "r0200", "T000001000", "R000001000") == BELL * 4
    assert bench.counters.refused == 4


@pytest.mark.parametrize(("command", "opens"), [("Q0", None), ("Q1", "open"), ("Q2", "listen")])
def test_auto_start(make_bench, command, opens):
    """Q opens the channel at the next power-on with bit rate and filter, and is remembered."""
    bench = make_bench()
    bench.ask("S6", "M00006000", "m00001FF0", "O", command)
    bench.events.clear()
    bench.adapter.power_cycle()
    channel = bench.adapter.channel
    assert channel.is_open is (opens is not None)
    if opens is None:
        return
    assert (opens, "500000") in bench.events
    bench.bus.attach("another", lambda _frame, _t_s: None)  # who listens does not acknowledge
    assert bench.broadcast(frame("400"), frame("3A5")) == b"t3A50\r"
    assert bench.ask("t0200") == (b"z\r" if opens == "open" else BELL)


def test_uart_rate(make_bench):
    """U changes the rate behind its answer, is remembered, and needs a closed channel."""
    bench = make_bench("lawicel_can232", paced=True)
    assert bench.line.baud == 57_600
    assert bench.ask("U6") == CR
    assert bench.line.baud == 2_400
    bench.adapter.power_cycle()
    assert bench.line.baud == 2_400
    assert bench.type("U7\rU\rU1\r", within_s=0.1) == BELL * 2 + CR
    bench.ask("S6", "O")
    assert bench.ask("U2") == BELL


def test_filter_example_of_the_manual(make_bench):
    """M00006000 m00001FF0 in dual filter mode lets the identifiers 0x300 to 0x3FF pass."""
    bench = make_bench()
    bench.ask("S6", "M00006000", "m00001FF0", "O")
    for number in (0x2FF, 0x300, 0x37A, 0x3FF, 0x400, 0x700, 0x001):
        bench.broadcast(CanFrame(number, b"\x01"))
        assert bool(bench.heard) is (0x300 <= number <= 0x3FF), hex(number)
    assert bench.broadcast(CanFrame(0x333, is_remote=True)) == b"r3330\r"
    assert bench.counters.frames_filtered == 4


def test_filter_without_remote_frames(make_bench):
    """The mask's last byte as 0xE0 keeps remote frames out too, says the manual."""
    bench = make_bench()
    bench.ask("S6", "M00006000", "m00001FE0", "O")
    assert bench.broadcast(CanFrame(0x333, is_remote=True)) == b""
    assert bench.broadcast(CanFrame(0x333)) == b"t3330\r"


@pytest.mark.parametrize(
    ("registers", "bitrate_bps"),
    [("031C", 125_000), ("001C", 500_000), ("0014", 1_000_000), ("0016", 800_000)],
)
def test_bus_timing_registers(make_bench, registers, bitrate_bps):
    """s sets the SJA1000's registers: 031C is 125 kbit/s."""
    bench = make_bench(bitrate_bps=bitrate_bps)
    assert bench.ask(f"s{registers}", "O") == CR * 2
    assert ("open", str(bitrate_bps)) in bench.events
    assert bench.broadcast(frame("123")) == b"t1230\r"


@pytest.mark.parametrize(
    ("number", "bitrate_bps"),
    [*enumerate((10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000))],
)
def test_standard_bit_rates(make_bench, number, bitrate_bps):
    """S0 to S8 are the manual's rates."""
    bench = make_bench()
    assert bench.ask(f"S{number}", "O") == CR * 2
    assert ("open", str(bitrate_bps)) in bench.events
