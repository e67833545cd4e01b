"""The workload of a published experiment with real firmware, on our nodes.

the-Drunken-coder/meshtastic-lab, experiments/CORE-TELEMETRY-RESULTS-2026-09-04.md: ten native
firmware nodes in a full mesh at 8 dB, hop limit 4, region US. Nine of them send a text of 64 bytes
to the first every 5 s for a minute, evenly staggered, the first one of its own every 15 s; all want
an acknowledgement. Then at most five minutes to come to rest.

The lab's radio is not a radio but the firmware's `SimRadio` with collisions compiled in, whose
rules differ from a transceiver's. `SimRadioMac` has those rules, so that firmware and our router
can be compared on equal terms. `MendedSimRadioMac` is the same but for the one rule that matters: a
reception lasts as long as its frame.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import simpy

from sim.lora.channel import Channel
from sim.lora.presets import PRESETS, Preset, airtime_us
from sim.lora.propagation import FixedLoss, Place
from sim.lora.regions import REGIONS
from sim.meshtastic import packet as wire
from sim.meshtastic.mac import Mac
from sim.meshtastic.node import DEFAULT_CHANNEL, MeshNode
from sim.meshtastic.packet import Packet

NODES = 10
SNR_DB = 8.0
POWER_DBM = 22.0
HOP_LIMIT = 4
TEXT_BYTES = 64
SEND_S = 60
PERIOD_S = 5.0
CORE_PERIOD_S = 15.0
DRAIN_S = 300


@dataclass(frozen=True, slots=True)
class Published:
    """A line of the published table."""

    delivered_pct: float
    relays_pct: float
    transmissions: int


PUBLISHED = {
    "SHORT_TURBO": Published(84.8, 58.8, 1206),
    "SHORT_FAST": Published(78.6, 62.4, 1257),
    "SHORT_SLOW": Published(63.4, 59.3, 961),
    "MEDIUM_FAST": Published(46.4, 55.6, 789),
    "MEDIUM_SLOW": Published(35.7, 55.3, 695),
    "LONG_TURBO": Published(41.1, 56.1, 699),
    "LONG_FAST": Published(31.3, 53.0, 477),
    "LONG_MODERATE": Published(24.1, 55.6, 360),
    "LONG_SLOW": Published(15.2, 50.8, 197),
}


class SimRadioMac(Mac):
    """The firmware's src/platform/portduino/SimRadio.cpp, USERPREFS_SIMRADIO_EMULATE_COLLISIONS.

    How it differs from a transceiver: there is one timer for waiting, receiving and sending; a
    wait that runs out ends a reception before its time, so that the node may talk over the rest of
    it; after any reception or transmission even a relay waits the short window of own packets; any
    two overlapping frames destroy each other, however late or weak the second.
    """

    waits_end_receptions = True

    def __init__(self, env: simpy.Environment, channel: Channel, *args: Any, **more: Any) -> None:
        super().__init__(env, channel, *args, **more)
        self._others = vars(channel).setdefault("sim_radios", [])
        self._others.append(self)
        self._task = ""  # what the timer is for: "", wait, receive or send
        self._due_s = self._took_s = 0.0
        self._alarm: simpy.Event | None = None
        self._receiving: Packet | None = None
        self._sending = False

    def _notify_later(self, task: str, delay_s: float, *, instead: bool = False) -> None:
        if self._task and not instead:
            return
        self._task, self._took_s, self._due_s = task, delay_s, self._env.now + delay_s
        self._alarm = self._env.timeout(delay_s)
        self._alarm.callbacks.append(self._notified)

    def _set_delay(self, *, after_s: float = 0.0) -> None:
        if self.queue:
            self._notify_later("wait", self._delay_ms(self.queue[0]) / 1000)

    def _own_wait(self) -> None:
        if self.queue:
            self._notify_later("wait", self._own_delay_ms() / 1000)

    def _notified(self, event: simpy.Event) -> None:
        if event is not self._alarm:
            return
        task, self._task = self._task, ""
        if task == "wait" and self._receiving is None:
            if self.queue:
                self._send(self.queue.pop(0))
            return
        if task == "send":
            self._sending = False
        self._receive()
        self._own_wait()

    def _send(self, packet: Packet) -> None:
        airtime = airtime_us(self.preset, packet.frame_bytes)
        self._sending = True
        transmission: Any = SimpleNamespace(airtime_us=airtime)
        self._upper.frame_started(packet, transmission)
        self._airtime.log_sent(airtime // 1000)
        self._notify_later("send", airtime / 1e6)
        for other in self._others:
            if other is not self:
                other._arrive(packet)

    def _arrive(self, packet: Packet) -> None:
        if self._receiving is not None:
            self._airtime.log_received(self.packet_ms(self._receiving))
            self._receiving = None
            return
        sent_s = self._took_s - (self._due_s - self._env.now)
        if self._sending and sent_s > self.preset.preamble_ms / 1000:
            return
        self._receiving = packet
        instead = not self.waits_end_receptions and not self._sending
        self._notify_later("receive", self.packet_ms(packet) / 1000, instead=instead)

    def _receive(self) -> None:
        packet, self._receiving = self._receiving, None
        if packet is not None:
            self._airtime.log_received(self.packet_ms(packet))
            signal: Any = SimpleNamespace(reported_snr_db=SNR_DB, reported_rssi_dbm=-85)
            self._upper.frame_received(packet, signal)


class MendedSimRadioMac(SimRadioMac):
    """The same, but a reception takes the place of a wait and ends with its frame."""

    waits_end_receptions = False


@dataclass
class Lab:
    """One run of the experiment.

    `known_keys`: direct messages are encrypted to the receiver's public key, so relays cannot read
    acknowledgements; else all use the channel's key. In the lab's cold start 70 of 90 pairs knew
    each other on SHORT_TURBO, and 6 on LONG_SLOW.
    """

    preset: Preset
    seed: int
    mac_type: type[Mac] = Mac
    known_keys: bool = False
    kinds: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Send, and let it come to rest."""
        env = simpy.Environment()
        loss = FixedLoss(POWER_DBM - (self.preset.noise_dbm + SNR_DB))
        channel = Channel(env, self.preset, 906.875, random.Random(self.seed), loss, shadowing_db=0)
        self._got: set[tuple[int, int]] = set()
        self._sent: list[tuple[int, int]] = []
        self._nodes = [self._node(env, channel, index) for index in range(NODES)]
        for index in range(1, NODES):
            env.process(self._source(env, index))
        env.process(self._core(env))
        env.run(SEND_S + DRAIN_S)

    @property
    def delivered_pct(self) -> float:
        """Messages that reached their destination."""
        return 100 * sum(key in self._got for key in self._sent) / len(self._sent)

    @property
    def relays_pct(self) -> float:
        """Share of relays in all transmissions."""
        return 100 * self.kinds["relay"] / self.transmissions

    @property
    def transmissions(self) -> int:
        """All that was on the air."""
        return self.kinds.total()

    def _node(self, env: simpy.Environment, channel: Channel, index: int) -> MeshNode:
        node = MeshNode(
            env,
            0x2001 + index,
            channel,
            Place(10.0 * index, 0.0),
            random.Random(f"{self.seed}/{index}"),
            region=REGIONS["US"],
            tx_power_dbm=POWER_DBM,
            hop_limit=HOP_LIMIT,
            mac_type=self.mac_type,
        )
        node.on_packet = lambda packet, _: self._got.add((packet.sender, packet.id))
        node.on_air.append(lambda _t, _node, _packet, _us, kind: self.kinds.update([kind]))
        return node

    def _send(self, sender: MeshNode, to: MeshNode) -> None:
        channel_hash, key = DEFAULT_CHANNEL
        if self.known_keys:
            channel_hash, key = 0, frozenset((sender.number, to.number))
        packet = Packet(
            sender.number,
            to.number,
            sender.new_packet_id(),
            wire.private_data(b"x" * TEXT_BYTES, wire.TEXT_MESSAGE_APP),
            channel_hash=channel_hash,
            key=key,
            hop_limit=HOP_LIMIT,
            want_ack=True,
            priority=wire.RELIABLE,
        )
        self._sent.append((sender.number, packet.id))
        sender.send(packet)

    def _source(self, env: simpy.Environment, index: int) -> Generator[simpy.Event, None, None]:
        yield env.timeout((index - 1) * PERIOD_S / (NODES - 1))
        for _ in range(int(SEND_S / PERIOD_S)):
            self._send(self._nodes[index], self._nodes[0])
            yield env.timeout(PERIOD_S)

    def _core(self, env: simpy.Environment) -> Generator[simpy.Event, None, None]:
        stream = random.Random(f"{self.seed}/core")
        for _ in range(int(SEND_S / CORE_PERIOD_S)):
            self._send(self._nodes[0], self._nodes[stream.randrange(1, NODES)])
            yield env.timeout(CORE_PERIOD_S)


def runs(
    name: str, seeds: range, mac_type: type[Mac] = Mac, *, known_keys: bool = False
) -> list[Lab]:
    """Run one line of the table, once per seed."""
    labs = [Lab(PRESETS[name], seed, mac_type, known_keys) for seed in seeds]
    for lab in labs:
        lab.run()
    return labs
