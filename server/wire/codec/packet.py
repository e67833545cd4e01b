"""The frame of a packet: header, code, CRC. docs/codec.md describes it byte by byte.

Byte 0: two bits version, two bits kind, four low bits of the number. Then varints: the rest of
the number; K and plain: the first row; D: how many packets back the reference lies, and how many
rows lie between (kind 3: one, and none); all: the rows less one. Then the code, then CRC-16 over
all of it and the rows.
"""

from server.wire.codec import varint
from server.wire.codec.checks import crc16

VERSION = 1
STANDS_ALONE = 0
CONTINUED = 1
PLAIN = 2
_FOLLOWS = 3  # on the wire: continues from the packet just before, without a gap
KINDS = "KDK"
CRC_BYTES = 2
SHORTEST = 5
MOST_READINGS = 65535  # of a packet: the gateway numbers them in 16 bits


class PacketError(Exception):
    """A packet cannot be decoded."""


class BadPacket(PacketError):  # noqa: N818 - the name is the interface's
    """The bytes are not a packet of this boot and profile, or were damaged.

    Attributes:
        reason: what is wrong, for people.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NeedKey(PacketError):  # noqa: N818 - the name is the interface's
    """The packet continues from one that is not known here.

    Attributes:
        seq: number of the packet that was refused.
        reference: number of the packet that is missing.
    """

    def __init__(self, seq: int, reference: int) -> None:
        super().__init__(f"packet {seq} continues from {reference}, which is not known")
        self.seq = seq
        self.reference = reference


class Header:
    """What stands before the code.

    Attributes:
        kind: STANDS_ALONE, CONTINUED or PLAIN.
        seq: number of the packet.
        reference: D: number of the packet that it continues from.
        gap: D: rows between that one's last and this one's first.
        first_row: K: number of the first row.
        rows: how many there are.
        end: where the code begins.
    """

    def __init__(self, packet: bytes) -> None:
        if len(packet) < SHORTEST:
            raise BadPacket(f"{len(packet)} bytes; a packet has at least {SHORTEST}")
        first = packet[0]
        if first >> 6 != VERSION:
            raise BadPacket(f"version {first >> 6}; version {VERSION} expected")
        kind = first >> 4 & 3
        self.kind = CONTINUED if kind == _FOLLOWS else kind
        reader = varint.Reader(packet[: len(packet) - CRC_BYTES], 1)
        try:
            self.seq = reader.take() << 4 | first & 15
            self.reference = self.gap = self.first_row = 0
            if kind == _FOLLOWS:
                self.reference = self.seq - 1
            elif kind == CONTINUED:
                self.reference = self.seq - reader.take()
                self.gap = reader.take()
            else:
                self.first_row = reader.take()
            self.rows = reader.take() + 1
        except ValueError:
            raise BadPacket("the header does not end within the packet") from None
        self.end = reader.at


def most_rows(signals: int) -> int:
    """Give the most rows of a packet of so many signals."""
    return MOST_READINGS // signals


def header(kind: int, seq: int, back: int, gap: int, first_row: int, rows: int) -> bytearray:
    """Give a header's bytes."""
    follows = kind == CONTINUED and back == 1 and gap == 0
    out = bytearray([VERSION << 6 | (_FOLLOWS if follows else kind) << 4 | seq & 15])
    varint.put(out, seq >> 4)
    if follows:
        pass  # nothing more to say
    elif kind == CONTINUED:
        varint.put(out, back)
        varint.put(out, gap)
    else:
        varint.put(out, first_row)
    varint.put(out, rows - 1)
    return out


def folded(fold: int, row: "list[int | None]") -> int:
    """Go on with a number of 24 bits that tells whether all rows are as they were."""
    for value in row:
        fold = (fold * 33 ^ (0x5A5A5A if value is None else value)) & 0xFFFFFF
    return fold


def check_of(packet: "bytes | bytearray", seed: int, fold: int, last: "list[int | None]") -> int:
    """Give the CRC of a packet: over its bytes, the fold of all rows, and the last row."""
    crc = crc16(packet, seed)
    crc = crc16((fold >> 16, fold >> 8 & 255, fold & 255), crc)
    return crc16(plain_row(last), crc)


def plain_row(row: "list[int | None]") -> bytearray:
    """Give a row as plain varints: what the check sum covers, and the code of plain packets."""
    out = bytearray()
    for value in row:
        if value is None:
            out.append(0)
        elif value >= 0:
            varint.put(out, 2 * value + 1)
        else:
            varint.put(out, -2 * value)
    return out


def read_plain_row(data: bytes, count: int) -> "list[int | None]":
    """Read what `plain_row` gave, all of `data`.

    Raises:
        ValueError: it is something else.
    """
    reader = varint.Reader(data)
    row: list[int | None] = []
    for _ in range(count):
        value = reader.take()
        if value == 0:
            row.append(None)
        else:
            row.append(value >> 1 if value & 1 else -(value >> 1))
    if reader.at != len(data):
        raise ValueError("bytes after the row")
    return row


def check_row(due: "list[int]", values: "list[int | None]") -> None:
    """Raise `ValueError` unless there is a value for each signal that is due."""
    if len(values) != len(due):
        raise ValueError(
            f"a row has one value for each signal that is due in it: {len(due)}; "
            f"found {len(values)}"
        )
