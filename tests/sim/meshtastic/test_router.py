"""Flooding, next hops, acknowledgements and retransmissions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lora.channel import Outcome
from sim.meshtastic import packet as wire
from sim.meshtastic.node import DEFAULT_CHANNEL
from sim.meshtastic.packet import private_data
from tests.sim.meshtastic.nodes import NEAR_DB, Nodes, line, mesh

TEXT = private_data(b"hello", wire.TEXT_MESSAGE_APP)


def test_a_broadcast_travels_hop_by_hop() -> None:
    """In a row of five with hop limit 3 the packet is sent four times and reaches all."""
    nodes = Nodes(5, line(5))
    packet_id, result = nodes.send(0)
    nodes.env.run(60)
    assert result == 0
    assert [(index, kind) for _, index, _, _, kind in nodes.air] == [
        (0, "own"),
        (1, "relay"),
        (2, "relay"),
        (3, "relay"),
    ]
    assert [packet.hop_limit for _, _, packet, _, _ in nodes.air] == [3, 2, 1, 0]
    assert [rx.hops for _, _, rx in nodes.packets] == [0, 1, 2, 3]
    assert [index for index, _, _ in nodes.packets] == [1, 2, 3, 4]
    assert {packet.id for _, packet, _ in nodes.packets} == {packet_id}


def test_the_hop_limit_ends_a_flood() -> None:
    """With one hop a packet gets two nodes far, with none to the neighbours only."""
    for hops, reached in ((1, [1, 2]), (0, [1])):
        nodes = Nodes(5, line(5))
        nodes.send(0, hop_limit=hops)
        nodes.env.run(60)
        assert [index for index, _, _ in nodes.packets] == reached


def test_a_client_cancels_its_relay_when_another_was_faster() -> None:
    """In a full mesh one relay is enough, unless two chose the same slot."""
    relays = []
    for seed in range(20):
        nodes = Nodes(6, mesh(6), seed=seed)
        nodes.send(0)
        nodes.env.run(60)
        relays.append(nodes.kinds().count("relay"))
    assert min(relays) == 1
    assert sum(relays) / len(relays) < 2


@pytest.mark.parametrize("role", ["ROUTER", "ROUTER_LATE"])
def test_routers_always_relay(role: str) -> None:
    """A router sends its copy although it heard another's, ROUTER_LATE after the others."""
    nodes = Nodes(4, mesh(4), roles={3: role})
    nodes.send(0, data=TEXT)
    nodes.env.run(60)
    relays = [index for _, index, _, _, kind in nodes.air if kind == "relay"]
    assert 3 in relays
    if role == "ROUTER":
        assert relays[0] == 3
    else:
        assert relays[-1] == 3


def test_a_router_relays_no_private_port_unless_told_to() -> None:
    """The firmware gives a ROUTER the mode CORE_PORTNUMS_ONLY; ALL brings the packets through."""
    for options, reached in (({}, []), ({"rebroadcast_mode": "ALL"}, [2])):
        nodes = Nodes(3, line(3), roles={1: "ROUTER"}, options=lambda _, more=options: more)  # type: ignore[misc]
        nodes.send(0, data=private_data(b"telemetry"))
        nodes.env.run(60)
        assert [index for index, _, _ in nodes.packets if index == 2] == reached
    nodes = Nodes(3, line(3), roles={1: "ROUTER"})
    nodes.send(0, channel_hash=9, key="foreign")
    nodes[0].keys.add((9, "foreign"))
    nodes.send(0, channel_hash=9, key="foreign")
    nodes.env.run(60)
    assert [index for index, _, _ in nodes.packets] == [1, 2]  # it cannot know the port


@pytest.mark.parametrize("role", ["CLIENT_MUTE"])
def test_mute_nodes_do_not_relay(role: str) -> None:
    """A row with a mute node in the middle is cut."""
    nodes = Nodes(3, line(3), roles={1: role})
    nodes.send(0)
    nodes.env.run(60)
    assert [index for index, _, _ in nodes.packets] == [1]


