"""A node as its client sees it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lora.channel import Outcome
from sim.lora.presets import PRESETS
from sim.lora.propagation import Place
from sim.lora.regions import REGIONS
from sim.meshtastic import packet as wire
from sim.meshtastic.node import DEFAULT_CHANNEL, MeshNode
from sim.meshtastic.packet import private_data
from tests.sim.meshtastic.nodes import Nodes, line, mesh


def test_a_packet_without_a_key_is_refused() -> None:
    """NO_CHANNEL as result and as refusal to the client; nothing is sent."""
    nodes = Nodes(1, {})
    packet_id, result = nodes.send(0, channel_hash=9, key="unknown")
    assert result == wire.NO_CHANNEL
    assert nodes.errors(0) == [(packet_id, wire.NO_CHANNEL)]
    nodes.env.run(10)
    assert nodes.air == []


def test_a_packet_that_does_not_fit_a_frame_is_refused() -> None:
    """231 bytes go on PRIVATE_APP, 232 and 233 are TOO_LARGE, as a real radio answers."""
    nodes = Nodes(1, {})
    assert nodes.send(0, data=private_data(b"x" * 231))[1] == 0
    for size in (232, 233):
        packet_id, result = nodes.send(0, data=private_data(b"x" * size))
        assert result == wire.TOO_LARGE
        assert nodes.errors(0)[-1] == (packet_id, wire.TOO_LARGE)


def test_the_queue_tells_how_many_places_are_left() -> None:
    """Sixteen; the seventeenth packet is refused with the firmware's own error code."""
    nodes = Nodes(1, {})
    free: list[int] = []
    nodes[0].on_queue = free.append
    assert (nodes[0].queue_free, nodes[0].queue_size) == (16, 16)
    assert [nodes.send(0)[1] for _ in range(17)] == [0] * 16 + [wire.ERRNO_UNKNOWN]
    assert nodes[0].queue_free == 0
    nodes.env.run(120)
    assert free == [*range(15, -1, -1), *range(1, 17)]


def test_the_duty_cycle_refuses_packets_until_the_hour_has_passed() -> None:
    """EU_868: more than six minutes sent within an hour is error 9, own packets tell the client."""
    nodes = Nodes(1, {}, region="EU_868")
    node = nodes[0]
    big = private_data(b"x" * 231)
    refused_s = []
    for step in range(2, 7200, 2):
        nodes.env.run(step)
        if node.queue_free == 16:
            before = node.airtime.tx_utilisation_pct()
            packet_id, result = nodes.send(0, data=big)
            assert (result == wire.DUTY_CYCLE_LIMIT) == (before > 10.0)
            if result:
                refused_s.append(step)
                assert nodes.errors(0)[-1] == (packet_id, wire.DUTY_CYCLE_LIMIT)
    assert refused_s[0] == pytest.approx(470, abs=60)
    assert refused_s[-1] > 3600
    assert not all(step in refused_s for step in range(refused_s[0], 7200, 2))
    assert 0 <= node.silent_minutes() <= 60


def test_a_refused_packet_is_not_repeated() -> None:
    """The refusal ends the retransmissions of a packet that wanted an acknowledgement."""
    nodes = Nodes(1, {}, region="EU_868")
    nodes[0].airtime.log_sent(370_000)
    packet_id, result = nodes.send(0, want_ack=True)
    nodes.env.run(60)
    assert result == wire.DUTY_CYCLE_LIMIT
    assert nodes.errors(0) == [(packet_id, wire.DUTY_CYCLE_LIMIT)]
    assert nodes.air == []


def test_the_duty_cycle_stops_relays_silently_and_can_be_overridden() -> None:
    """A relay over its limit drops the packet; with the override it does not."""
    for override, kinds in ((False, ["own"]), (True, ["own", "relay"])):
        nodes = Nodes(
            2,
            line(2),
            region="EU_868",
            options=lambda _, more=override: {"override_duty_cycle": more},  # type: ignore[misc]
        )
        nodes[1].airtime.log_sent(370_000)
        nodes.send(0)
        nodes.env.run(30)
        assert nodes.kinds() == kinds
        assert nodes.acks == []


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    region=st.sampled_from(["EU_868", "EU_866", "UA_868"]),
    gaps=st.lists(st.floats(0.01, 6), min_size=30, max_size=300),
)
def test_the_duty_cycle_is_exceeded_by_what_was_queued_at_most(
    seed: int, region: str, gaps: list[float]
) -> None:
    """As in the firmware the check is at the door: sixteen packets may still follow, not more."""
    nodes = Nodes(1, {}, region=region, seed=seed, preset="LONG_FAST")
    node = nodes[0]
    for gap_s in gaps * 3:
        nodes.env.run(nodes.env.now + gap_s)
        over = node.airtime.tx_utilisation_pct() > REGIONS[region].duty_cycle_pct
        _, result = nodes.send(0, data=private_data(b"x" * 200))
        assert (result == wire.DUTY_CYCLE_LIMIT) == over
    nodes.env.run(nodes.env.now + 60)
    frame_pct = 1.911 / 36
    limit_pct = REGIONS[region].duty_cycle_pct + 18 * frame_pct
    assert node.airtime.tx_utilisation_pct() <= limit_pct


