"""What the vehicles' radios sent, and what became of it: read from the record of the air.

The packets are unpacked here with the wire codec's own decoder, so the figures rest on what was on
the air and in the store, and not on the word of a gateway. A profile that a vehicle names by its
hash is one that the package carries, or one that a vehicle of the record has sent in parts.

* bytes sent: whole LoRa frames with their headers, of all that a vehicle's radio sent as its own:
  data, hellos, profiles, its radio's own messages, and each repetition. Relayed frames are not its
  own.
* plain record: as in `rig.measures.uplinks`, of each data packet that was on the air, once.
* A window takes the packets that were first sent in it, and all frames whose start lies in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rig.measures.arrays import LOCAL, Readings
from rig.measures.uplinks import Packet, by_packet, count_missing, counted, inside
from rig.measures.windows import Window
from rig.record.manifest import MeshInfo
from rig.record.reader import RecordReader
from rig.record.streams import Transmission
from server.ingest.shipped_profiles import shipped_profiles
from server.wire import air
from server.wire.codec.decoder import Decoder, PacketError
from server.wire.codec.profile import Profile
from server.wire.pbuf import WireError, fields_of

PRIVATE_PORT = 256
RELAY = "relay"
_PORT_FIELD, _PAYLOAD_FIELD = 1, 2  # of Meshtastic's `Data`

Key = tuple[int, int, int]
"""A packet's device, boot and number."""


@dataclass(slots=True)
class _Traffic:
    """What was on the air for the base station, and from it.

    Attributes:
        packets: that could be unpacked.
        sent_ns: when each data packet was first on the air.
        acknowledged: that the base station said are done with.
        given_up: that the vehicle said will never come.
    """

    packets: dict[Key, Packet] = field(default_factory=dict)
    sent_ns: dict[Key, int] = field(default_factory=dict)
    acknowledged: set[Key] = field(default_factory=set)
    given_up: dict[tuple[int, int], int] = field(default_factory=dict)


class Air:
    """The radios of one record; read when a figure is first asked for."""

    def __init__(self, record: RecordReader) -> None:
        self._record = record
        mesh = record.manifest.mesh
        self._mesh = mesh if mesh is not None else MeshInfo({}, 0, 1.0)
        numbers = {name: n for n, name in enumerate(record.manifest.devices, LOCAL + 1)}
        self._device_of = {node: numbers[name] for name, node in self._mesh.nodes.items()}

    def figure(self, name: str, window: Window, stored: Readings) -> tuple[float | None, str]:
        """Return one of `AIR_MEASURES` with its unit."""
        if name == "delivery":
            return self._delivery_pct(window, stored), "%"
        if name == "airtime":
            return self._airtime_pct(window), "%"
        if name == "channel_utilisation":
            return self._utilisation_pct(window), "%"
        if name == "collisions":
            return self._collisions_pct(window), "%"
        packets = [p for p in self._traffic.packets.values() if inside(window, p.sent_ns)]
        if name == "suppression_ratio":
            suppressed = sum(packet.suppressed for packet in packets)
            taken = suppressed + sum(packet.transmitted for packet in packets)
            return (suppressed / taken if taken else None), ""
        sent_bytes = sum(row.frame_bytes for row in self._own if inside(window, row.time_ns))
        plain_bytes = sum(packet.plain_bytes for packet in packets)
        return (plain_bytes / sent_bytes if sent_bytes and plain_bytes else None), "x"

    def lost(self, stored: Readings, published: Readings) -> int | None:
        """Return the readings in acknowledged packets that are not in the base station's store.

        None where nothing was ever acknowledged. A packet that could not be unpacked here and was
        acknowledged counts as one reading.
        """
        traffic = self._traffic
        if not traffic.acknowledged:
            return None
        kept = by_packet(stored)
        due: dict[Key, int] = {}
        for key in traffic.acknowledged & traffic.sent_ns.keys():
            device, boot, number = key
            is_given_up = number < traffic.given_up.get((device, boot), 0) and not kept.get(key)
            if not is_given_up:
                packet = traffic.packets.get(key)
                due[key] = 1 if packet is None else packet.readings
        return count_missing(due, stored, published)

    # -- figures -----------------------------------------------------------------------------------
    def _delivery_pct(self, window: Window, stored: Readings) -> float | None:
        sent = [key for key, sent_ns in self._traffic.sent_ns.items() if inside(window, sent_ns)]
        kept = by_packet(stored)
        return 100.0 * sum(key in kept for key in sent) / len(sent) if sent else None

    def _airtime_pct(self, window: Window) -> float | None:
        if not self._record.air or window.duration_s <= 0:
            return None
        sent_us = dict.fromkeys(self._device_of, 0)
        for row in self._own:
            if inside(window, row.time_ns):
                sent_us[row.node] += row.airtime_us
        return 100.0 * max(sent_us.values(), default=0) / 1e6 / window.duration_s

    def _utilisation_pct(self, window: Window) -> float | None:
        if not self._record.air or window.duration_s <= 0:
            return None
        busy_ns = free_ns = 0
        for row in self._record.air:  # in order of their starts
            end_ns = row.time_ns + row.airtime_us * 1000
            start_ns = max(row.time_ns, free_ns)
            free_ns = max(free_ns, end_ns)
            busy_ns += sum(
                max(0, min(end_ns, last) - max(start_ns, first)) for first, last in window.spans
            )
        return 100.0 * busy_ns / 1e9 / window.duration_s

    def _collisions_pct(self, window: Window) -> float | None:
        outcomes = [row.outcome for row in self._record.heard if inside(window, row.time_ns)]
        read, collided = outcomes.count("ok"), outcomes.count("collision")
        return 100.0 * collided / (read + collided) if read + collided else None

    # -- the packets -------------------------------------------------------------------------------
    @cached_property
    def _own(self) -> Sequence[Transmission]:
        """What the vehicles' radios sent of their own."""
        return [r for r in self._record.air if r.node in self._device_of and r.kind != RELAY]

    @cached_property
    def _traffic(self) -> _Traffic:
        traffic = _Traffic()
        reader = _Reader(self._device_of, traffic, self._profiles())
        for row, message in self._messages():
            if row.node in self._device_of:
                reader.from_vehicle(row, message)
            elif row.node == self._mesh.base:
                reader.from_base(message)
        return traffic

    def _messages(self) -> Iterator[tuple[Transmission, _Message]]:
        for row in self._record.air:
            if row.text and row.kind != RELAY:
                message = _message_of(row.data)
                if message is not None:
                    yield row, message

    def _profiles(self) -> Mapping[bytes, Profile]:
        """Return every profile that is known or was sent, by its hash."""
        profiles = dict(shipped_profiles())
        parts: dict[tuple[int, int], dict[int, bytes]] = defaultdict(dict)
        for row, message in self._messages():
            if isinstance(message, air.ProfilePart):
                known = parts[row.node, message.stream]
                known[message.index] = message.part
                if len(known) == message.count:
                    data = b"".join(known[index] for index in range(message.count))
                    try:
                        profile = Profile.from_bytes(data)
                    except ValueError:
                        continue
                    profiles[profile.hash] = profile
        return profiles


