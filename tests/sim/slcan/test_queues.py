"""The FIFOs between bus and UART: pace, loss, and what the status flags tell of them."""

from __future__ import annotations

import contextlib
import os

import pytest

from rig.walltime.pty import PtyPort
from sim.can.frame import CanFrame
from sim.slcan import SlcanMemory
from sim.slcan.adapter import UNREAD_BYTES

FULL = CanFrame(0x100, bytes(range(8)))
FULL_TEXT = b"t10080001020304050607\r"


def flood(bench, frame: CanFrame, count: int, sender) -> None:
    """Keep the bus busy with `count` frames back to back."""
    left = [count]

    def send_next(_t_s: float) -> None:
        if left[0]:
            left[0] -= 1
            assert sender.send(frame, send_next)

    send_next(0.0)


def test_saturated_bus_is_carried_without_loss(make_bench):
    """USB: a second of back-to-back frames at 500 kbit/s reaches the host whole and in order."""
    bench = make_bench(paced=True)
    bench.ask("S6", "O")
    bench.writes.clear()
    flood(bench, FULL, 4000, bench.car)
    bench.wait(1.1)
    assert bench.counters.rx_overruns == 0
    assert bench.heard == FULL_TEXT * 4000


def test_uart_sets_the_pace(make_bench):
    """CAN232 at 57600 baud: 22 characters a frame are 262 frames/s, the rest is lost."""
    bench = make_bench("lawicel_can232", paced=True, memory=SlcanMemory(auto_poll=True))
    bench.ask("S6", "O")
    bench.writes.clear()
    flood(bench, FULL, 2000, bench.car)
    bench.wait(0.5)
    frames = bench.heard.count(b"\r")
    assert frames == pytest.approx(5760 / 22 * 0.5, abs=3)
    assert bench.heard == FULL_TEXT * frames
    counters = bench.counters
    assert counters.rx_overruns + counters.frames_received == 2000
    assert counters.frames_received <= frames + 33
    bench.wait(1.0)
    assert bench.ask("F", "F") == b"F09\rF00\r", "queue full, data overrun, and both cleared"


def test_polled_fifo_keeps_the_oldest(make_bench):
    """Frames that nobody polls: 32 wait, later ones are lost, flags 0 and 3 are set."""
    bench = make_bench("lawicel_can232")
    bench.ask("S6", "O")
    for number in range(31):
        bench.broadcast(CanFrame(number))
    assert bench.ask("F") == b"F00\r"
    bench.broadcast(CanFrame(31))
    assert bench.ask("F") == b"F01\r"
    bench.broadcast(CanFrame(32))
    assert bench.ask("F") == b"F09\r"
    assert bench.counters.rx_overruns == 1
    expected = b"".join(b"t%03X0\r" % number for number in range(32)) + b"A\r"
    assert bench.ask("A") == expected


def test_closing_forgets_what_waits(make_bench):
    """C empties both FIFOs, and clears the flags at the next O."""
    bench = make_bench("lawicel_can232")
    bench.ask("S6", "O")
    bench.broadcast(*(CanFrame(number) for number in range(40)))
    bench.ask(*["t1000"] * 10, "C")
    assert bench.ask("O", "A", "F") == b"\rA\rF00\r"


def test_frames_that_wait_together_are_one_write(make_bench):
    """What came while the UART was busy leaves together: a write costs more than a frame."""
    bench = make_bench(paced=True)
    bench.ask("S6", "O")
    bench.writes.clear()
    for number in range(5):
        bench.adapter.channel.node.on_frame(CanFrame(number), bench.env.now)
    bench.wait(0.005)
    assert [data.count(b"\r") for _, data in bench.writes] == [1, 4]


def test_frame_arrives_when_its_characters_have_passed(make_bench):
    """At 115200 baud 22 characters take 1.91 ms and arrive on the next USB frame of 1 ms."""
    bench = make_bench(paced=True, baud=115_200)
    bench.ask("S6", "O")
    bench.env.run(1.0)
    bench.writes.clear()
    bench.car.send(FULL)
    bench.wait(0.01)
    end_s = 1.0 + bench.bus.frame_time_s(FULL)
    assert bench.writes == [(pytest.approx(1.003), FULL_TEXT)]
    assert end_s + 22 * 10 / 115_200 < 1.003


def test_own_frames_are_not_heard(bench):
    """The sender's echo is none: z alone tells that the frame was taken."""
    assert bench.ask("t10021133") == b"z\r"
    assert bench.counters.frames_received == 0


