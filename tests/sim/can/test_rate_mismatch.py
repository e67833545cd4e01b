"""Nodes with another bit rate than the bus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.can.confinement import ErrorState
from sim.can.faults import ErrorKind
from sim.can.frame import CanFrame
from sim.can.rate_mismatch import found_after_bits
from sim.can.wire_bits import wire_bits
from tests.sim.can.stations import Line, Station

FRAME = CanFrame(0x14, b"\x01")  # 0 0000[1]0010100 000[1] 0001 00000[1]001 111011101010011 ...
BITS = wire_bits(FRAME)


def test_twice_as_fast_sees_six_equal_bits_in_three() -> None:
    """At twice the rate each bit is read twice: the first three zeros are six."""
    assert found_after_bits(BITS, 2.0) == 3


def test_half_as_fast_reads_every_other_bit() -> None:
    """Samples at 0.8 of two bits fall into bits 1, 3, 5, ...: six equal ones of those count."""
    read = "".join(map(str, BITS.levels))[1::2]
    first = min(place for place in (read.find("000000"), read.find("111111")) if place >= 0)
    assert found_after_bits(BITS, 0.5) == min(2 * (first + 5) + 1 + 1, BITS.ack_slot + 2)


@given(st.floats(0.05, 20.0), st.integers(0, 0x7FF), st.binary(max_size=8))
def test_error_is_found_by_the_end_of_the_ack_delimiter(
    ratio: float, arbitration_id: int, data: bytes
) -> None:
    """Whatever the rates, a wrong CRC is told there at the latest."""
    bits = wire_bits(CanFrame(arbitration_id, data))
    assert 1 <= found_after_bits(bits, ratio) <= bits.ack_slot + 2


def test_fast_listener_disturbs_until_it_is_passive() -> None:
    """It finds each error first, so 15 errors at 9 make it passive; then traffic flows."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    odd = Station(line.bus, "odd", bitrate_bps=1_000_000)
    sender.send(FRAME)
    line.run_bits(5_000)
    assert len(line.errors) == 15
    assert odd.node.state is ErrorState.PASSIVE
    assert odd.node.rec == 15 * 9
    assert sender.node.tec == 15 * 8 - 1
    assert (len(receiver.seen), odd.seen) == (1, [])


def test_slow_listener_brings_the_senders_down() -> None:
    """Its flag is longer than the others': it counts 1 an error, the sender 8 and more."""
    line = Line()
    sender = Station(line.bus, "sender")
    Station(line.bus, "receiver")
    odd = Station(line.bus, "odd", bitrate_bps=125_000)
    sender.send(FRAME)
    line.run_bits(5_000)
    assert sender.node.is_bus_off
    assert sender.lost == [b"\x01"]
    assert odd.node.state is ErrorState.ACTIVE


def test_listen_only_node_with_another_rate_harms_nobody() -> None:
    """It hears garbage and keeps quiet."""
    line = Line()
    sender, receiver = Station(line.bus, "sender"), Station(line.bus, "receiver")
    odd = Station(line.bus, "odd", bitrate_bps=1_000_000, listen_only=True)
    sender.send(FRAME)
    line.run_bits(500)
    assert (len(receiver.seen), odd.seen, line.errors) == (1, [], [])


@pytest.mark.parametrize("bitrate_bps", [125_000, 250_000, 1_000_000])
def test_sender_with_another_rate_ends_bus_off(bitrate_bps: int) -> None:
    """On a bus with traffic none of its frames passes, and it drives itself off the bus."""
    line = Line()
    line.bus.auto_recover_s = 0.01
    stations = [Station(line.bus, name) for name in ("a", "b")]
    odd = Station(line.bus, "odd", bitrate_bps=bitrate_bps)
    odd.node.auto_recover_s = 100.0
    odd.send(CanFrame(0x7FF, b"\x01"))
    for number in range(200):
        for place, station in enumerate(stations):
            station.send(CanFrame(0x100 + place, bytes((number,))))
        line.run_bits(1_000)
    assert odd.node.is_bus_off
    assert odd.lost == [b"\x01"]
    assert not [frame for _t_s, frame in stations[0].seen if frame.arbitration_id == 0x7FF]
    for station in stations:
        assert station.node.state is ErrorState.ACTIVE
        assert len(station.sent) + len(station.lost) + station.node.refused_frames == 200
        assert len(station.sent) >= 150


def test_long_flag_costs_receivers_more() -> None:
    """Its 7 bits of two (one until it sees theirs) last 8 bits longer than theirs: 1 + 8 + 8."""
    line = Line()
    receiver = Station(line.bus, "receiver")
    odd = Station(line.bus, "odd", bitrate_bps=250_000)
    odd.send(FRAME)
    while not line.errors:
        line.run_bits(1)
    assert (receiver.node.rec, odd.node.tec) == (17, 8)


def test_sender_with_another_rate_that_nobody_interrupts_is_not_acknowledged() -> None:
    """Where nobody can flag actively its frame ends without acknowledge, in its own time."""
    line = Line()
    odd = Station(line.bus, "odd", bitrate_bps=250_000)
    odd.send(FRAME)
    line.run_bits(300)
    assert line.errors[0][2] is ErrorKind.ACK
    assert line.bits(line.errors[0][0]) == 2 * 47


def test_node_set_to_the_right_rate_takes_part_again() -> None:
    """Set to the bus' rate it hears and acknowledges as the others do."""
    line = Line()
    sender = Station(line.bus, "sender")
    odd = Station(line.bus, "odd", bitrate_bps=250_000, listen_only=True)
    odd.node.set_bitrate(500_000)
    odd.node.set_listen_only(False)
    sender.send(FRAME)
    line.run_bits(100)
    assert [frame for _t_s, frame in odd.seen] == [FRAME]
