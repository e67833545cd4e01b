"""A node of the mesh, as its client sees it below the phone API: send, receive, acknowledge."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import simpy

from sim.lora.channel import Channel, Position, Signal, Transmission
from sim.lora.presets import Preset
from sim.lora.propagation import Place
from sim.lora.regions import Region
from sim.meshtastic import packet as wire
from sim.meshtastic.airtime import Airtime
from sim.meshtastic.mac import QUEUE_SIZE, Mac
from sim.meshtastic.packet import Packet
from sim.meshtastic.router import Router

ROLES = (
    *("CLIENT", "CLIENT_MUTE", "CLIENT_HIDDEN", "CLIENT_BASE", "ROUTER", "ROUTER_LATE"),
    *("REPEATER", "TRACKER", "SENSOR", "TAK", "TAK_TRACKER", "LOST_AND_FOUND"),
)
CHIP_LIMIT_DBM = 22.0  # SX1262 (firmware: SX126X_MAX_POWER)
DEFAULT_CHANNEL: tuple[int, Hashable] = (0x08, "default")  # hash of LongFast with the default key


@dataclass(frozen=True, slots=True)
class Reception:
    """How a packet was heard.

    Attributes:
        snr_db, rssi_dbm: of the last hop.
        time_s: when it was complete, in the world's time.
        sender: the node that made the packet.
        hops: that it made, None if unknown.
    """

    snr_db: float
    rssi_dbm: int
    time_s: float
    sender: int = 0
    hops: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a node knows of another from its packets."""

    time_s: float
    snr_db: float
    hops: int | None


def default_rebroadcast_mode(role: str) -> str:
    """Give the rebroadcast mode that the firmware sets with a role (NodeDB::installRoleDefaults).

    A ROUTER relays known ports only, so a PRIVATE_APP packet that it can decrypt ends there.
    """
    return "CORE_PORTNUMS_ONLY" if role in ("ROUTER", "REPEATER") else "ALL"


