"""The port of a modelled line looks like a serial port to whoever opens it."""

from __future__ import annotations

import os
import termios

import pytest

from rig.walltime.clock import WallClock
from rig.walltime.pty import PtyPort
from sim.serial_line import SerialLine


@pytest.mark.parametrize(("baud", "speed"), [(9600, termios.B9600), (115_200, termios.B115200)])
def test_the_port_tells_the_rate_of_the_line(baud: int, speed: int) -> None:
    """gpsd begins with the rate that it finds at the port, and sets the receiver to it."""
    clock = WallClock()
    port = PtyPort(clock, SerialLine(clock.env, "gps", baud), None, hold_open=False)
    try:
        descriptor = os.open(port.device_path, os.O_RDWR | os.O_NOCTTY)
        modes = termios.tcgetattr(descriptor)
        os.close(descriptor)
    finally:
        port.close()
    assert modes[4] == modes[5] == speed
    assert not modes[3] & (termios.ICANON | termios.ECHO)


def test_a_rate_without_a_name_is_no_error() -> None:
    """A line at 12345 baud has a port like any other."""
    clock = WallClock()
    port = PtyPort(clock, SerialLine(clock.env, "gps", 12_345), None)
    try:
        assert os.path.exists(port.device_path)
    finally:
        port.close()


def test_a_client_that_leaves_a_stalled_device_takes_its_bytes_along() -> None:
    """The next client does not wait behind what the one before wrote without reading."""
    clock = WallClock()
    line = SerialLine(clock.env, "can", 115_200)
    port = PtyPort(clock, line, None, hold_open=False)
    left, taken = [], bytearray()
    line.on_left.append(lambda: left.append(line.stalled))
    line.attach_device(taken.extend)
    try:
        client = os.open(port.device_path, os.O_RDWR | os.O_NOCTTY)
        line.stall()
        os.write(client, b"old")
        line.write(b"nobody reads this")
        clock.run(until_s=0.05)
        assert not left, "it is still there"
        os.close(client)
        line.write(b"nor this")
        clock.run(until_s=0.1)
        assert left == [True]
        line.resume()
        client = os.open(port.device_path, os.O_RDWR | os.O_NOCTTY)
        os.write(client, b"new")
        clock.run(until_s=0.2)
        os.close(client)
    finally:
        port.close()
    assert bytes(taken) == b"new"


def test_what_a_device_says_to_nobody_is_lost() -> None:
    """After a kill of the client: neither what it had not read, nor what came while it was dead."""
    clock = WallClock()
    line = SerialLine(clock.env, "gps", 115_200)
    port = PtyPort(clock, line, None)
    taken = bytearray()
    line.attach_device(taken.extend)
    try:
        client = os.open(port.device_path, os.O_RDWR | os.O_NOCTTY)
        line.write(b"unread")
        clock.run(until_s=0.05)
        os.close(client)
        port.let_go()
        line.write(b"said to nobody")
        clock.run(until_s=0.1)
        client = os.open(port.device_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(client, b"question")
        clock.run(until_s=0.15)
        line.write(b"answer")
        clock.run(until_s=0.2)
        assert os.read(client, 100) == b"answer"
        assert taken == b"question"
        line.write(b"kept from now on")
        clock.run(until_s=0.25)
        assert os.read(client, 100) == b"kept from now on"
        os.close(client)
    finally:
        port.close()
