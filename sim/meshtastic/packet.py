"""A packet of the mesh: the header that is sent in clear, and the `Data` message inside.

Sources: firmware src/mesh/RadioInterface.h (PacketHeader, 16 bytes), meshtastic/mesh.proto (Data,
Routing), MeshPacketQueue.cpp (fixPriority).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

BROADCAST = 0xFFFFFFFF
HEADER_BYTES = 16
MOST_FRAME_BYTES = 255
PKI_OVERHEAD_BYTES = 12
HOP_MAX = 7
NO_NEXT_HOP = 0

# Routing.Error
NONE = 0
NO_ROUTE = 1
GOT_NAK = 2
TIMEOUT = 3
NO_INTERFACE = 4
MAX_RETRANSMIT = 5
NO_CHANNEL = 6
TOO_LARGE = 7
NO_RESPONSE = 8
DUTY_CYCLE_LIMIT = 9
# ErrorCode of the firmware's own (src/mesh/MeshTypes.h); `res` of a queue status may be one.
ERRNO_UNKNOWN = 32
ERRNO_DISABLED = 34

# MeshPacket.Priority
UNSET = 0
BACKGROUND = 10
DEFAULT = 64
RELIABLE = 70
RESPONSE = 80
HIGH = 100
ACK = 120

# PortNum
TEXT_MESSAGE_APP = 1
ROUTING_APP = 5
ADMIN_APP = 6
TEXT_MESSAGE_COMPRESSED_APP = 7
TRACEROUTE_APP = 70
PRIVATE_APP = 256
# Ports that a node with rebroadcast mode CORE_PORTNUMS_ONLY (the default of ROUTER) relays.
CORE_PORTS = frozenset((1, 3, 4, 5, 6, 7, 8, 11, 12, 35, 65, 67, 70))

_VARINT, _EIGHT_BYTES, _COUNTED, _FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Data:
    """What the mesh itself needs to know of a `Data` message."""

    port: int = 0
    payload: bytes = b""
    want_response: bool = False
    request_id: int = 0
    reply_id: int = 0

    @property
    def routing_error(self) -> int | None:
        """Give the error of a Routing message (0 acknowledges), None if it is something else."""
        if self.port != ROUTING_APP:
            return None
        error = _fields(self.payload).get(3, 0)
        return error if isinstance(error, int) else 0


UNREADABLE = Data()


def read_data(encoded: bytes) -> Data:
    """Read a `Data` message; what is malformed reads as far as it goes."""
    fields = _fields(encoded)

    def number(field: int) -> int:
        value = fields.get(field, 0)
        return value if isinstance(value, int) else 0

    payload = fields.get(2, b"")
    return Data(
        port=number(1),
        payload=payload if isinstance(payload, bytes) else b"",
        want_response=bool(number(3)),
        request_id=number(6),
        reply_id=number(7),
    )


def routing_data(request_id: int, error: int) -> bytes:
    """Write the `Data` of an acknowledgement (error 0) or refusal, with the firmware's bitfield."""
    routing = b"\x18" + _varint(error)
    head = b"\x08" + _varint(ROUTING_APP) + b"\x12" + _varint(len(routing)) + routing
    return head + b"\x35" + request_id.to_bytes(4, "little") + b"\x48\x00"


def private_data(payload: bytes, port: int = PRIVATE_APP) -> bytes:
    """Write the `Data` of a payload on a port, with the firmware's bitfield."""
    return b"\x08" + _varint(port) + b"\x12" + _varint(len(payload)) + payload + b"\x48\x00"


