"""Messages between a vehicle and its base over a Meshtastic channel: one payload of a packet each.

    byte 0   high four bits: version 1; low four: kind
    byte 1   stream: the low byte of the sender's boot (not in ACKS)

    from the vehicle
    DATA     back varint: how many numbers before this packet's the oldest one lies that the
             vehicle still keeps (what is older and did not arrive never will); then a packet of
             server.wire.codec, which carries its own check sum
    HELLO    boot u32, UTC of row 0 in ms u48, its source u8 (as TimeBase.source), profile hash
             8 bytes, then the VIN or nothing
    PROFILE  index u8, count u8, then that part of the profile that HELLO named

    from the base, to all
    ACKS     one entry a vehicle: node u32, stream u8, wants u8, next varint, seen u32.
             Every packet with a number below `next` is committed or given up; bit i of `seen`: so
             is number next + 1 + i. `wants` asks for what is missing.

Numbers are little endian. The vehicle is the mesh header's sender; a stream that is unknown at the
base, or whose packets fail their check, is asked for its HELLO.
"""

from server.wire.codec import varint

VERSION = 1
DATA = 1
HELLO = 2
PROFILE = 3
ACKS = 8

WANT_HELLO = 1
WANT_PROFILE = 2
WANT_KEY = 4

BROADCAST_BYTES = 231  # most that a radio takes on port 256: server/mesh and docs/mesh.md
DIRECT_BYTES = 219  # the same for a direct message, which is encrypted for its receiver alone
DATA_BYTES = 3  # of a DATA message before its packet, while `back` is below 128
MOST_BACK = 127
HASH_BYTES = 8
SEEN_BITS = 32
_NUMBERS = 1 << 32
_VIN_LENGTH = 17
_MOST_PARTS = 255


class AirError(ValueError):
    """The bytes are no message of this protocol."""


class Data:
    """A codec packet.

    Attributes:
        stream: 0-255.
        back: the packet's number less the oldest one that may still come.
        packet: bytes of the codec.
    """

    def __init__(self, stream: int, back: int, packet: bytes) -> None:
        self.stream = stream
        self.back = back
        self.packet = packet

    def to_bytes(self) -> bytes:
        """Give the payload."""
        out = bytearray((VERSION << 4 | DATA, self.stream))
        varint.put(out, self.back)
        return bytes(out) + self.packet


class Hello:
    """What a stream is: needed once to decode its packets.

    Attributes:
        boot: random, not 0, one for each start of the sender.
        utc_ms: of row 0.
        source: whose clock, as TimeBase.source.
        profile_hash: 8 bytes.
        vin: 17 characters, or empty.
    """

    def __init__(
        self, boot: int, utc_ms: int, source: int, profile_hash: bytes, vin: str = ""
    ) -> None:
        self.boot = boot
        self.utc_ms = utc_ms
        self.source = source
        self.profile_hash = profile_hash
        self.vin = vin

    @property
    def stream(self) -> int:
        """The stream's short name."""
        return self.boot & 255

    def to_bytes(self) -> bytes:
        """Give the payload."""
        return (
            bytes((VERSION << 4 | HELLO, self.stream))
            + self.boot.to_bytes(4, "little")
            + self.utc_ms.to_bytes(6, "little")
            + bytes((self.source,))
            + self.profile_hash
            + self.vin.encode()
        )


class ProfilePart:
    """A part of a profile that the base does not know.

    Attributes:
        stream: 0-255.
        index, count: which of how many parts.
        part: bytes.
    """

    def __init__(self, stream: int, index: int, count: int, part: bytes) -> None:
        self.stream = stream
        self.index = index
        self.count = count
        self.part = part

    def to_bytes(self) -> bytes:
        """Give the payload."""
        return bytes((VERSION << 4 | PROFILE, self.stream, self.index, self.count)) + self.part


