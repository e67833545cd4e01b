"""python-can's slcan client, unchanged, over a PTY in wall time."""

from __future__ import annotations

import pytest

from rig.walltime.clock import WallClock
from sim.can.frame import CanFrame
from sim.slcan import SlcanMemory
from tests.sim.slcan.wall import broadcast, serve

can = pytest.importorskip("can", reason="python-can is not installed")

REPLY_S = 2.0


def connect(path: str, **options):
    """Open the port as python-can does, without its wait for a booting Arduino."""
    return can.Bus(interface="slcan", channel=path, sleep_after_open=0, **options)


@pytest.fixture
def wall_bench(make_bench):
    """Build a bench that runs in wall time."""
    return lambda *arguments, **options: make_bench(*arguments, clock=WallClock(), **options)


def echo(bench) -> None:
    """Let the car answer each data frame: its identifier plus 8, the same data."""

    def answer(frame: CanFrame, _t_s: float) -> None:
        if not frame.is_remote:
            bench.car.send(CanFrame(frame.arbitration_id + 8, frame.data, frame.is_extended))

    bench.car.on_frame = answer


@pytest.mark.parametrize("profile", ["lawicel_canusb", "canable", "canable2"])
def test_frames_both_ways(wall_bench, profile):
    """Frames of both identifier lengths, all data lengths and remote frames, in order."""
    bench = wall_bench(profile)
    echo(bench)
    sent = [
        *(can.Message(arbitration_id=0x100, is_extended_id=False, data=bytes(n)) for n in range(9)),
        can.Message(arbitration_id=0x18DAF110, data=b"\x01\xfe"),
    ]

    def client(path):
        with connect(path, bitrate=500_000) as bus:
            replies = []
            for message in sent:
                bus.send(message)
                replies.append(bus.recv(REPLY_S))
            bus.send(
                can.Message(arbitration_id=0x7E0, is_extended_id=False, is_remote_frame=True, dlc=5)
            )
            bus.send(can.Message(arbitration_id=0x7E0, is_extended_id=False))
            bus.recv(REPLY_S)
            return replies

    replies = serve(bench, client)
    assert [
        (message.arbitration_id, message.is_extended_id, bytes(message.data)) for message in replies
    ] == [(m.arbitration_id + 8, m.is_extended_id, bytes(m.data)) for m in sent]
    assert CanFrame(0x7E0, b"", False, True, 5) in bench.passed
    # It closes first, and opens twice: C and the second O are refused, which it never reads.
    assert bench.counters.refused == (0 if bench.adapter.profile.silent else 2)
    assert not bench.adapter.channel.is_open, "shutdown sends C"


def test_version_and_serial_number(wall_bench):
    """V1013 is hardware 10, software 13; NA123 is A123; frames that come between are kept."""
    bench = wall_bench()
    broadcast(bench, CanFrame(0x123), period_s=0.001)

    def client(path):
        with connect(path, bitrate=500_000) as bus:
            bus.recv(REPLY_S)
            return bus.get_version(REPLY_S), bus.get_serial_number(REPLY_S), bus.recv(REPLY_S)

    version, number, message = serve(bench, client)
    assert version == (10, 13)
    assert number == "A123"
    assert message.arbitration_id == 0x123


def test_time_stamps_are_skipped(wall_bench):
    """python-can ignores the four digits behind the data."""
    bench = wall_bench(memory=SlcanMemory(timestamps=True))
    broadcast(bench, CanFrame(0x123, b"\x01\x02"))

    def client(path):
        with connect(path, bitrate=500_000) as bus:
            return bus.recv(REPLY_S)

    assert bytes(serve(bench, client).data) == b"\x01\x02"


def test_listen_only_and_filters(wall_bench):
    """listen_only opens by L; filters are python-can's own, behind the port."""
    bench = wall_bench()
    bench.bus.attach("another", lambda _frame, _t_s: None)
    broadcast(bench, *(CanFrame(identifier) for identifier in (0x1FF, 0x2A0, 0x300)))

    def client(path):
        filters = [{"can_id": 0x200, "can_mask": 0x700}]
        with connect(path, bitrate=500_000, listen_only=True, can_filters=filters) as bus:
            heard = [bus.recv(REPLY_S).arbitration_id for _ in range(3)]
            bus.send(can.Message(arbitration_id=0x111, is_extended_id=False))
            return [*heard, bus.recv(REPLY_S).arbitration_id]

    assert serve(bench, client) == [0x2A0] * 4
    assert ("listen", "500000") in bench.events
    assert all(frame.arbitration_id != 0x111 for frame in bench.passed)


def test_bit_timing_registers(wall_bench):
    """A BitTiming of 8 MHz goes into s: the SJA1000 divides its 16 MHz by two first."""
    bench = wall_bench()
    timing = can.BitTiming(f_clock=8_000_000, brp=1, tseg1=13, tseg2=2, sjw=1)

    def client(path):
        with connect(path, timing=timing) as bus:
            return bus.get_version(REPLY_S)

    assert serve(bench, client) == (10, 13)
    assert ("open", "500000") in bench.events


def test_wrong_bit_rate(wall_bench):
    """A client at another rate than the bus receives nothing, and disturbs it."""
    bench = wall_bench()
    bench.bus.attach("another", lambda _frame, _t_s: None)
    broadcast(bench, CanFrame(0x123))

    def client(path):
        with connect(path, bitrate=250_000) as bus:
            return bus.recv(0.1)

    assert serve(bench, client) is None
    assert bench.counters.bus_errors > 0


def test_fast_client_is_told_by_bell_alone(wall_bench):
    """Frames sent faster than the bus carries them are refused; python-can does not notice."""
    bench = wall_bench()

    def client(path):
        with connect(path, bitrate=500_000) as bus:
            bus.get_version(REPLY_S)
            for number in range(300):
                bus.send(can.Message(arbitration_id=number, is_extended_id=False, data=bytes(8)))
            bus.get_version(REPLY_S)

    serve(bench, client)
    counters = bench.counters
    assert counters.frames_queued + counters.tx_refused == 300
    assert len(bench.passed) >= counters.frames_sent


def test_cable_pulled_under_the_client(wall_bench):
    """python-can raises CanOperationError on a port that has gone."""
    bench = wall_bench()
    broadcast(bench, CanFrame(0x123))
    pull = bench.env.timeout(0.1)
    pull.callbacks.append(lambda _event: bench.line.hang_up())

    def client(path):
        bus = connect(path, bitrate=500_000)
        with pytest.raises(can.CanOperationError):
            list(iter(lambda: bus.recv(REPLY_S), None))
        with pytest.raises(can.CanOperationError):
            bus.shutdown()
        return True

    assert serve(bench, client)