def test_lost_arbitration_is_told(bench):
    """A frame that had to let others pass sets flag 6."""
    flood(bench, CanFrame(0x010, bytes(8)), 5, bench.car)
    bench.type("t7FF0\r")
    assert bench.passed[-1] == CanFrame(0x7FF)
    bench.writes.clear()
    assert bench.ask("F") == b"F40\r"
    assert bench.ask("t7FF0", "F") == b"z\rF00\r"


def test_pulled_adapter_is_silent(bench):
    """Without power nothing is heard, nothing is answered, and its frames are gone."""
    bench.adapter.power_off()
    bench.adapter.power_off()
    assert bench.broadcast(FULL) == b""
    assert bench.ask("V") == b""
    bench.adapter.power_on()
    bench.adapter.power_on()
    assert bench.ask("V") == b"V1013\r"
    assert not bench.adapter.channel.is_open
    assert bench.events.count(("power", "off")) == 1


def test_busy_while_something_is_under_way(bench):
    """An unpaced runner steps the world while the adapter owes the host or the bus something."""
    assert not bench.adapter.busy
    bench.line.feed(b"t1000\r")
    while not bench.adapter.busy:
        bench.env.step()
    while bench.adapter.busy:
        bench.env.step()
    assert bench.passed == [CanFrame(0x100)]


def test_host_that_reads_nothing_fills_the_fifo(make_bench):
    """USB hands over no more while the host's buffers are full: frames are lost in the adapter."""
    bench = make_bench(paced=True)
    bench.ask("S6", "O")
    bench.line.unread(UNREAD_BYTES)
    bench.writes.clear()
    for number in range(40):
        bench.broadcast(CanFrame(number))
    assert bench.heard == b""
    assert bench.counters.rx_overruns == 8
    bench.type("F\r")
    bench.line.unread(0)
    bench.wait(0.01)
    frames = b"".join(b"t%03X0\r" % number for number in range(32))
    assert bench.heard.replace(b"F09\r", b"") == frames


def test_unpaced_frames_of_a_slow_host_leave_in_pieces(make_bench):
    """What has gathered while the host read nothing is no single write that no port could take."""
    bench = make_bench()
    bench.ask("S6", "O")
    bench.line.unread(UNREAD_BYTES)
    bench.writes.clear()
    flood(bench, FULL, 3000, bench.car)
    bench.wait(1.0)
    bench.line.unread(0)
    bench.wait(0.01)
    assert bench.heard == FULL_TEXT * 3000
    assert max(len(data) for _, data in bench.writes) < 16_384


def test_input_of_a_host_that_reads_nothing_is_bounded(make_bench):
    """Commands wait while their answers cannot go; beyond the buffer the host is stalled."""
    bench = make_bench()
    bench.line.unread(UNREAD_BYTES)
    bench.type("V\r" * 3000)
    assert bench.counters.commands == 0
    assert bench.line.stalled
    bench.line.unread(0)
    bench.wait(0.01)
    assert not bench.line.stalled
    assert bench.heard == b"V1013\r" * 3000


@pytest.mark.parametrize(("profile", "survives"), [("lawicel_canusb", 0), ("lawicel_can232", 1)])
def test_pulled_cable(make_bench, profile, survives):
    """USB is its power: replugged it waits to be set up again; a CAN232 has power of its own."""
    bench = make_bench(profile)
    bench.ask("S6", "O")
    bench.line.hang_up()
    bench.wait(0.1)
    bench.line.replug()
    assert bench.adapter.channel.is_open is bool(survives)


class _Watcher:
    """Keeps the port's pump for the test to call."""

    def watch_port(self, _descriptor: int, pump) -> None:
        self.pump = pump

    def unwatch_port(self, _descriptor: int) -> None: ...


def test_client_that_never_reads(make_bench):
    """Behind a PTY: kernel and FIFO fill, then frames are lost in the adapter, told by F."""
    bench = make_bench(paced=True)
    port = PtyPort(_Watcher(), bench.line, None)
    client = os.open(port.device_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        bench.ask("S6", "O")
        flood(bench, FULL, 8000, bench.car)
        bench.wait(2.5)
        counters = bench.counters
        assert port.overflow_bytes == 0
        assert counters.frames_received - counters.frames_to_host == 32
        assert counters.rx_overruns == 8000 - counters.frames_received > 3000
        bench.line.feed(b"F\r")
        heard = b""
        for _ in range(100):
            bench.wait(0.02)
            with contextlib.suppress(BlockingIOError):
                heard += os.read(client, 65536)
        assert heard.count(b"F09\r") == 1
        assert heard.replace(b"F09\r", b"") == b"\r\r" + FULL_TEXT * counters.frames_received
    finally:
        port.close()
        os.close(client)
