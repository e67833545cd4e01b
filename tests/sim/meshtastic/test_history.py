"""Which packets were seen lately."""

from __future__ import annotations

from sim.meshtastic.history import CAPACITY, PacketHistory
from sim.meshtastic.packet import Packet

US = 0x1001
DIRECT = 0x2002


def copy(
    packet_id: int = 7, *, hops: int = 3, relay: int = 0x44, next_hop: int = 0, sender: int = 0x3344
) -> Packet:
    """One copy of a packet in the air."""
    return Packet(
        sender, DIRECT, packet_id, b"", hop_limit=hops, relay_node=relay, next_hop=next_hop
    )


def test_the_second_copy_was_seen_before() -> None:
    """Sender and id are the name of a packet; a packet without an id has none."""
    history = PacketHistory(US)
    assert not history.note(copy()).before
    assert history.note(copy(hops=2, relay=0x55)).before
    assert not history.note(copy(8)).before
    assert not history.note(copy(sender=0x3345)).before
    assert not history.note(copy(0)).before
    assert not history.note(copy(0)).before


def test_a_copy_with_more_hops_left_is_an_upgrade() -> None:
    """Only more than ever seen counts."""
    history = PacketHistory(US)
    history.note(copy(hops=1))
    assert history.note(copy(hops=2)).upgraded
    assert not history.note(copy(hops=2)).upgraded
    assert not history.note(copy(hops=1)).upgraded


def test_relayers_are_those_who_heard_this_node() -> None:
    """A copy with one hop less than ours, or as many, tells that its relayer is near."""
    history = PacketHistory(US)
    history.note(copy(hops=3))
    assert history.relayers(0x3344, 7) == []
    history.note(copy(hops=2, relay=US & 0xFF))
    history.note(copy(hops=1, relay=0x55))
    history.note(copy(hops=0, relay=0x66))
    assert history.relayers(0x3344, 7) == [0x55, 0x01]
    history.remove_relayer(0x3344, 7)
    assert history.relayers(0x3344, 7) == [0x55]
    assert history.relayers(0x3344, 8) == []


def test_the_first_copy_says_who_was_asked_to_relay() -> None:
    """Later copies with another next hop do not change it."""
    history = PacketHistory(US)
    history.note(copy(next_hop=0x77))
    assert not history.note(copy(next_hop=US & 0xFF)).we_were_next_hop
    asked = PacketHistory(US)
    assert not asked.note(copy(next_hop=US & 0xFF)).we_were_next_hop
    assert asked.note(copy()).we_were_next_hop


def test_the_oldest_makes_room() -> None:
    """The history is bounded; what was heard again is not old."""
    history = PacketHistory(US)
    for packet_id in range(1, CAPACITY + 1):
        history.note(copy(packet_id))
    history.note(copy(1))
    history.note(copy(CAPACITY + 1))
    assert history.note(copy(1)).before
    assert not history.note(copy(2)).before
    history.clear()
    assert not history.note(copy(1)).before