def test_a_broadcast_that_wants_an_acknowledgement_gets_an_implicit_one() -> None:
    """Hearing a relay is enough; the sender sends once."""
    nodes = Nodes(2, line(2))
    packet_id, _ = nodes.send(0, want_ack=True)
    nodes.env.run(60)
    assert nodes.acks == [(0, packet_id, wire.NONE, None)]
    assert nodes.kinds() == ["own", "relay"]
    assert not nodes.air[0][2].want_ack  # never in the air


def test_a_broadcast_that_nobody_relays_is_sent_three_times() -> None:
    """Then the client is told MAX_RETRANSMIT; the timer is the firmware's."""
    nodes = Nodes(1, {})
    packet_id, _ = nodes.send(0, want_ack=True)
    nodes.env.run(60)
    assert nodes.kinds() == ["own", "retry", "retry"]
    assert nodes.errors(0) == [(packet_id, wire.MAX_RETRANSMIT)]
    first_s, second_s, _ = (time_s for time_s, *_ in nodes.air)
    frame_ms = nodes.air[0][3] // 1000
    timer_s = (2 * frame_ms + (8 + 16 + 32) * 28 + 4500) / 1000
    assert second_s - first_s == pytest.approx(timer_s, abs=7 * 0.028 + 0.001)


def test_a_direct_message_is_acknowledged_by_its_receiver() -> None:
    """The Routing message of the other node, with how it was heard; no relay is needed."""
    nodes = Nodes(2, line(2, 130.0))
    packet_id, _ = nodes.send(0, 1, want_ack=True)
    nodes.env.run(60)
    ((index, acked, error, reception),) = nodes.acks
    assert (index, acked, error) == (0, packet_id, wire.NONE)
    assert reception is not None
    assert (reception.sender, reception.hops) == (nodes[1].number, 0)
    assert reception.snr_db == pytest.approx(22 - 130 + 114, abs=0.3)
    assert nodes.kinds() == ["own", "ack"]
    assert nodes.received(1) == [packet_id]


def test_a_text_is_acknowledged_reliably() -> None:
    """The acknowledgement of a direct text wants one itself, without hops."""
    nodes = Nodes(2, line(2))
    nodes.send(0, 1, want_ack=True, data=TEXT)
    nodes.env.run(60)
    assert nodes.kinds() == ["own", "ack", "ack"]
    assert [packet.want_ack for _, _, packet, _, _ in nodes.air] == [True, True, False]
    assert nodes.air[2][2].hop_limit == 0


def test_a_direct_message_over_a_relay_is_acknowledged_back() -> None:
    """Implicitly by the relay first, then by the receiver two hops away."""
    nodes = Nodes(3, line(3))
    packet_id, _ = nodes.send(0, 2, want_ack=True)
    nodes.env.run(60)
    errors = [(error, reception and reception.hops) for _, _, error, reception in nodes.acks]
    assert (wire.NONE, None) in errors
    assert (wire.NONE, 1) in errors
    assert nodes.received(2) == [packet_id]
    assert nodes.received(1) == []


def test_a_direct_message_to_nobody_fails_after_three_attempts() -> None:
    """The last attempt floods; MAX_RETRANSMIT comes at the end."""
    nodes = Nodes(2, {})
    packet_id, _ = nodes.send(0, 1, want_ack=True)
    nodes.env.run(90)
    assert nodes.kinds() == ["own", "retry", "retry"]
    assert nodes.errors(0) == [(packet_id, wire.MAX_RETRANSMIT)]


def test_a_lost_acknowledgement_is_sent_again() -> None:
    """The receiver answers the repeated message too, its client gets it once."""
    nodes = Nodes(2, line(2))
    packet_id, _ = nodes.send(0, 1, want_ack=True)
    while "ack" not in nodes.kinds():
        nodes.env.step()
    mac = nodes[0]._mac  # the sender misses the acknowledgement
    nodes.channel.switch_over(mac.station)
    nodes.env.run(4)
    nodes.channel.listen(mac.station)
    nodes.env.run(60)
    assert nodes.kinds() == ["own", "ack", "retry", "ack"]
    assert nodes.received(1) == [packet_id]
    assert nodes.errors(0) == [(packet_id, wire.NONE)]