def test_a_node_without_power_does_nothing_and_forgets() -> None:
    """Queue, timers and history are gone; after power on it works again."""
    nodes = Nodes(2, line(2))
    nodes.send(0, want_ack=True)
    nodes.env.run(0.5)
    nodes[0].power_off()
    nodes[0].power_off()
    assert nodes.send(0)[1] == wire.ERRNO_DISABLED
    nodes.env.run(60)
    assert nodes.acks == []
    assert nodes.packets == []
    assert {out for _, _, out in nodes.outcomes} <= {Outcome.OFF}
    nodes[0].power_on()
    nodes[0].power_on()
    assert nodes[0].airtime.tx_utilisation_pct() == 0.0
    packet_id, result = nodes.send(0)
    nodes.env.run(120)
    assert result == 0
    assert nodes.received(1) == [packet_id]


def test_settings_change_while_it_runs() -> None:
    """Preset, role, hop limit, region and power; power stays within region and chip."""
    nodes = Nodes(2, line(2))
    node = nodes[0]
    node.reconfigure(preset=PRESETS["SHORT_FAST"], hop_limit=5, role="ROUTER", tx_power_dbm=12.0)
    assert (node.preset.name, node.hop_limit, node.role) == ("SHORT_FAST", 5, "ROUTER")
    assert node.rebroadcast_mode == "CORE_PORTNUMS_ONLY"
    station = node._mac.station
    assert station.tx_power_dbm == 12.0
    node.reconfigure(tx_power_dbm=0.0)
    assert station.tx_power_dbm == 22.0  # the chip's limit, below the region's 30
    node.reconfigure(region=REGIONS["UA_868"])
    assert station.tx_power_dbm == 14.0
    nodes.send(0)
    nodes.env.run(10)
    assert nodes.packets == []  # the other one listens on another preset
    nodes[1].reconfigure(preset=PRESETS["SHORT_FAST"], rebroadcast_mode="NONE")
    nodes.send(0)
    nodes.env.run(20)
    assert len(nodes.packets) == 1
    assert nodes.kinds() == ["own", "own"]


def test_other_nodes_are_remembered_with_signal_and_hops() -> None:
    """From the first copy of each packet; the estimate of the chip saturates at 12 dB."""
    nodes = Nodes(3, line(3))
    nodes.send(0)
    nodes.env.run(60)
    near, far = nodes[1].heard[nodes[0].number], nodes[2].heard[nodes[0].number]
    assert (near.hops, far.hops) == (0, 1)
    assert near.snr_db == 12.0
    assert nodes[0].number not in nodes[0].heard


def test_public_key_messages_are_for_two_nodes() -> None:
    """A relay brings a message through that it cannot read."""
    nodes = Nodes(3, line(3))
    pair = frozenset((nodes[0].number, nodes[2].number))
    packet_id, result = nodes.send(0, 2, channel_hash=0, key=pair, want_ack=True)
    nodes.env.run(60)
    assert result == 0
    assert nodes.received(2) == [packet_id]
    assert (packet_id, wire.NONE) in nodes.errors(0)
    assert not nodes[1].can_read(nodes.air[0][2])


def test_packet_ids_differ_and_are_never_zero() -> None:
    """Ten bits count, so a thousand ids in a row are different."""
    nodes = Nodes(1, {})
    ids = [nodes[0].new_packet_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(0 < number < 2**32 for number in ids)


def test_the_place_of_a_node_can_move() -> None:
    """It is asked for when something is sent."""
    nodes = Nodes(1, {})
    car = MeshNode(
        nodes.env,
        77,
        nodes.channel,
        lambda time_s: Place(time_s, 0.0),
        random.Random(1),
        region=REGIONS["US"],
    )
    nodes.env.run(5)
    assert car.place == Place(5.0, 0.0)


def _trace(seed: int, extra: bool = False) -> list[Any]:
    nodes = Nodes(6 + extra, mesh(6, 150.0), seed=seed, preset="SHORT_FAST")
    for step in range(1, 20):
        nodes.env.run(step * 0.37)
        nodes.send(step % 6, want_ack=step % 2 == 0)
    nodes.env.run(60)
    return [(time_s, index, packet.id, kind) for time_s, index, packet, _, kind in nodes.air]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_mesh(seed: int) -> None:
    """Every transmission at the same instant, and a node that nobody hears changes nothing."""
    assert _trace(seed) == _trace(seed) == _trace(seed, extra=True)


def test_different_seeds_give_different_meshes() -> None:
    """The draws do depend on the seed."""
    assert _trace(1) != _trace(2)


def test_the_default_channel_is_readable() -> None:
    """A node as built reads the public channel and no other."""
    nodes = Nodes(1, {})
    assert nodes[0].keys == {DEFAULT_CHANNEL}