class Packet:
    """One packet, on its way or in a queue.

    Attributes:
        sender, to, id: node numbers and packet id.
        channel_hash: of the header; 0 for a packet encrypted to one node's public key.
        hop_limit, hop_start: hops left, and hops at the start.
        want_ack: in the header; never set on a broadcast in the air.
        priority: of the sender's own queue; it does not travel.
        payload: encoded `Data`, in clear.
        key: who can read it. A node reads packets whose (channel_hash, key) is among its `keys`; a
            frozenset of two node numbers stands for a public-key message between them.
        relay_node, next_hop: last byte of the node that sent this copy, and of the wanted next one.
        rx_snr_db, rx_rssi_dbm: how a relay heard it, None on a node's own packets.
        tx_after_s: earliest instant in the late window of ROUTER_LATE, 0 for none.
        attempt: 0, and one more with each retransmission.
    """

    __slots__ = (
        "_data",
        "attempt",
        "channel_hash",
        "hop_limit",
        "hop_start",
        "id",
        "key",
        "next_hop",
        "payload",
        "priority",
        "relay_node",
        "rx_rssi_dbm",
        "rx_snr_db",
        "sender",
        "to",
        "tx_after_s",
        "via_mqtt",
        "want_ack",
    )

    def __init__(
        self,
        sender: int,
        to: int,
        id: int,
        payload: bytes,
        *,
        channel_hash: int = 0,
        key: Hashable = None,
        hop_limit: int = 3,
        hop_start: int = 0,
        want_ack: bool = False,
        priority: int = UNSET,
        relay_node: int = 0,
        next_hop: int = NO_NEXT_HOP,
        via_mqtt: bool = False,
    ) -> None:
        self.sender = sender
        self.to = to
        self.id = id
        self.payload = payload
        self.channel_hash = channel_hash
        self.key = key
        self.hop_limit = hop_limit
        self.hop_start = hop_start
        self.want_ack = want_ack
        self.priority = priority
        self.relay_node = relay_node
        self.next_hop = next_hop
        self.via_mqtt = via_mqtt
        self.rx_snr_db: float | None = None
        self.rx_rssi_dbm: int | None = None
        self.tx_after_s = 0.0
        self.attempt = 0
        self._data: Data | None = None

    def __repr__(self) -> str:
        return (
            f"Packet({self.sender:#x} -> {self.to:#x}, id {self.id:#x}, "
            f"hops {self.hop_limit}/{self.hop_start}, {self.frame_bytes} bytes)"
        )

    @property
    def frame_bytes(self) -> int:
        """Bytes on the air, with the header."""
        overhead = PKI_OVERHEAD_BYTES if isinstance(self.key, frozenset) else 0
        return HEADER_BYTES + len(self.payload) + overhead

    @property
    def broadcast(self) -> bool:
        """True if it is for all."""
        return self.to == BROADCAST

    @property
    def hops_away(self) -> int | None:
        """Give the hops it has made, None if its sender did not say where it started."""
        if self.hop_start < self.hop_limit or not self.hop_start:
            return None
        return self.hop_start - self.hop_limit

    @property
    def data(self) -> Data:
        """Give what is inside, for those who can read it."""
        if self._data is None:
            self._data = read_data(self.payload)
        return self._data

    def rewrite(self, payload: bytes) -> None:
        """Put another `Data` in."""
        self.payload = payload
        self._data = None

    def copy(self) -> Packet:
        """Give a packet that can be changed by itself."""
        other = Packet.__new__(Packet)
        for name in Packet.__slots__:
            setattr(other, name, getattr(self, name))
        return other


def default_priority(want_ack: bool, data: Data) -> int:
    """Give the priority of a packet that came without one; `data` is UNREADABLE to strangers."""
    if data.port == ROUTING_APP:
        return ACK
    if data.port in (TEXT_MESSAGE_APP, ADMIN_APP):
        return HIGH
    if data.request_id:
        return RESPONSE
    return RELIABLE if want_ack or data.want_response else DEFAULT


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(encoded: bytes) -> dict[int, int | bytes]:
    """Fields by number, the last of each; stops at the first that is malformed."""
    fields: dict[int, int | bytes] = {}
    at = 0
    end = len(encoded)
    while at < end:
        tag, at = _read_varint(encoded, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(encoded, at)
            fields[tag >> 3] = value
            continue
        if kind == _COUNTED:
            size, at = _read_varint(encoded, at)
        elif kind == _FOUR_BYTES:
            size = 4
        elif kind == _EIGHT_BYTES:
            size = 8
        else:
            break
        piece = encoded[at : at + size]
        if len(piece) < size:
            break
        at += size
        fields[tag >> 3] = piece if kind == _COUNTED else int.from_bytes(piece, "little")
    return fields


def _read_varint(encoded: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(encoded):
        byte = encoded[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value & 0xFFFFFFFFFFFFFFFF, at