def test_a_receiver_without_the_key_refuses() -> None:
    """NO_CHANNEL for a direct message that it cannot read; its client gets it encrypted."""
    nodes = Nodes(2, line(2))
    nodes[0].keys.add((9, "secret"))
    packet_id, _ = nodes.send(0, 1, want_ack=True, channel_hash=9, key="secret")
    nodes.env.run(60)
    assert nodes.errors(0) == [(packet_id, wire.NO_CHANNEL)]
    assert not nodes[1].can_read(nodes.packets[0][1])


def test_next_hops_are_learned_from_acknowledgements_and_given_up() -> None:
    """After an acknowledgement the relay in between is asked by name, until it is gone."""
    nodes = Nodes(3, line(3))
    nodes.send(0, 2, want_ack=True)
    nodes.env.run(100)
    nodes.send(0, 2, want_ack=True)
    nodes.env.run(200)
    second = [packet for _, index, packet, _, kind in nodes.air if kind == "own"][1]
    assert second.next_hop == nodes[1].number & 0xFF
    nodes[1].power_off()
    before = len(nodes.air)
    packet_id, _ = nodes.send(0, 2, want_ack=True)
    nodes.env.run(300)
    assert [packet.next_hop for _, _, packet, _, _ in nodes.air[before:]] == [
        second.next_hop,
        second.next_hop,
        0,
    ]
    assert nodes.errors(0)[-1] == (packet_id, wire.MAX_RETRANSMIT)


def test_relays_give_a_direct_message_up_when_its_acknowledgement_is_heard() -> None:
    """In a full mesh the answer comes before anybody relays the message; the answer is relayed."""
    relayed: Counter[bool] = Counter()
    for seed in range(10):
        nodes = Nodes(6, mesh(6), seed=seed)
        packet_id, _ = nodes.send(0, 1, want_ack=True)
        nodes.env.run(60)
        relayed.update(p.id == packet_id for _, _, p, _, kind in nodes.air if kind == "relay")
    assert relayed[True] <= 1
    assert relayed[False] >= 10


def test_an_answer_uses_the_hops_that_the_question_took_and_two_more() -> None:
    """A neighbour's acknowledgement does not flood a mesh of hop limit 7."""
    nodes = Nodes(2, line(2), options=lambda _: {"hop_limit": 7})
    nodes.send(0, 1, want_ack=True, hop_limit=7)
    nodes.env.run(60)
    assert [packet.hop_limit for _, _, packet, _, _ in nodes.air] == [7, 2]


def test_a_better_copy_takes_the_place_of_the_one_that_waits() -> None:
    """A relay that hears the packet with more hops left relays that one."""
    nodes = Nodes(1, {})
    router, mac = nodes[0]._router, nodes[0]._mac
    router.receive(heard(7, to=wire.BROADCAST, hops=1))
    router.receive(heard(7, to=wire.BROADCAST, hops=2))
    assert [packet.hop_limit for packet in mac.queue] == [1]
    assert nodes.received(0) == [7]


def heard(packet_id: int, *, to: int, hops: int, start: int = 3, **more: int) -> wire.Packet:
    """A packet of node 5 as a bench of one node hears it."""
    packet = wire.Packet(
        5, to, packet_id, private_data(b"x"), hop_limit=hops, hop_start=start, **more
    )
    packet.channel_hash, packet.key = DEFAULT_CHANNEL
    packet.rx_snr_db, packet.rx_rssi_dbm = 0.0, -100
    return packet


