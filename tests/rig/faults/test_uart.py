"""A UART at another rate: golden bytes worked out by hand from the bits on the wire."""

from __future__ import annotations

from typing import Any

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from rig.faults.uart import _Resampling, resampled
from sim.serial_line import SerialLine


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b"\xff", b"\xfe"),  # a start bit is two of the receiver's: start and a 0
        (b"\xfe", b"\xf8"),
        (b"\xfc", b"\xe0"),
        (b"\xf8", b"\x80"),
        (b"\xf0", b"\x00"),  # low for ten of its bits: a break
        (b"\x00", b"\x00"),
        (b"U", b"\x66\x33"),  # its bad stop bit begins a second character
    ],
)
def test_twice_the_rate_reads_each_bit_twice(sent: bytes, heard: bytes) -> None:
    """9600 on the wire, 19200 at the receiver."""
    assert resampled(sent, 9600, 19200) == heard


@given(data=st.binary(max_size=60), error=st.floats(-0.03, 0.03))
def test_a_few_percent_are_nothing(data: bytes, error: float) -> None:
    """The middle of the stop bit is 9.5 bits from the start: 5 % are the limit, less the edge."""
    assert resampled(data, 38400, 38400 * (1.0 + error)) == data


@given(data=st.binary(max_size=60), rate=st.sampled_from([300, 1200, 4800, 9600, 57600, 115200]))
def test_there_are_no_more_characters_than_bits_allow(data: bytes, rate: int) -> None:
    """A character needs an edge, and at least 9 and a half of the receiver's bits."""
    heard = resampled(data, 19200, rate)
    assert len(heard) <= len(data) * 10
    assert len(heard) <= len(data) * 10 * rate / 19200 / 9.0 + 1


def test_on_a_line_it_lasts_for_its_window(world: Any) -> None:
    """Both ways by default; before and after each byte is whole."""
    world.strike("baud_mismatch", 5.0, 15.0, rate_baud=19200.0)
    for at_s in (4.0, 10.0, 16.0):
        world.send(at_s, b"U")
        world.send(at_s, b"\xf8", to_device=True)
    world.env.run(until=20.0)
    assert world.at_host == [(4.0, b"U"), (10.0, b"\x66\x33"), (16.0, b"U")]
    assert world.at_device == [(4.0, b"\xf8"), (10.0, b"\x80"), (16.0, b"\xf8")]
    assert world.line.to_host.faults == []


def test_what_is_heard_of_a_byte_takes_the_time_of_that_byte() -> None:
    """However many it is read as: nothing waits for the line when it is over."""
    env = simpy.Environment()
    line = SerialLine(env, "gps", 9600, frame_s=0.0)
    heard: list[tuple[float, bytes]] = []
    line.attach_host(lambda data: heard.append((env.now, data)))
    line.to_host.faults = [_Resampling(line, 38400.0)]
    line.write(bytes(96))
    line.to_host.faults = []
    line.write(b"$")
    env.run()
    (many_s, many), (last_s, _) = heard
    assert len(many) == 96  # a break each
    assert (many_s, last_s) == pytest.approx((0.1, 0.1 + 1 / 960))
    line.to_host.faults = [_Resampling(line, 38400.0)]
    line.write(b"U" * 96)
    env.run()
    assert len(heard[-1][1]) > 200
    assert heard[-1][0] - last_s == pytest.approx(0.1)
