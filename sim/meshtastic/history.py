"""Which packets a node has seen lately, and who relayed them.

Source: firmware src/mesh/PacketHistory.cpp. Its test for a sender that falls back from a next hop
to flooding is left out: it asks for a relayer that the same file records only if this node relayed
the packet itself, which the test excludes.
"""

from __future__ import annotations

from sim.meshtastic.packet import Packet

CAPACITY = 200  # two per node that the database has room for (MAX_NUM_NODES 100 on common boards)
RELAYERS = 6  # NUM_RELAYERS


class Record:
    """What is remembered of one packet."""

    __slots__ = ("highest_hop_limit", "next_hop", "our_hop_limit", "relayed_by")

    def __init__(self, next_hop: int, hop_limit: int) -> None:
        self.next_hop = next_hop  # as it was first seen
        self.highest_hop_limit = hop_limit
        self.our_hop_limit = 0
        self.relayed_by: list[int] = []


class Seen:
    """What the history says of a packet that came."""

    __slots__ = ("before", "upgraded", "we_were_next_hop")

    def __init__(self) -> None:
        self.before = False
        self.upgraded = False  # this copy has more hops left than any before
        self.we_were_next_hop = False


class PacketHistory:
    """The last 200 packets; the one longest not heard of makes room."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._byte = number & 0xFF
        self._records: dict[tuple[int, int], Record] = {}

    def clear(self) -> None:
        """Forget all: the firmware keeps it in RAM."""
        self._records.clear()

    def note(self, packet: Packet) -> Seen:
        """Ask for a packet and remember this copy of it."""
        seen = Seen()
        if packet.id == 0:
            return seen
        key = (packet.sender, packet.id)
        record = self._records.pop(key, None)
        if record is None:
            record = Record(packet.next_hop, packet.hop_limit)
        else:
            seen.before = True
            seen.upgraded = record.highest_hop_limit < packet.hop_limit
            seen.we_were_next_hop = record.next_hop == self._byte
        self._records[key] = record
        if len(self._records) > CAPACITY:
            del self._records[next(iter(self._records))]
        self._note_relayer(packet, record)
        record.highest_hop_limit = max(record.highest_hop_limit, packet.hop_limit)
        return seen

    def relayers(self, sender: int, packet_id: int) -> list[int]:
        """Give the last bytes of those known to have sent a packet, this node's too."""
        record = self._records.get((sender, packet_id))
        return record.relayed_by if record else []

    def remove_relayer(self, sender: int, packet_id: int) -> None:
        """Note that this node does not relay a packet after all."""
        record = self._records.get((sender, packet_id))
        if record is not None and self._byte in record.relayed_by:
            record.relayed_by.remove(self._byte)

    def _note_relayer(self, packet: Packet, record: Record) -> None:
        relayer = packet.relay_node
        if relayer == self._byte:
            record.our_hop_limit = packet.hop_limit
        elif not (
            # Only who heard this node itself counts: its copy has one hop less, or as many.
            self._byte in record.relayed_by
            and packet.hop_limit in (record.our_hop_limit, record.our_hop_limit - 1)
        ):
            return
        if relayer not in record.relayed_by:
            record.relayed_by.insert(0, relayer)
            del record.relayed_by[RELAYERS:]