_Message = air.Data | air.Hello | air.ProfilePart | air.Acks


class _Reader:
    """Follows the streams of all vehicles in the order of time."""

    def __init__(
        self, device_of: Mapping[int, int], traffic: _Traffic, profiles: Mapping[bytes, Profile]
    ) -> None:
        self._device_of = device_of
        self._traffic = traffic
        self._profiles = profiles
        self._boots: dict[tuple[int, int], int] = {}  # (node, stream) -> boot
        self._decoders: dict[tuple[int, int], tuple[Profile, Decoder]] = {}
        self._early: dict[tuple[int, int], list[tuple[int, air.Data]]] = defaultdict(list)

    def from_vehicle(self, row: Transmission, message: _Message) -> None:
        """Take what a vehicle sent as its own."""
        if isinstance(message, air.Hello):
            place = row.node, message.stream
            profile = self._profiles.get(message.profile_hash)
            if self._boots.get(place) != message.boot and profile is not None:
                self._boots[place] = message.boot
                self._decoders[place] = profile, Decoder(profile, message.boot)
                for time_ns, data in self._early.pop(place, []):
                    self._data(row.node, time_ns, data)
        elif isinstance(message, air.Data):
            if (row.node, message.stream) in self._boots:
                self._data(row.node, row.time_ns, message)
            else:
                self._early[row.node, message.stream].append((row.time_ns, message))

    def _data(self, node: int, time_ns: int, data: air.Data) -> None:
        profile, decoder = self._decoders[node, data.stream]
        try:
            packet = decoder.decode(data.packet)
        except PacketError:
            return
        decoder.commit(packet)
        boot = self._boots[node, data.stream]
        key = self._device_of[node], boot, packet.seq
        traffic = self._traffic
        if key not in traffic.packets:
            traffic.packets[key] = counted(time_ns, profile, packet)
            traffic.sent_ns[key] = time_ns
        oldest = packet.seq - data.back
        traffic.given_up[key[:2]] = max(traffic.given_up.get(key[:2], 0), oldest)

    def from_base(self, message: _Message) -> None:
        """Take what the base station sent."""
        if not isinstance(message, air.Acks):
            return
        for entry in message.entries:
            boot = self._boots.get((entry.node, entry.stream))
            device = self._device_of.get(entry.node)
            if boot is None or device is None:
                continue
            self._traffic.acknowledged.update(
                key
                for key in self._traffic.sent_ns
                if key[:2] == (device, boot) and entry.has(key[2])
            )


def _message_of(data: bytes) -> _Message | None:
    """Return the message of this protocol in a packet; None where it is another's."""
    port, payload = 0, b""
    try:
        for number, _, value in fields_of(data):
            if number == _PORT_FIELD:
                port = value
            elif number == _PAYLOAD_FIELD:
                payload = value
        return air.read(bytes(payload)) if port == PRIVATE_PORT else None
    except (WireError, air.AirError):
        return None