class Ack:
    """What the base has of one vehicle's stream.

    Attributes:
        node: number of the vehicle's radio.
        stream: 0-255.
        wants: sum of WANT_HELLO, WANT_PROFILE, WANT_KEY.
        next: everything below is done with.
        seen: bit i: so is next + 1 + i.
    """

    def __init__(self, node: int, stream: int, wants: int, next: int, seen: int) -> None:
        self.node = node
        self.stream = stream
        self.wants = wants
        self.next = next
        self.seen = seen

    def has(self, seq: int) -> bool:
        """Whether this says that packet `seq` is done with."""
        ahead = seq - self.next
        return ahead < 0 or (0 < ahead <= SEEN_BITS and bool(self.seen >> (ahead - 1) & 1))


class Acks:
    """Acknowledgements for some vehicles."""

    def __init__(self, entries: "list[Ack]") -> None:
        self.entries = entries

    def to_bytes(self) -> bytes:
        """Give the payload."""
        out = bytearray((VERSION << 4 | ACKS,))
        for entry in self.entries:
            out += entry.node.to_bytes(4, "little")
            out += bytes((entry.stream, entry.wants))
            varint.put(out, entry.next)
            out += entry.seen.to_bytes(4, "little")
        return bytes(out)


def parts(boot: int, profile: bytes, limit_bytes: int) -> "list[ProfilePart]":
    """Cut a profile into messages of at most `limit_bytes`.

    Raises:
        AirError: it does not fit into 255 of them.
    """
    room = limit_bytes - 4
    count = (len(profile) + room - 1) // room
    if count > _MOST_PARTS:
        raise AirError(f"expected a profile of at most {_MOST_PARTS * room} bytes, found more")
    return [
        ProfilePart(boot & 255, index, count, profile[index * room : (index + 1) * room])
        for index in range(count)
    ]


def read(payload: bytes) -> "Data | Hello | ProfilePart | Acks":
    """Read a message.

    Raises:
        AirError: it is none, or of another version.
    """
    if len(payload) < 2:
        raise AirError(f"expected a message, found {len(payload)} bytes")
    if payload[0] >> 4 != VERSION:
        raise AirError(f"expected version {VERSION}, found {payload[0] >> 4}")
    kind = payload[0] & 15
    reader = varint.Reader(payload, 1 if kind == ACKS else 2)
    try:
        if kind == DATA:
            back = reader.take()
            return Data(payload[1], back, reader.take_bytes(len(payload) - reader.at))
        if kind == HELLO:
            return _hello(payload, reader)
        if kind == PROFILE:
            return _part(payload, reader)
        if kind == ACKS:
            return _acks(payload, reader)
    except AirError:
        raise
    except ValueError as error:
        raise AirError(f"kind {kind}: {error}") from error
    raise AirError(f"expected a known kind, found {kind}")


def _hello(payload: bytes, reader: varint.Reader) -> Hello:
    boot = int.from_bytes(reader.take_bytes(4), "little")
    utc_ms = int.from_bytes(reader.take_bytes(6), "little")
    source = reader.take_bytes(1)[0]
    profile_hash = reader.take_bytes(HASH_BYTES)
    vin = reader.take_bytes(len(payload) - reader.at)
    if boot == 0 or boot & 255 != payload[1]:
        raise AirError(f"expected a boot of stream {payload[1]}, found {boot}")
    if len(vin) not in (0, _VIN_LENGTH) or not all(32 < byte < 127 for byte in vin):
        raise AirError(f"expected a VIN or nothing, found {len(vin)} bytes")
    return Hello(boot, utc_ms, source, profile_hash, vin.decode())


def _part(payload: bytes, reader: varint.Reader) -> ProfilePart:
    index, count = reader.take_bytes(2)
    if index >= count:
        raise AirError(f"expected a part before {count}, found {index}")
    return ProfilePart(payload[1], index, count, reader.take_bytes(len(payload) - reader.at))


def _acks(payload: bytes, reader: varint.Reader) -> Acks:
    entries = []
    while reader.at < len(payload):
        node = int.from_bytes(reader.take_bytes(4), "little")
        stream, wants = reader.take_bytes(2)
        following = reader.take()
        if following >= _NUMBERS:
            raise AirError(f"expected a number below 2^32, found {following}")
        seen = int.from_bytes(reader.take_bytes(4), "little")
        entries.append(Ack(node, stream, wants, following, seen))
    if not entries:
        raise AirError("expected an entry, found none")
    return Acks(entries)
