"""Packets in, rows out. A packet that is not of this boot and profile gives no row."""

from server.wire.codec import varint
from server.wire.codec.checks import seed
from server.wire.codec.coder import CodeReader
from server.wire.codec.model import Model
from server.wire.codec.packet import (
    CONTINUED,
    CRC_BYTES,
    KINDS,
    PLAIN,
    BadPacket,
    Header,
    NeedKey,
    PacketError,
    check_of,
    folded,
    most_rows,
    read_plain_row,
)
from server.wire.codec.profile import Profile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["BadPacket", "Decoded", "Decoder", "NeedKey", "PacketError", "peek"]

RING = 32
READINGS_AT_A_TIME = 64


class Decoded:
    """What a packet says.

    Attributes:
        seq: number of the packet.
        kind: "K" stands alone, "D" continues from another.
        first_row: number of the first row; the others follow without gaps.
        rows: for each row the steps of the signals that are due in it, None where missing.
        transmitted: readings that cost more than "as predicted".
        suppressed: readings that were as predicted.
    """

    def __init__(
        self,
        seq: int,
        kind: str,
        first_row: int,
        rows: "list[list[int | None]]",
        transmitted: int,
        suppressed: int,
        state: "bytes | None",
    ) -> None:
        self.seq = seq
        self.kind = kind
        self.first_row = first_row
        self.rows = rows
        self.transmitted = transmitted
        self.suppressed = suppressed
        self.state = state  # None: nothing can continue from it


def peek(packet: bytes) -> "tuple[int, str]":
    """Give number and kind of a packet without decoding it, and without checking it.

    Raises:
        BadPacket: it is no packet.
    """
    header = Header(packet)
    return header.seq, KINDS[header.kind]


class Decoder:
    """Unpacks the packets of one boot, in any order.

    Args:
        profile: the device's profile.
        boot: the number of the device's start.
    """

    def __init__(self, profile: Profile, boot: int) -> None:
        self._profile = profile
        self._boot = boot
        self._seed = seed(boot, profile.hash)
        self._steps = [2 * signal.bound + 1 for signal in profile.signals]
        self._bounded = max(self._steps) > 1
        self._idle: list[Model] = []  # to be used again: making one takes time
        self._states: dict[int, tuple[int, bytes]] = {}  # seq -> last row, state

    def decode(self, packet: bytes) -> Decoded:
        """Decode a packet; nothing is kept until `commit`.

        Raises:
            NeedKey: it continues from a packet that was never committed here.
            BadPacket: it was damaged, or is of another boot or profile.
        """
        steps = self.steps(packet)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                decoded: Decoded = end.value
                return decoded

    def steps(self, packet: bytes) -> "Generator[None, None, Decoded]":
        """Decode like `decode`, and yield every few rows, so that others get their turn."""
        header = Header(packet)
        first_row, state = self._start(header)
        code = packet[header.end : len(packet) - CRC_BYTES]
        if header.kind == PLAIN:
            decoded = self._plain(header, code)
        else:
            reader = CodeReader(code)
            model = self._idle.pop() if self._idle else Model(self._profile)
            model.reset()
            if state is not None:
                model.restore(state)
                if header.gap:
                    model.age()
            at_a_time = max(1, READINGS_AT_A_TIME // len(self._profile.signals))
            rows: list[list[int | None]] = []
            for number in range(first_row, first_row + header.rows):
                rows.append(model.code_row(reader, self._profile.due(number), None))
                if reader.is_over():
                    raise BadPacket("the code ends too early")
                if len(rows) % at_a_time == 0:
                    yield
            if not reader.is_whole():
                raise BadPacket("the code does not end where the packet ends")
            sent = model.transmitted
            decoded = Decoded(
                header.seq,
                KINDS[header.kind],
                first_row,
                rows,
                sent,
                model.readings - sent,
                model.state(),
            )
            self._idle.append(model)
        fold = first_row
        for row in decoded.rows:
            fold = folded(fold, row)
        crc = check_of(packet[: len(packet) - CRC_BYTES], self._seed, fold, decoded.rows[-1])
        if crc != packet[-2] << 8 | packet[-1]:
            raise BadPacket("the check sum is wrong: damaged, or of another boot or profile")
        if self._bounded:
            self._scale(decoded)
        return decoded

    def commit(self, decoded: Decoded) -> None:
        """Let later packets continue from this one."""
        states = self._states
        if decoded.state is not None:
            states[decoded.seq] = (decoded.first_row + len(decoded.rows) - 1, decoded.state)
            while len(states) > RING:
                del states[min(states)]

    def state_bytes(self) -> bytes:
        """Give the end states of the last committed packets, for `restore`."""
        out = bytearray()
        for seq in sorted(self._states):
            last_row, state = self._states[seq]
            varint.put(out, seq)
            varint.put(out, last_row)
            varint.put(out, len(state))
            out.extend(state)
        return bytes(out)

    @staticmethod
    def restore(profile: Profile, boot: int, state_bytes: bytes) -> "Decoder":
        """Make a decoder that goes on from `state_bytes`.

        Raises:
            ValueError: they are no states.
        """
        decoder = Decoder(profile, boot)
        reader = varint.Reader(state_bytes)
        while reader.at < len(state_bytes):
            seq, last_row, length = reader.take(), reader.take(), reader.take()
            end = reader.at + length
            if end > len(state_bytes):
                raise ValueError("the bytes end within a state")
            decoder._states[seq] = (last_row, bytes(state_bytes[reader.at : end]))
            reader.at = end
        return decoder

    def _start(self, header: Header) -> "tuple[int, bytes | None]":
        most = most_rows(len(self._profile.signals))
        if header.rows > most:
            raise BadPacket(f"{header.rows} rows; a packet of this profile has at most {most}")
        if header.kind != CONTINUED:
            return header.first_row, None
        known = self._states.get(header.reference)
        if known is None:
            raise NeedKey(header.seq, header.reference)
        return known[0] + 1 + header.gap, known[1]

    def _plain(self, header: Header, code: bytes) -> Decoded:
        if header.rows != 1:
            raise BadPacket(f"a plain packet has one row; found {header.rows}")
        due = self._profile.due(header.first_row)
        try:
            row = read_plain_row(code, len(due))
        except ValueError:
            raise BadPacket("a plain packet that does not hold one row") from None
        sent = len([value for value in row if value is not None])
        return Decoded(header.seq, "K", header.first_row, [row], sent, 0, None)

    def _scale(self, decoded: Decoded) -> None:
        steps = self._steps
        for offset in range(len(decoded.rows)):
            due = self._profile.due(decoded.first_row + offset)
            row = decoded.rows[offset]
            for place in range(len(due)):
                value = row[place]
                if value is not None:
                    row[place] = value * steps[due[place]]
