"""The nodes that a radio knows: who they are, where they are, how they were heard.

Source: firmware, src/mesh/NodeDB.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from sim.meshtastic.crypto import KEY_BYTES
from sim.meshtastic.protobufs import mesh_pb2

MOST_NODES = 100  # MAX_NUM_NODES of an ESP32
ONLINE_S = 2 * 3600  # heard within this time
_PREFIX = "node."


class NodeDb:
    """All known nodes as `NodeInfo`, the radio's own first.

    When it is full the node heard least recently makes room, favourites excepted.
    """

    def __init__(
        self, number: int, flash: MutableMapping[str, bytes], most: int = MOST_NODES
    ) -> None:
        self._number = number
        self._flash = flash
        self._most = most
        self._nodes: dict[int, Any] = {}
        self.load()

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Any]:
        """Yield the radio's own entry, then the others as they came."""
        return iter(self._nodes.values())

    def get(self, number: int) -> Any | None:
        """Return a node's entry, or None."""
        return self._nodes.get(number)

    @property
    def own(self) -> Any:
        """The radio's own entry."""
        return self._nodes[self._number]

    def others(self) -> list[Any]:
        """Return every entry but the radio's own."""
        return [node for number, node in self._nodes.items() if number != self._number]

    def online(self, now_s: int) -> int:
        """Return how many nodes were heard of late, the radio itself included."""
        return 1 + sum(1 for node in self.others() if now_s - node.last_heard < ONLINE_S)

    # -- what is heard ---------------------------------------------------------------------------
    def heard(
        self, number: int, *, snr_db: float, time_s: int, hops: int | None, channel: int
    ) -> Any:
        """Note that a node was heard; returns its entry."""
        node = self._entry(number)
        node.snr = snr_db
        if time_s:
            node.last_heard = time_s
        if hops is not None:
            node.hops_away = hops
        node.channel = channel
        return node

    def update_user(self, number: int, user: Any) -> bool:
        """Take a node's names and key; a known key is never replaced. True: something changed."""
        node = self._entry(number)
        known = bytes(node.user.public_key)
        if len(known) == KEY_BYTES and user.public_key and bytes(user.public_key) != known:
            return False
        new = mesh_pb2.User()
        new.CopyFrom(user)
        new.id = f"!{number:08x}"
        if not new.public_key and known:
            new.public_key = known
        if node.HasField("user") and node.user == new:
            return False
        node.user.CopyFrom(new)
        return True

    def update_position(self, number: int, position: Any) -> None:
        """Take a node's position, or only its time where it has no coordinates."""
        node = self._entry(number)
        if not position.latitude_i and not position.longitude_i:
            if position.time:
                node.position.time = position.time
            return
        node.position.Clear()
        node.position.latitude_i = position.latitude_i
        node.position.longitude_i = position.longitude_i
        node.position.altitude = position.altitude
        node.position.time = position.time
        node.position.location_source = position.location_source
        node.position.precision_bits = position.precision_bits

    def update_metrics(self, number: int, metrics: Any) -> None:
        """Take a node's device metrics."""
        self._entry(number).device_metrics.CopyFrom(metrics)

    def public_key(self, number: int) -> bytes | None:
        """Return a node's public key, if it is known."""
        node = self._nodes.get(number)
        key = b"" if node is None else bytes(node.user.public_key)
        return key if len(key) == KEY_BYTES else None

    # -- what clients do -------------------------------------------------------------------------
    def add_contact(self, contact: Any) -> None:
        """Take a node that a client vouches for: it stays, as a favourite unless it is ignored."""
        if not contact.node_num or not contact.HasField("user"):
            return  # nobody: node 0 in a handshake would break clients
        node = self._entry(contact.node_num)
        node.user.CopyFrom(contact.user)
        node.user.id = f"!{contact.node_num:08x}"
        node.is_ignored = contact.should_ignore
        node.is_favorite = not contact.should_ignore
        node.is_key_manually_verified = contact.manually_verified

    def ignore(self, number: int) -> None:
        """Forget what is known of a node, and take nothing from it any more."""
        node = self._nodes.get(number)
        if node is not None:
            node.is_ignored = True
            node.ClearField("device_metrics")
            node.ClearField("position")
            node.user.public_key = b""

    def remove(self, number: int) -> None:
        """Forget a node; the radio itself cannot be forgotten."""
        if number != self._number:
            self._nodes.pop(number, None)

    def reset(self, *, keep_favorites: bool) -> None:
        """Forget every node but the radio itself."""
        self._nodes = {
            number: node
            for number, node in self._nodes.items()
            if number == self._number or (keep_favorites and node.is_favorite)
        }

    # -- flash -----------------------------------------------------------------------------------
    def save(self) -> None:
        """Write all nodes into the flash."""
        for key in [key for key in self._flash if key.startswith(_PREFIX)]:
            del self._flash[key]
        for number, node in self._nodes.items():
            self._flash[f"{_PREFIX}{number:08x}"] = node.SerializeToString()

    def load(self) -> None:
        """Read the nodes out of the flash, as at boot."""
        self._nodes = {self._number: mesh_pb2.NodeInfo(num=self._number, is_favorite=True)}
        for key, data in self._flash.items():
            if key.startswith(_PREFIX):
                node = mesh_pb2.NodeInfo.FromString(data)
                self._nodes[node.num] = node

    def _entry(self, number: int) -> Any:
        node = self._nodes.get(number)
        if node is None:
            if len(self._nodes) >= self._most:
                self._evict()
            node = self._nodes[number] = mesh_pb2.NodeInfo(num=number)
        return node

    def _evict(self) -> None:
        candidates = [n for n in self.others() if not n.is_favorite] or self.others()
        oldest = min(candidates, key=lambda node: node.last_heard)
        del self._nodes[oldest.num]
