"""A client's packets as they go onto the air, and those of the air as a client gets them.

Source: firmware, src/mesh/Router.cpp (perhapsEncode, perhapsDecode).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from sim.meshtastic import crypto
from sim.meshtastic.channels import CHANNELS
from sim.meshtastic.packet import (
    HEADER_BYTES,
    MOST_FRAME_BYTES,
    NO_CHANNEL,
    PKI_OVERHEAD_BYTES,
    TOO_LARGE,
    Packet,
)
from sim.meshtastic.protobufs import BROADCAST, mesh_pb2, portnums_pb2
from sim.meshtastic.services import truncate_position, write_route

if TYPE_CHECKING:
    from sim.meshtastic.radio import Radio

Error = mesh_pb2.Routing.Error
Port = portnums_pb2.PortNum

WANT_RESPONSE_BIT = 2  # of Data.bitfield; 1 allows MQTT
# Direct messages on these ports go by the channel's key even where the public key is known.
CHANNEL_PORTS = (
    Port.TRACEROUTE_APP,
    Port.NODEINFO_APP,
    Port.ROUTING_APP,
    Port.POSITION_APP,
)


class Refused(Exception):  # noqa: N818  what the firmware says, not a failure here
    """A packet cannot go onto the air.

    Attributes:
        error: number of the Routing error.
        is_told: the client gets a routing message about it, and not the queue status alone.
    """

    def __init__(self, error: int, *, is_told: bool = True) -> None:
        super().__init__(str(Error.Name(error)))
        self.error = error
        self.is_told = is_told


class Translation:
    """Between `MeshPacket` and the air, with the channels and keys of one radio."""

    def __init__(self, radio: Radio) -> None:
        self._radio = radio

    def to_air(self, packet: Any) -> Packet:
        """Return a packet as the node sends it; `packet` gets the channel that it goes by.

        Raises:
            Refused: too large, no such channel, no usable key, or a malformed position.
        """
        radio = self._radio
        if packet.to != BROADCAST and not packet.channel and not packet.pki_encrypted:
            known = radio.nodes.get(packet.to)
            packet.channel = 0 if known is None else known.channel
        decoded = mesh_pb2.Data()
        decoded.CopyFrom(packet.decoded)
        lora = radio.settings.config.lora
        decoded.bitfield |= lora.config_ok_to_mqtt | decoded.want_response << 1
        self._fit_position(decoded, packet.channel)
        payload = decoded.SerializeToString()
        hash_, key = self._key_for(packet, len(payload))
        return Packet(
            radio.number,
            packet.to,
            packet.id,
            payload,
            channel_hash=hash_,
            key=key,
            hop_limit=packet.hop_limit,
            hop_start=packet.hop_limit,
            want_ack=packet.want_ack,
            priority=packet.priority,
        )

    def _fit_position(self, decoded: Any, channel: int) -> None:
        """Give a position the precision of its channel."""
        if decoded.portnum != Port.POSITION_APP or not 0 <= channel < CHANNELS:
            return
        radio = self._radio
        try:
            position = mesh_pb2.Position.FromString(decoded.payload)
        except DecodeError as error:
            radio.counters["undecodable"] += 1
            raise Refused(Error.BAD_REQUEST, is_told=False) from error
        truncate_position(position, radio.settings.channels.position_precision(channel))
        decoded.payload = position.SerializeToString()

    def _key_for(self, packet: Any, payload_bytes: int) -> tuple[int, Any]:
        """Return the channel hash and the key with which a packet goes onto the air."""
        radio = self._radio
        if HEADER_BYTES + payload_bytes > MOST_FRAME_BYTES:
            raise Refused(TOO_LARGE)
        other_key = radio.nodes.public_key(packet.to)
        if self._wants_public_key(packet, other_key):
            if HEADER_BYTES + payload_bytes + PKI_OVERHEAD_BYTES > MOST_FRAME_BYTES:
                raise Refused(TOO_LARGE)
            if other_key is None:
                raise Refused(Error.PKI_SEND_FAIL_PUBLIC_KEY)
            if any(packet.public_key) and bytes(packet.public_key) != other_key:
                raise Refused(Error.PKI_FAILED)
            return 0, frozenset((radio.number, packet.to))
        if packet.pki_encrypted:
            raise Refused(Error.PKI_FAILED)
        channels, index = radio.settings.channels, packet.channel
        hash_ = channels.hash(index) if 0 <= index < CHANNELS else None
        if hash_ is None:
            raise Refused(NO_CHANNEL)
        return hash_, channels.key(index)

    def _wants_public_key(self, packet: Any, other_key: bytes | None) -> bool:
        if packet.to == BROADCAST or self._radio.settings.owner.is_licensed:
            return False
        if packet.decoded.portnum in CHANNEL_PORTS:
            return False
        return other_key is not None or packet.pki_encrypted

    def from_air(self, air: Packet) -> Any:
        """Return a packet as a client gets it: decoded, or the bytes on the air."""
        packet = mesh_pb2.MeshPacket(
            to=air.to,
            id=air.id,
            hop_limit=air.hop_limit,
            hop_start=air.hop_start,
            want_ack=air.want_ack,
            relay_node=air.relay_node,
            next_hop=air.next_hop,
            via_mqtt=air.via_mqtt,
        )
        setattr(packet, "from", air.sender)
        if not self._decode(air, packet):
            packet.channel = air.channel_hash
            packet.encrypted = crypto.encrypt_channel(
                _bytes(air.key), air.sender, air.id, air.payload
            )
        return packet

    def _decode(self, air: Packet, packet: Any) -> bool:
        """Write what is inside into `packet`; False if this radio cannot read it."""
        radio = self._radio
        direct = isinstance(air.key, frozenset)
        index = None
        if not direct:
            index = radio.settings.channels.find(air.channel_hash, _bytes(air.key))
        if index is None and not (direct and radio.node.can_read(air)):
            return False
        try:
            packet.decoded.ParseFromString(air.payload)
        except DecodeError:  # the firmware takes it for a packet of another key
            radio.counters["undecodable"] += 1
            packet.ClearField("decoded")
            return False
        if packet.decoded.bitfield & WANT_RESPONSE_BIT:
            packet.decoded.want_response = True
        if index is None:
            packet.pki_encrypted = True
            packet.public_key = radio.nodes.public_key(air.sender) or b""
        else:
            packet.channel = index
        return True

    def write_route(self, air: Packet) -> None:
        """Write into a traceroute that it is passed on here; `air` has one hop less already."""
        packet = self.from_air(air)
        packet.rx_snr = air.rx_snr_db or 0.0
        packet.hop_limit += 1  # as it came
        if packet.WhichOneof("payload_variant") == "decoded":
            write_route(packet, self._radio.number)
            air.rewrite(packet.decoded.SerializeToString())


def _bytes(key: Any) -> bytes:
    """Return a channel's key; other makers of packets may use any token for theirs."""
    return key if isinstance(key, bytes) else crypto.token_key(key)