def test_a_relay_repeats_a_broadcast_whose_sender_repeats_it() -> None:
    """The sender has heard nobody, so the relay sends again; one that waits is enough."""
    nodes = Nodes(1, {})
    router = nodes[0]._router
    router.receive(heard(7, to=wire.BROADCAST, hops=3))
    router.receive(heard(7, to=wire.BROADCAST, hops=3))
    nodes.env.run(30)
    assert nodes.kinds() == ["relay"]
    router.receive(heard(7, to=wire.BROADCAST, hops=3))
    nodes.env.run(60)
    assert nodes.kinds() == ["relay", "relay"]
    assert nodes.received(0) == [7]
    assert router.duplicates == 2


def test_a_message_for_another_next_hop_is_relayed_when_its_sender_floods_it() -> None:
    """Asked by name only he relays; repeated by the sender without a name, this node does."""
    nodes = Nodes(1, {})
    router = nodes[0]._router
    router.receive(heard(7, to=9, hops=3, next_hop=0x42, relay_node=5))
    nodes.env.run(30)
    assert nodes.kinds() == []
    router.receive(heard(7, to=9, hops=3, relay_node=5))
    nodes.env.run(60)
    assert nodes.kinds() == ["relay"]


def test_an_answer_to_far_nodes_has_the_hops_that_they_needed() -> None:
    """A question that took more hops than are configured here is answered with as many."""
    nodes = Nodes(1, {}, options=lambda _: {"hop_limit": 2})
    question = heard(7, to=nodes[0].number, hops=1, start=6)
    question.want_ack = True
    nodes[0]._router.receive(question)
    nodes.env.run(30)
    assert [packet.hop_limit for _, _, packet, _, _ in nodes.air] == [5]


def test_a_frame_at_its_last_hop_replaces_nothing() -> None:
    """A better copy that may not be relayed leaves the queue alone."""
    nodes = Nodes(1, {})
    router = nodes[0]._router
    router.receive(heard(7, to=wire.BROADCAST, hops=0))
    router.receive(heard(7, to=wire.BROADCAST, hops=1))
    assert nodes[0].queue_free == 16


LOSSES = st.sampled_from([NEAR_DB, 145.0, 152.0, 300.0])


@settings(max_examples=25, deadline=None)
@given(data=st.data(), count=st.integers(2, 7), seed=st.integers(0, 2**32))
def test_floods_obey_their_limits(data: Any, count: int, seed: int) -> None:
    """At most one delivery per node and packet, never too many hops, one frame at a time."""
    links = {(a, b): data.draw(LOSSES) for b in range(count) for a in range(b)}
    sends = data.draw(
        st.lists(
            st.tuples(
                st.floats(0, 30),
                st.integers(0, count - 1),
                st.one_of(st.none(), st.integers(0, count - 1)),
                st.integers(0, 7),
                st.booleans(),
            ),
            min_size=1,
            max_size=12,
        )
    )
    nodes = Nodes(count, links, preset="SHORT_FAST", seed=seed)
    for time_s, sender, to, hops, want_ack in sorted(sends, key=lambda send: send[0]):
        nodes.env.run(max(time_s, nodes.env.now + 1e-6))
        nodes.send(sender, to, hop_limit=hops, want_ack=want_ack)
    nodes.env.run(200)
    deliveries = Counter((index, packet.sender, packet.id) for index, packet, _ in nodes.packets)
    assert all(times == 1 for times in deliveries.values())
    ends_s = [0.0] * count
    for time_s, index, packet, airtime_us, _ in nodes.air:
        assert 0 <= packet.hop_limit <= packet.hop_start <= 7
        assert time_s >= ends_s[index]
        ends_s[index] = time_s + airtime_us / 1e6
    own = Counter((p.sender, p.id) for _, _, p, _, kind in nodes.air if kind in ("own", "retry"))
    assert all(times <= 3 for times in own.values())
    final = Counter((index, number) for index, number, error, _ in nodes.acks if error)
    assert all(times == 1 for times in final.values())
    assert {out for _, _, out in nodes.outcomes} <= set(Outcome)