class MeshNode:
    """One node: router, queue, medium access, and a station on a LoRa channel.

    Args:
        env: the world's SimPy environment.
        number: node number, also the station's number on the channel.
        lora_channel: the air.
        position: where the antenna is, fixed or as a function of time.
        stream: draws of contention windows and packet ids.
        role: device role in Meshtastic's words.
        region: duty cycle and power limit.
        tx_power_dbm: 0 or above the limit sends at the region's limit.
        chip_limit_dbm: what the transmitter can do; boards with an amplifier do more.
        hop_limit: of packets that do not say, and of answers.
        rebroadcast_mode: ALL, NONE or CORE_PORTNUMS_ONLY; None is what comes with the role.
        override_duty_cycle: the client's own risk.
        mac_type: another medium access, for comparisons.

    Attributes:
        keys: (channel hash, key) of the channels that it can read.
        on_packet, on_ack, on_queue: the client's callbacks; a list of observers is `on_air`.
        on_relay: told of a traceroute before it is passed on; may rewrite it.
        heard: other nodes, by number.
    """

    def __init__(
        self,
        env: simpy.Environment,
        number: int,
        lora_channel: Channel,
        position: Position,
        stream: random.Random,
        *,
        region: Region,
        role: str = "CLIENT",
        tx_power_dbm: float = 0.0,
        chip_limit_dbm: float = CHIP_LIMIT_DBM,
        antenna_gain_dbi: float = 0.0,
        hop_limit: int = 3,
        rebroadcast_mode: str | None = None,
        override_duty_cycle: bool = False,
        mac_type: type[Mac] = Mac,
    ) -> None:
        self.env = env
        self.number = number
        self.region = region
        self.hop_limit = hop_limit
        self.override_duty_cycle = override_duty_cycle
        self.keys: set[tuple[int, Hashable]] = {DEFAULT_CHANNEL}
        self.heard: dict[int, Heard] = {}
        self.powered = True
        self.airtime = Airtime(env)
        self.on_packet: Callable[[Packet, Reception], None] = _ignore
        self.on_ack: Callable[[int, int, Reception | None], None] = _ignore
        self.on_queue: Callable[[int], None] = _ignore
        self.on_relay: Callable[[Packet], None] = _ignore
        self.on_air: list[Callable[[float, MeshNode, Packet, int, str], None]] = []
        self._channel = lora_channel
        self._chip_limit_dbm = chip_limit_dbm
        self._tx_power_dbm = tx_power_dbm
        self._stream = stream
        self._packet_id = stream.getrandbits(31)
        self._mac = mac_type(
            env,
            lora_channel,
            number,
            position,
            stream,
            self,
            self.airtime,
            tx_power_dbm=self._allowed_dbm(tx_power_dbm),
            antenna_gain_dbi=antenna_gain_dbi,
        )
        self._router = Router(env, self, self._mac)
        self._set_role(role, rebroadcast_mode)

    # -- the client's side ---------------------------------------------------------------------
    @property
    def queue_size(self) -> int:
        """Places in the queue."""
        return QUEUE_SIZE

    @property
    def queue_free(self) -> int:
        """Places left."""
        return QUEUE_SIZE - len(self._mac.queue)

    @property
    def preset(self) -> Preset:
        """The modem preset in force."""
        return self._mac.preset

    @property
    def place(self) -> Place:
        """Where the antenna is now."""
        return self._mac.station.place()

    def send(self, packet: Packet) -> int:
        """Take a packet of the client; 0, or the error of the queue status that refuses it.

        The packet is the node's from now on: it fills in what the header needs.
        A Routing error (9, 7, 6) is also told to `on_ack`. A broadcast that wants an
        acknowledgement gets an implicit one when a relay of it is heard.
        """
        if not self.powered:
            return wire.ERRNO_DISABLED
        packet.sender = self.number
        packet.hop_limit = min(packet.hop_limit, wire.HOP_MAX)
        if not self.can_read(packet):
            return self._refuse(packet, wire.NO_CHANNEL)
        if packet.frame_bytes > wire.MOST_FRAME_BYTES:
            return self._refuse(packet, wire.TOO_LARGE)
        return self._router.send(packet)

    def new_packet_id(self) -> int:
        """Give an id as the firmware does: ten bits count, the rest is random."""
        self._packet_id = (self._packet_id + 1) & 0x3FF
        return (self._packet_id | self._stream.getrandbits(22) << 10) or 1

    def power_off(self) -> None:
        """Lose power: queue, timers and all that is kept in RAM are gone."""
        if not self.powered:
            return
        self.powered = False
        self._mac.clear()
        self._router.clear()
        self._channel.power(self._mac.station, on=False)

    def power_on(self) -> None:
        """Boot: nothing is remembered but the configuration and the nodes."""
        if self.powered:
            return
        self.powered = True
        self.airtime.reboot()
        self._channel.power(self._mac.station, on=True)

    def reconfigure(
        self,
        *,
        preset: Preset | None = None,
        region: Region | None = None,
        tx_power_dbm: float | None = None,
        hop_limit: int | None = None,
        role: str | None = None,
        rebroadcast_mode: str | None = None,
    ) -> None:
        """Change settings; what is being received is lost with a new preset."""
        if region is not None:
            self.region = region
        if hop_limit is not None:
            self.hop_limit = hop_limit
        if role is not None or rebroadcast_mode is not None:
            self._set_role(role or self.role, rebroadcast_mode)
        if tx_power_dbm is not None:
            self._tx_power_dbm = tx_power_dbm
        self._channel.reconfigure(
            self._mac.station,
            preset=preset,
            tx_power_dbm=self._allowed_dbm(self._tx_power_dbm),
        )

    def silent_minutes(self) -> int:
        """Give what the firmware tells a client whose packet the duty cycle refuses."""
        return self.airtime.silent_minutes(self.region.duty_cycle_pct)

    def _allowed_dbm(self, wanted_dbm: float) -> float:
        limit_dbm = float(self.region.power_limit_dbm)
        if 0 < wanted_dbm < limit_dbm:
            limit_dbm = wanted_dbm
        return min(limit_dbm, self._chip_limit_dbm)

    def _set_role(self, role: str, rebroadcast_mode: str | None) -> None:
        self.role = role
        self.rebroadcast_mode = rebroadcast_mode or default_rebroadcast_mode(role)
        self._mac.role = role

    def _refuse(self, packet: Packet, error: int) -> int:
        self.on_ack(packet.id, error, None)
        return error

    # -- what the router asks and tells --------------------------------------------------------
    def can_read(self, packet: Packet) -> bool:
        """True if the node has the packet's key."""
        if isinstance(packet.key, frozenset):
            return self.number in packet.key
        return (packet.channel_hash, packet.key) in self.keys

    def refuses(self) -> bool:
        """True while the duty cycle is used up: packets are refused, queued ones still go."""
        limit_pct = self.region.duty_cycle_pct
        if limit_pct >= 100 or self.override_duty_cycle:
            return False
        return self.airtime.tx_utilisation_pct() > limit_pct

    def acknowledged(self, packet_id: int, error: int, packet: Packet | None) -> None:
        """Tell the client; `packet` is what the other node sent, None for the node itself."""
        self.on_ack(packet_id, error, None if packet is None else self._reception(packet))

    def note(self, packet: Packet) -> None:
        """Keep what a packet tells of the node that made it."""
        snr_db = packet.rx_snr_db or 0.0
        self.heard[packet.sender] = Heard(self.env.now, snr_db, packet.hops_away)

    def relaying(self, packet: Packet) -> None:
        """Let whoever runs the node's services write into a traceroute that it passes on."""
        self.on_relay(packet)

    def deliver(self, packet: Packet) -> None:
        """Hand a packet to the client."""
        self.on_packet(packet, self._reception(packet))

    def _reception(self, packet: Packet) -> Reception:
        return Reception(
            snr_db=packet.rx_snr_db or 0.0,
            rssi_dbm=packet.rx_rssi_dbm or 0,
            time_s=self.env.now,
            sender=packet.sender,
            hops=packet.hops_away,
        )

    # -- what the medium access tells ----------------------------------------------------------
    def frame_received(self, packet: Packet, signal: Signal) -> None:
        """Give a frame to the router, with how it was heard."""
        rx = packet.copy()
        rx.rx_snr_db = signal.reported_snr_db
        rx.rx_rssi_dbm = signal.reported_rssi_dbm
        rx.tx_after_s = 0.0
        rx.attempt = 0
        self._router.receive(rx)

    def frame_started(self, packet: Packet, transmission: Transmission) -> None:
        """Tell the observers what is on the air."""
        if not self.on_air:
            return
        kind = "own"
        if packet.sender != self.number:
            kind = "relay"
        elif packet.attempt:
            kind = "retry"
        elif packet.data.port == wire.ROUTING_APP:
            kind = "ack"
        for observe in self.on_air:
            observe(self.env.now, self, packet, transmission.airtime_us, kind)

    def queue_changed(self) -> None:
        """Tell the client how many places are left."""
        self.on_queue(QUEUE_SIZE - len(self._mac.queue))


def _ignore(*_: object) -> None:
    """Nobody listens."""
