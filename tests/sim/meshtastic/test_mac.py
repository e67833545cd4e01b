"""Medium access: queue, contention windows, listening before talking."""

from __future__ import annotations

import random

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lora.channel import Channel, Outcome, Signal, Transmission
from sim.lora.presets import PRESETS
from sim.lora.propagation import FixedLoss, Place
from sim.meshtastic.airtime import Airtime
from sim.meshtastic.mac import QUEUE_SIZE, Mac, contention_window
from sim.meshtastic.packet import BROADCAST, DEFAULT, HIGH, RELIABLE, Packet

PRESET = PRESETS["LONG_FAST"]
SLOT_S = 0.028
OWN = 1


class Upper:
    """The node above, that keeps what it is told."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self.started: list[tuple[float, Packet]] = []
        self.received: list[Packet] = []
        self.changes = 0

    def frame_received(self, packet: Packet, signal: Signal) -> None:
        """Keep it."""
        self.received.append(packet)

    def frame_started(self, packet: Packet, transmission: Transmission) -> None:
        """Keep it."""
        self.started.append((self._env.now, packet))

    def queue_changed(self) -> None:
        """Count it."""
        self.changes += 1


class Bench:
    """Stations that all hear each other, each with a queue."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.env = simpy.Environment()
        self.channel = Channel(
            self.env, PRESET, 869.5, random.Random(seed), FixedLoss(120.0), shadowing_db=0
        )
        self.uppers = [Upper(self.env) for _ in range(count)]
        self.accounts = [Airtime(self.env) for _ in range(count)]
        self.macs = [
            Mac(
                self.env,
                self.channel,
                index + 1,
                Place(float(index), 0),
                random.Random(f"{seed}/{index}"),
                self.uppers[index],
                self.accounts[index],
                tx_power_dbm=22.0,
                antenna_gain_dbi=0.0,
            )
            for index in range(count)
        ]


def packet(number: int, *, sender: int = OWN, priority: int = DEFAULT, size: int = 30) -> Packet:
    """A packet of a size."""
    return Packet(sender, BROADCAST, number, b"x" * size, priority=priority)


def relay(number: int, snr_db: float, *, priority: int = DEFAULT) -> Packet:
    """A packet of another node, as heard."""
    heard = packet(number, sender=99, priority=priority)
    heard.rx_snr_db, heard.rx_rssi_dbm = snr_db, -100
    return heard


@pytest.mark.parametrize(
    ("snr_db", "window"), [(-25, 3), (-20, 3), (-14, 4), (-8, 5), (0, 6), (4, 7), (10, 8), (12, 8)]
)
def test_windows_of_relays_grow_with_the_signal(snr_db: float, window: int) -> None:
    """Far nodes relay first."""
    assert contention_window(snr_db, -20, 10) == window


@pytest.mark.parametrize(("busy_pct", "window"), [(0, 3), (19, 3), (20, 4), (60, 6), (100, 8)])
def test_windows_of_own_packets_grow_with_utilisation(busy_pct: float, window: int) -> None:
    """A busy channel makes senders wait longer."""
    assert contention_window(busy_pct, 0, 100) == window


def test_own_packets_wait_whole_slots_of_the_window() -> None:
    """On an idle LongFast channel 0 to 7 slots of 28 ms, then looking for others."""
    waits = set()
    for seed in range(60):
        bench = Bench(1, seed)
        bench.macs[0].enqueue(packet(1))
        bench.env.run()
        ((time_s, _),) = bench.uppers[0].started
        slots = (time_s - PRESET.cad_s - 0.0006) / SLOT_S
        assert slots == pytest.approx(round(slots), abs=1e-6)
        waits.add(round(slots))
    assert waits == set(range(8))


@pytest.mark.parametrize(
    ("role", "snr_db", "least", "most"),
    [
        ("CLIENT", -20.0, 16, 23),
        ("CLIENT", 10.0, 16, 271),
        ("ROUTER", -20.0, 0, 5),
        ("ROUTER", 10.0, 0, 15),
    ],
)
def test_relays_wait_by_signal_and_role(role: str, snr_db: float, least: int, most: int) -> None:
    """Clients leave 16 slots to routers, then wait random slots of the SNR's window."""
    slots = []
    for seed in range(100):
        bench = Bench(1, seed)
        bench.macs[0].role = role
        bench.macs[0].enqueue(relay(1, snr_db))
        bench.env.run()
        slots.append(round((bench.uppers[0].started[0][0] - PRESET.cad_s - 0.0006) / SLOT_S))
    assert least <= min(slots) <= least + (most - least) * 0.1
    assert most - (most - least) * 0.1 <= max(slots) <= most


def test_a_retransmission_timer_is_the_firmwares() -> None:
    """A frame of 73 bytes on an idle LongFast channel is repeated after 7.7 s."""
    mac = Bench(1).macs[0]
    assert mac.retransmission_ms(packet(1, size=57)) == 2 * 804 + (8 + 16 + 32) * 28 + 4500


