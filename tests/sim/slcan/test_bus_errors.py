"""What the host learns of trouble on the bus: flags 2, 5 and 7, BELL in bus-off, counters."""

from __future__ import annotations

import pytest

from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame


def test_error_frames_are_told(bench):
    """A frame that is destroyed and repeated sets flag 7 and nothing else is noticed."""
    spoiled = iter([ErrorKind.CRC])
    bench.bus.faults.append(lambda _t_s, _sender, _frame: next(spoiled, None))
    assert bench.broadcast(CanFrame(0x123)) == b"t1230\r"
    assert bench.counters.bus_errors == 1
    assert bench.ask("F", "F") == b"F80\rF00\r"


def test_bus_off_is_told_and_left_by_reopening(bench):
    """Own frames that all fail lead to bus-off: flags 2, 5, 7, BELL from then on, until C and O."""
    bench.bus.attach("another", lambda _frame, _t_s: None)
    bench.bus.faults.append(
        lambda _t_s, sender, _frame: ErrorKind.BIT if sender == "slcan" else None
    )
    assert bench.ask("t1000") == b"z\r"
    bench.wait(0.1)
    assert bench.counters.bus_offs == 1
    assert bench.counters.frames_given_up == 1
    assert bench.events[-1] == ("can", "bus_off")
    assert bench.ask("t1000") == b"\a"
    assert bench.ask("F") == b"FA6\r"
    assert bench.broadcast(CanFrame(0x123)) == b""
    bench.bus.faults.clear()
    assert bench.ask("C", "O", "t1000", "F") == b"\r\rz\rF00\r"
    assert bench.passed[-1] == CanFrame(0x100)


def test_canable_recovers_by_itself(make_bench):
    """CANable's controller has automatic bus-off management: it comes back without a command."""
    bench = make_bench("canable")
    bench.ask("S6", "O")
    bench.bus.faults.append(
        lambda _t_s, sender, _frame: ErrorKind.BIT if sender == "slcan" else None
    )
    bench.ask("t1000")
    bench.wait(0.1)
    assert bench.counters.bus_offs == 1
    bench.bus.faults.clear()
    bench.wait(0.1)
    bench.ask("t2000")
    assert bench.passed[-1] == CanFrame(0x200)


@pytest.mark.parametrize("profile", ["lawicel_canusb", "canable"])
def test_wrong_bit_rate_disturbs_the_bus(make_bench, profile):
    """A client that chooses another rate gets no frame, and error frames are counted."""
    bench = make_bench(profile)
    bench.bus.attach("another", lambda _frame, _t_s: None)
    bench.ask("S5", "O")
    assert bench.broadcast(CanFrame(0x123, bytes(8))) == b""
    assert bench.counters.bus_errors > 0
    assert bench.counters.frames_received == 0
    bench.ask("C")
    bench.wait(1.0)
    assert bench.passed.count(CanFrame(0x123, bytes(8))) <= 1


def test_wrong_bit_rate_while_listening_does_no_harm(make_bench):
    """L at another rate hears nothing and leaves the others alone."""
    bench = make_bench()
    bench.bus.attach("another", lambda _frame, _t_s: None)
    bench.ask("S5", "L")
    assert bench.broadcast(CanFrame(0x123)) == b""
    assert bench.passed == [CanFrame(0x123)]


def test_alone_on_the_bus_nothing_is_acknowledged(make_bench):
    """A frame that nobody acknowledges is repeated for ever: error passive, never bus-off."""
    bench = make_bench()
    bench.car.detach()
    bench.ask("S6", "O")
    assert bench.ask("t1000") == b"z\r"
    bench.wait(1.0)
    assert bench.passed == []
    assert bench.adapter.channel.pending_frames == 1
    assert bench.counters.bus_offs == 0
    assert bench.ask("F") == b"FA4\r"
    bench.ask("C")
    assert bench.counters.frames_given_up == 1
