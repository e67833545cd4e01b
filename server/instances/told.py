"""What gateways tell each other of a turn, and messages of them for the bus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from server.instances.in_order import Key


class Told(msgspec.Struct, array_like=True, gc=False):
    """One turn.

    Attributes:
        device: whose.
        boot: of the device.
        turn: its number.
        stored_ns: instant of the commit, by the clock of the gateway that committed.
        vin: vehicle, where it is known.
        rows: number of the first reading, and the readings as the hot log has them; None: to be
            read from the database, as all turns before it that did not come.
        is_old: committed before anybody listened here; only for rules.
    """

    device: str
    boot: int
    turn: int
    stored_ns: int = 0
    vin: str = ""
    rows: Sequence[tuple[int, bytes]] | None = None
    is_old: bool = False

    @property
    def key(self) -> Key:
        """Device and boot."""
        return self.device, self.boot

    @property
    def size_bytes(self) -> int:
        """How long it is on the bus, about."""
        size_bytes = len(self.device) + 64
        for _, body in self.rows or ():
            size_bytes += len(body) + 16
        return size_bytes

    def reference(self) -> Told:
        """Give what says that it is there."""
        return Told(self.device, self.boot, self.turn)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Told]).decode


def packed(turns: Iterable[Told], limit_bytes: int, with_rows: bool) -> list[bytes]:
    """Give messages of at most so many bytes; what does not fit with its rows goes without."""
    messages: list[bytes] = []
    taken: list[Told] = []
    size_bytes = 8
    for turn in turns:
        told_bytes = turn.size_bytes
        if turn.rows is not None and (not with_rows or told_bytes + 8 > limit_bytes):
            turn = turn.reference()
            told_bytes = turn.size_bytes
        if size_bytes + told_bytes > limit_bytes and taken:
            messages.append(_encode(taken))
            taken, size_bytes = [], 8
        taken.append(turn)
        size_bytes += told_bytes
    if taken:
        messages.append(_encode(taken))
    return messages


def unpacked(message: bytes) -> list[Told]:
    """Give the turns of a message.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _decode(message)
