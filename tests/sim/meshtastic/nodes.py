"""Nodes on a bench: who hears whom is said, all that happens is kept."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import simpy

from sim.lora.channel import Channel, Outcome, Signal
from sim.lora.presets import PRESETS
from sim.lora.propagation import Place
from sim.lora.regions import REGIONS
from sim.meshtastic import packet as wire
from sim.meshtastic.node import DEFAULT_CHANNEL, MeshNode, Reception
from sim.meshtastic.packet import BROADCAST, Packet

NEAR_DB = 118.0  # SNR +18 at 22 dBm on LongFast: reported as 12
FAR_DB = 300.0


class Links:
    """Path loss between the nodes of a bench, by their index; unsaid pairs do not hear each other.

    A node's place is its index in metres.
    """

    def __init__(self, links: dict[tuple[int, int], float]) -> None:
        self._links = {tuple(sorted(pair)): loss_db for pair, loss_db in links.items()}

    def __call__(self, a: Place, b: Place) -> float:
        """Give the loss."""
        return self._links.get(tuple(sorted((int(a.x_m), int(b.x_m)))), FAR_DB)


def line(count: int, loss_db: float = NEAR_DB) -> dict[tuple[int, int], float]:
    """Links of a row of nodes that hear their neighbours only."""
    return {(index, index + 1): loss_db for index in range(count - 1)}


def mesh(count: int, loss_db: float = NEAR_DB) -> dict[tuple[int, int], float]:
    """Links of nodes that all hear each other."""
    return {(a, b): loss_db for b in range(count) for a in range(b)}


class Nodes:
    """Nodes 0, 1, 2 ... with numbers 0x1001, 0x1002, ..."""

    def __init__(
        self,
        count: int,
        links: dict[tuple[int, int], float],
        *,
        preset: str = "LONG_FAST",
        region: str = "US",
        seed: int = 1,
        roles: dict[int, str] | None = None,
        options: Callable[[int], dict[str, Any]] = lambda _: {},
    ) -> None:
        self.env = simpy.Environment()
        self.channel = Channel(
            self.env,
            PRESETS[preset],
            869.525,
            random.Random(seed),
            Links(links),
            shadowing_db=0,
        )
        self.packets: list[tuple[int, Packet, Reception]] = []
        self.acks: list[tuple[int, int, int, Reception | None]] = []
        self.air: list[tuple[float, int, Packet, int, str]] = []
        self.outcomes: list[tuple[int, int, Outcome]] = []
        self.nodes = [
            self._node(index, seed, region, (roles or {}).get(index, "CLIENT"), options(index))
            for index in range(count)
        ]
        self.channel.on_outcome.append(self._note_outcome)

    def __getitem__(self, index: int) -> MeshNode:
        return self.nodes[index]

    def _node(
        self, index: int, seed: int, region: str, role: str, options: dict[str, Any]
    ) -> MeshNode:
        node = MeshNode(
            self.env,
            0x1001 + index,
            self.channel,
            Place(float(index), 0.0),
            random.Random(f"{seed}/{index}"),
            region=REGIONS[region],
            role=role,
            **options,
        )
        node.on_packet = lambda packet, rx: self.packets.append((index, packet, rx))
        node.on_ack = lambda number, error, rx: self.acks.append((index, number, error, rx))
        node.on_air.append(
            lambda time_s, _, packet, airtime_us, kind: self.air.append(
                (time_s, index, packet, airtime_us, kind)
            )
        )
        return node

    def _note_outcome(self, _: float, signal: Signal, outcome: Outcome) -> None:
        sender = signal.transmission.station.number - 0x1001
        self.outcomes.append((sender, signal.station.number - 0x1001, outcome))

    def send(self, sender: int, to: int | None = None, **more: Any) -> tuple[int, int]:
        """Send a packet now; give its id and the result."""
        node = self.nodes[sender]
        channel_hash, key = DEFAULT_CHANNEL
        values: dict[str, Any] = {"channel_hash": channel_hash, "key": key, "hop_limit": 3} | more
        data = values.pop("data", None) or wire.private_data(b"payload")
        packet = Packet(
            node.number,
            BROADCAST if to is None else self.nodes[to].number,
            node.new_packet_id(),
            data,
            **values,
        )
        return packet.id, node.send(packet)

    def kinds(self, *, sender: int | None = None) -> list[str]:
        """Kinds of what was on the air, in order."""
        return [kind for _, index, _, _, kind in self.air if sender in (None, index)]

    def received(self, index: int) -> list[int]:
        """Ids of the packets that a node's client got."""
        return [packet.id for node, packet, _ in self.packets if node == index]

    def errors(self, index: int) -> list[tuple[int, int]]:
        """(packet id, error) of the acknowledgements that a node's client got."""
        return [(number, error) for node, number, error, _ in self.acks if node == index]