def test_the_most_urgent_packet_goes_first_and_relays_before_own_ones() -> None:
    """Equals keep their order."""
    mac = Bench(1).macs[0]
    for item in (
        packet(1),
        relay(2, 0.0),
        packet(3, priority=HIGH),
        packet(4),
        relay(5, 0.0, priority=HIGH),
        packet(6, priority=RELIABLE),
    ):
        assert mac.enqueue(item)
    assert [item.id for item in mac.queue] == [5, 3, 6, 2, 1, 4]


def test_a_full_queue_refuses_unless_the_last_is_less_urgent() -> None:
    """Sixteen places; a more urgent packet takes the place of the last."""
    bench = Bench(1)
    mac = bench.macs[0]
    assert all(mac.enqueue(packet(number)) for number in range(1, 17))
    assert not mac.enqueue(packet(17))
    assert mac.enqueue(packet(18, priority=RELIABLE))
    assert len(mac.queue) == QUEUE_SIZE
    assert mac.dropped == 1
    assert [item.id for item in mac.queue] == [18, *range(1, 16)]
    assert bench.uppers[0].changes == 17


def test_a_queued_packet_can_be_taken_back() -> None:
    """By sender and id, on demand only if it has fewer hops left."""
    mac = Bench(1).macs[0]
    mac.enqueue(packet(1))
    assert not mac.cancel(2, 1)
    assert not mac.cancel(OWN, 1, hops_below=3)
    assert mac.cancel(OWN, 1, hops_below=4)
    assert mac.queue == []
    assert mac.find(OWN, 1) is None


def test_a_packet_taken_back_while_the_radio_looks_around_is_not_sent() -> None:
    """The radio goes back to listening."""
    bench = Bench(2)
    mac = bench.macs[0]
    mac.enqueue(packet(1))
    while not mac.station.deaf:
        bench.env.step()
    mac.cancel(OWN, 1)
    bench.env.run()
    assert bench.uppers[0].started == []
    assert not mac.station.deaf


def test_nobody_talks_into_a_frame_that_can_be_heard() -> None:
    """Whoever hears a frame waits until it is over, and then again."""
    bench = Bench(3)
    bench.macs[0].enqueue(packet(1, size=200))
    bench.env.run(0.6)
    for index in (1, 2):
        bench.macs[index].enqueue(packet(index + 1, sender=index + 1))
    bench.env.run()
    first_s = bench.uppers[0].started[0][0]
    assert all(upper.started[0][0] > first_s + 1.7 for upper in bench.uppers[1:])
    assert [item.id for item in bench.uppers[0].received] != []


def test_router_late_sends_behind_the_worst_wait() -> None:
    """A packet moved to the late window goes after everybody else could have."""
    bench = Bench(1)
    mac = bench.macs[0]
    mac.role = "ROUTER_LATE"
    mac.enqueue(relay(1, -20.0))
    mac.delay_to_late_window(99, 1)
    mac.enqueue(relay(2, 10.0))
    assert [item.id for item in mac.queue] == [2, 1]
    bench.env.run()
    (_, first), (late_s, second) = bench.uppers[0].started
    assert (first.id, second.id) == (2, 1)
    assert late_s >= (16 + 8) * SLOT_S


def test_what_was_heard_and_sent_is_counted() -> None:
    """Whole packets, in whole milliseconds, on both sides."""
    bench = Bench(2)
    bench.macs[0].enqueue(packet(1, size=57))
    bench.env.run()
    assert [account.sent_ms for account in bench.accounts] == [804, 0]
    assert [account.received_ms for account in bench.accounts] == [0, 804]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    arrivals=st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 20), st.integers(10, 200)),
        min_size=1,
        max_size=40,
    ),
)
def test_one_radio_sends_one_frame_at_a_time_and_every_packet_once(
    seed: int, arrivals: list[tuple[int, float, int]]
) -> None:
    """Accepted packets all go out, none overlaps another of the same radio."""
    bench = Bench(4, seed)
    accepted: list[int] = []
    for number, (index, time_s, size) in enumerate(arrivals, 1):
        event = bench.env.timeout(time_s, (index, packet(number, sender=index + 1, size=size)))

        def arrive(event: simpy.Event) -> None:
            index, item = event.value
            if bench.macs[index].enqueue(item):
                accepted.append(item.id)

        event.callbacks.append(arrive)
    lost = []
    bench.channel.on_outcome.append(
        lambda _, __, outcome: lost.append(outcome) if outcome is Outcome.OFF else None
    )
    bench.env.run()
    sent = [item.id for upper in bench.uppers for _, item in upper.started]
    assert sorted(sent) == sorted(accepted)
    assert lost == []
    for mac, upper in zip(bench.macs, bench.uppers, strict=True):
        ends_s = 0.0
        for start_s, item in upper.started:
            assert start_s >= ends_s
            ends_s = start_s + mac.packet_ms(item) / 1000
