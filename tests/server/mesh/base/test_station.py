"""What a base station tells its vehicles, when, and how much airtime that takes."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from server.mesh.base.station import (
    FIRST_PAUSE_S,
    GAP_PAUSE_S,
    LAST_PAUSE_S,
    MOST_VEHICLES,
    RECENT_PACKETS,
    SETTLE_S,
    STREAMS,
    Message,
    Station,
)
from server.mesh.radio.packets import BROADCAST, Packet, RadioInfo
from server.wire import air
from server.wire.codec import varint
from server.wire.telemetry_pb2 import Downlink

NAMES = {1: "car-1", 2: "car-2"}


def packet(payload: bytes, sender: int = 1, *, number: int = 0, hops: int | None = 0) -> Packet:
    """A packet as it comes from a radio."""
    return Packet(sender, BROADCAST, 256, payload, number, 0, hops, 5.0, -90.0, 10**18)


def station(**options: object) -> Station:
    """A base with two vehicles and a radio on LongFast."""
    settings: dict[str, object] = {
        "only_listed": False,
        "ack_packets": 8,
        "ack_s": 60.0,
        "duty_cycle_pct": None,
    }
    made = Station(NAMES, **(settings | options))  # type: ignore[arg-type]
    made.radio(RadioInfo(99, region="EU_868", duty_cycle_pct=10.0))
    return made


def data(seq: int, *, stream: int = 7, back: int = 0) -> bytes:
    """A message with a packet that looks like one."""
    head = bytearray([0x40 | seq & 15])
    varint.put(head, seq >> 4)
    return air.Data(stream, back, bytes(head) + b"\x00\x00" + bytes(8)).to_bytes()


class Vehicle:
    """A vehicle whose packets the gateway takes."""

    def __init__(
        self, base: Station, node: int = 1, boot: int = 7, *, hops: int | None = 0
    ) -> None:
        self.base = base
        self.node = node
        self.boot = boot
        self.hops = hops
        self.readings = 0

    def say(
        self, payload: bytes, now_s: float, acked: list[int] | None = None, ack: int = 0
    ) -> None:
        """Send a message; the gateway answers."""
        device = self.base.device_of(self.node)
        assert device is not None
        found = self.base.take(packet(payload, self.node, hops=self.hops), device, now_s)
        assert found is not None
        vehicle, stream = found
        while stream.has_work:
            stream.uplink(device)
            stream.answered(Downlink(boot=self.boot, ack=ack, acked=acked or []))
        self.base.changed(vehicle, stream, now_s)

    def hello(self, now_s: float) -> None:
        """Say what the stream is."""
        self.say(air.Hello(self.boot, 1, 1, bytes(8)).to_bytes(), now_s)

    def data(self, seq: int, now_s: float, *, next: int | None = None) -> None:
        """Send a packet, which is committed."""
        following = seq + 1 if next is None else next
        message = data(seq, stream=self.boot & 255, back=seq - min(seq, following))
        self.say(message, now_s, [seq], following)


def sent(base: Station, now_s: float) -> list[Message]:
    """What the base sends from this instant on, when nothing comes."""
    found = []
    for _ in range(100):
        message = base.acks(now_s)
        if message is not None:
            found.append(message)
            continue
        wait_s = base.wait_s(now_s)
        if wait_s is None or wait_s > 600.0:
            break
        now_s += wait_s + 0.001
    return found


def first_at(base: Station, now_s: float) -> float:
    """When the base sends for the first time."""
    for _ in range(100):
        if base.acks(now_s) is not None:
            return now_s
        wait_s = base.wait_s(now_s)
        assert wait_s is not None
        now_s += wait_s + 0.001
    raise AssertionError("never")


def test_nothing_is_said_when_there_is_nothing_to_say() -> None:
    """A base that hears nobody is silent for ever."""
    base = station()
    assert base.acks(0.0) is None
    assert base.wait_s(0.0) is None


def test_a_packet_is_acknowledged_after_a_while() -> None:
    """One packet, nothing missing: after ack_s."""
    base = station()
    car = Vehicle(base)
    car.hello(0.0)
    sent(base, 0.0)
    car.data(0, 1000.0)
    assert first_at(base, 1000.0) == pytest.approx(1060.0, abs=0.1)


def test_packets_are_acknowledged_together() -> None:
    """After ack_packets of all vehicles, at once, in one message."""
    base = station()
    cars = [Vehicle(base, 1), Vehicle(base, 2)]
    for car in cars:
        car.hello(0.0)
    sent(base, 0.0)
    for seq in range(4):
        for car in cars:
            car.data(seq, 1000.0 + seq)
    assert first_at(base, 1004.0) == pytest.approx(1002.0 + SETTLE_S, abs=0.1)
    base = station()
    cars = [Vehicle(base, 1), Vehicle(base, 2)]
    for car in cars:
        car.hello(0.0)
        car.data(0, 0.5)
    (message,) = sent(base, 1.0)
    assert [(entry.node, entry.next) for entry in message.entries] == [(1, 1), (2, 1)]
    assert air.read(message.payload).entries[0].next == 1  # type: ignore[union-attr]


def test_a_gap_is_told_soon() -> None:
    """What is missing comes again the sooner the vehicle knows."""
    base = station()
    car = Vehicle(base)
    car.hello(0.0)
    sent(base, 0.0)
    car.data(0, 1000.0)
    car.data(2, 1001.0, next=1)
    assert first_at(base, 1001.0) < 1001.0 + 2 * SETTLE_S


def test_a_gap_that_stays_is_told_again_while_packets_come() -> None:
    """The message about it may have been lost itself, on its two hops."""
    base = station()
    car = Vehicle(base)
    car.hello(0.0)
    sent(base, 0.0)
    car.data(0, 1000.0)
    told_s = 1000.0
    for number in range(2, 12):
        now_s = 1000.0 + 20.0 * number
        car.data(number, now_s, next=1)
        told_s = first_at(base, now_s)
        assert told_s - now_s <= GAP_PAUSE_S


def test_an_unknown_stream_is_asked_for_its_hello_ever_more_seldom() -> None:
    """A vehicle that does not hear is not called all day long."""
    base = station()
    times = []
    now_s = 0.0
    for number in range(400):
        found = base.take(packet(data(number % 60, stream=9), 5), "node-5", now_s)
        assert found is not None
        base.changed(*found, now_s)
        for _ in range(3):
            message = base.acks(now_s)
            if message is not None:
                assert message.entries[0].wants == air.WANT_HELLO
                times.append(now_s)
            now_s += 3.0
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[0] <= FIRST_PAUSE_S + 6.0
    assert LAST_PAUSE_S <= gaps[-1] <= LAST_PAUSE_S + 9.0


def test_repeated_packets_are_acknowledged_again() -> None:
    """A vehicle that repeats has not heard the acknowledgement."""
    base = station()
    car = Vehicle(base)
    car.hello(0.0)
    car.data(0, 0.0)
    sent(base, 1.0)
    car.data(0, 500.0)
    assert first_at(base, 500.0) == pytest.approx(500.0 + SETTLE_S, abs=0.1)
    assert base.counts["data_duplicate"] == 1


def test_as_many_as_fit_into_a_message() -> None:
    """More vehicles than fit are told in the next message."""
    base = station(duty_cycle_pct=10.0)
    cars = [Vehicle(base, 100 + number) for number in range(50)]
    for car in cars:
        car.hello(0.0)
        car.data(0, 0.0)
    messages = sent(base, 1.0)
    assert all(len(message.payload) <= air.BROADCAST_BYTES for message in messages)
    assert len(messages) == 3
    told = [entry.node for message in messages for entry in message.entries]
    assert sorted(told) == [car.node for car in cars]


def test_the_airtime_is_within_the_budget() -> None:
    """However much there is to say, an hour has no more than the share; what waits is not lost."""
    base = station(duty_cycle_pct=1.0, ack_s=1.0)
    car = Vehicle(base)
    car.hello(0.0)
    airtime_s = 0.0
    told = 0
    for second in range(7200):
        car.data(second, float(second))
        message = base.acks(float(second))
        if message is not None:
            told = message.entries[0].next
            if second >= 3600:
                airtime_s += message.airtime_s
    assert 0.0 < airtime_s <= 0.012 * 3600
    assert told > 7000


def test_without_a_limit_in_the_region_there_is_still_one() -> None:
    """Others are on the channel too."""
    base = station()
    base.radio(RadioInfo(99, region="US", duty_cycle_pct=100.0))
    assert base._budget.rate == pytest.approx(0.05)
    base.radio(RadioInfo(99, region="UA_868", duty_cycle_pct=1.0))
    assert base._budget.rate == pytest.approx(0.005)
    base = station(duty_cycle_pct=50.0)
    assert base._budget.rate == pytest.approx(0.1)  # the radio would refuse more


def test_a_message_that_was_not_sent_is_said_again() -> None:
    """What the radio refuses is neither paid for nor forgotten; at its limit the base pauses."""
    base = station()
    car = Vehicle(base)
    car.hello(0.0)
    car.data(0, 0.0)
    (message,) = sent(base, 1.0)
    base.unsent(message, 100.0, is_limit=True)
    assert first_at(base, 100.0) >= 160.0
    assert (base.counts["acks_sent"], base.counts["acks_unsent"]) == (1, 1)
    again = station()
    again.unsent(message, 0.0)  # of a vehicle that was forgotten
    assert again.wait_s(0.0) is None


@pytest.mark.parametrize(("hops", "limit"), [(0, 0), (1, 1), (None, 3), (6, 3)])
def test_messages_are_relayed_no_farther_than_needed(hops: int | None, limit: int) -> None:
    """A vehicle that is heard directly needs no relay."""
    base = station()
    car = Vehicle(base, hops=hops)
    car.hello(0.0)
    car.data(0, 0.0)
    (message,) = sent(base, 1.0)
    assert message.hop_limit == limit


def test_a_vehicle_that_does_not_react_is_called_from_farther() -> None:
    """The way to a vehicle may need a relay that the way from it does not."""
    base = station()
    car = Vehicle(base)
    car.hello(0.0)
    car.data(0, 0.0)
    limits = [message.hop_limit for message in sent(base, 1.0)]
    for time_s in (500.0, 1000.0, 1500.0, 2000.0):
        car.data(0, time_s)  # it repeats: it has not heard
        limits += [message.hop_limit for message in sent(base, time_s)]
    assert limits == [0, 1, 2, 3, 3]
    car.data(1, 3000.0)
    assert [message.hop_limit for message in sent(base, 3000.0)] == [0]


def test_channels_are_answered_apart() -> None:
    """A vehicle is answered on the channel that it is heard on."""
    base = station()
    for node, channel in ((1, 0), (2, 1)):
        payload = air.Hello(7, 1, 1, bytes(8)).to_bytes()
        found = base.take(replace(packet(payload, node), channel=channel), f"car-{node}", 0.0)
        assert found is not None
        vehicle, stream = found
        stream.uplink("x")
        stream.answered(Downlink(boot=7, need_profile=True))
        base.changed(vehicle, stream, 0.0)
    assert sorted(message.channel for message in sent(base, 1.0)[:2]) == [0, 1]


def test_who_is_who() -> None:
    """Configured vehicles have their names, others the number of their node, or nothing."""
    assert station().device_of(1) == "car-1"
    assert station().device_of(0xABC) == "node-00000abc"
    assert station(only_listed=True).device_of(0xABC) is None


def test_packets_that_came_before_are_known() -> None:
    """A packet that is replayed changes nothing; what is remembered is bounded."""
    base = station()
    assert base.is_new(packet(b"", number=5))
    assert not base.is_new(packet(b"", number=5))
    assert base.is_new(packet(b"", 2, number=5))
    assert base.is_new(packet(b"", number=0))
    assert base.is_new(packet(b"", number=0))
    for number in range(1, 2 * RECENT_PACKETS):
        base.is_new(packet(b"", 3, number=number))
    assert len(base._recent) == RECENT_PACKETS


def test_vehicles_and_streams_are_bounded() -> None:
    """Strangers push each other out, never a configured vehicle."""
    base = station()
    Vehicle(base, 1).hello(0.0)
    for node in range(10, 10 + 2 * MOST_VEHICLES):
        Vehicle(base, node).hello(1.0)
    assert base.vehicles <= MOST_VEHICLES + len(NAMES)
    assert base.counts["vehicles_forgotten"] > 0
    car = Vehicle(base, 1)
    for boot in range(1, 30):
        car.boot = boot
        car.hello(2.0)
    assert len(base._vehicles[1].streams) == STREAMS == len(base._vehicles[1].told)


def test_a_radio_with_settings_of_its_own() -> None:
    """Airtime follows the radio's settings; nonsense counts as LongFast."""
    base = station()
    slow = base._airtime_s(100)
    base.radio(RadioInfo(9, preset="", bandwidth_khz=500.0, spreading=7, coding=5))
    assert base._airtime_s(100) < slow / 10
    base.radio(RadioInfo(9, preset="", bandwidth_khz=0.0, spreading=0, coding=0))
    assert base._airtime_s(100) == slow
