"""A vehicle at the level of air messages: rows, packets of the real encoder, HELLO, PROFILE."""

from __future__ import annotations

from server.wire import air
from server.wire.codec.decoder import peek
from tests.server.ingest.logger import START_MS, Logger
from tests.server.mesh.fake_radio import CAR


class Car:
    """Packs rows and keeps packets until the base has them.

    Attributes:
        kept: packets by number.
        acks: what the base has said, newest last.
    """

    def __init__(self, boot: int = 0x1234_0507, node: int = CAR) -> None:
        self.node = node
        self.logger = Logger(boot)
        self.stream = boot & 255
        self.kept: dict[int, bytes] = {}
        self.acks: list[air.Ack] = []

    def drive(self, rows: int) -> list[int]:
        """Take rows; give the numbers of the packets that they fill."""
        made = {peek(packet)[0]: packet for packet in self.logger.drive(rows)}
        self.kept.update(made)
        return list(made)

    def data(self, seq: int, *, back: int | None = None) -> bytes:
        """Give the message of a packet."""
        least = min(self.kept, default=seq)
        return air.Data(
            self.stream, seq - least if back is None else back, self.kept[seq]
        ).to_bytes()

    def hello(self, *, vin: str = "", utc_ms: int = START_MS) -> bytes:
        """Say what the stream is."""
        profile = self.logger.profile
        return air.Hello(self.logger.boot, utc_ms, 1, profile.hash, vin).to_bytes()

    def profile(self, limit: int = air.BROADCAST_BYTES) -> list[bytes]:
        """Give the parts of the profile."""
        whole = self.logger.profile.to_bytes()
        return [part.to_bytes() for part in air.parts(self.logger.boot, whole, limit)]

    def hear(self, payload: bytes) -> air.Ack | None:
        """Take a message of the base: let go of what it has."""
        message = air.read(payload)
        assert isinstance(message, air.Acks)
        for entry in message.entries:
            if (entry.node, entry.stream) == (self.node, self.stream):
                self.acks.append(entry)
                for seq in [seq for seq in self.kept if entry.has(seq)]:
                    self.logger.encoder.acknowledged(seq)
                    del self.kept[seq]
                return entry
        return None
