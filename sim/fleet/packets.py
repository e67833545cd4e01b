"""Models: sampled drives as packets of the edge codec, each made once for all that drive it.

A model is one lap: a drive of so many rows. Of each group of rows there are two packets, as a
device would make them: one that stands alone, and one that continues from the packet before, for
a vehicle that has its acknowledgement in time. A lap is one boot of the vehicle; the next lap
begins with packet 0 again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_stubs.plan import Plan
from server.wire.codec import varint
from server.wire.codec.decoder import Decoder
from server.wire.codec.encoder import Encoder
from server.wire.codec.packet import CRC_BYTES, plain_row
from server.wire.codec.profile import Profile
from sim.fleet.crc import Shift, shift_over
from sim.fleet.samples import everyday_drive, sampled
from sim.vehicle import Drive

MADE_FOR_BOOT = 1
PACKET_BYTES = 1024  # what the firmware's queue keeps; over Wi-Fi nothing asks for the radio's 231
_FOLD_BYTES = 3  # of all rows, behind the packet's own bytes
_PACKETS_FIELD = 5 << 3 | 2  # Uplink.packets
START_SPACING_M = 733.0  # of models on the course

Row = list[int | None]


class Packet:
    """A packet without its check sum.

    Attributes:
        body: its field in an `Uplink`, up to the check sum.
        crc: the check sum for the boot `MADE_FOR_BOOT`.
        shift: how another boot changes it.
        size_bytes: of the packet itself, with the sum.
    """

    __slots__ = ("body", "crc", "shift", "size_bytes")

    def __init__(self, packet: bytes, last: Row) -> None:
        plain = packet[:-CRC_BYTES]
        field = bytearray((_PACKETS_FIELD,))
        varint.put(field, len(packet))
        self.body = bytes(field) + plain
        self.crc = packet[-2] << 8 | packet[-1]
        covered = len(plain) + _FOLD_BYTES + len(plain_row(last))
        self.shift: Shift = shift_over(covered)
        self.size_bytes = len(packet)

    def for_boot(self, difference: int) -> bytes:
        """Return the field of an `Uplink` for another boot; see `sim.fleet.crc.difference`."""
        high, low = self.shift
        crc = self.crc ^ high[difference >> 8] ^ low[difference & 255]
        return self.body + crc.to_bytes(2, "big")


@dataclass(frozen=True, slots=True, eq=False)  # one is one: thousands of look-ups a second
class Model:
    """One lap.

    Attributes:
        profile: of the codec.
        rows: what the sensors said, in steps; every signal in every row.
        rows_each: rows of a packet.
        alone: packets that stand alone.
        continued: those that continue from the one before; the first one is the same.
    """

    profile: Profile
    rows: Sequence[Row]
    rows_each: int
    alone: Sequence[Packet]
    continued: Sequence[Packet]

    @property
    def packets(self) -> int:
        """Packets of a lap."""
        return len(self.alone)

    @property
    def lap_s(self) -> float:
        """How long a lap takes."""
        return self.packets * self.rows_each * self.profile.period_ms / 1000.0

    @property
    def readings_each(self) -> int:
        """Readings of a packet."""
        return self.rows_each * len(self.profile.signals)

    def values(self, signal_id: int) -> list[float]:
        """Return what the gateway is to store of a signal, row by row, in its unit.

        Signals with a bound may differ by it.
        """
        ids = [signal.id for signal in self.profile.signals]
        index = ids.index(signal_id)
        plan = self.profile.signals[index]
        return [plan.value(row[index] or 0) for row in self.rows]


def make_model(profile: Profile, rows: Sequence[Row], rows_each: int) -> Model:
    """Encode a lap; rows beyond whole packets are left out.

    Raises:
        ValueError: not one whole packet, or one that is too long.
    """
    packets = len(rows) // rows_each
    if not packets:
        raise ValueError(f"rows: expected at least {rows_each}, found {len(rows)}")
    rows = rows[: packets * rows_each]
    alone = _encoded(profile, rows, rows_each, acknowledged=False)
    continued = _encoded(profile, rows, rows_each, acknowledged=True)
    return Model(profile, rows, rows_each, alone, continued)


def _encoded(
    profile: Profile, rows: Sequence[Row], rows_each: int, *, acknowledged: bool
) -> list[Packet]:
    encoder = Encoder(profile, MADE_FOR_BOOT, PACKET_BYTES)
    packets = []
    for number, row in enumerate(rows):
        early = encoder.add(number, row)
        if early is not None:
            raise ValueError(
                f"expected {rows_each} rows in a packet of {PACKET_BYTES} bytes, found fewer: "
                "let a packet have fewer rows"
            )
        if (number + 1) % rows_each == 0:
            made = encoder.flush()
            assert made is not None
            packets.append(Packet(made, row))
            if acknowledged:
                encoder.acknowledged(encoder.next_seq - 1)
            else:
                encoder.key()
    return packets


def make_models(
    count: int,
    plan: Plan,
    rows: int,
    rows_each: int,
    seed: int,
    *,
    drives: Sequence[Drive] | None = None,
    trained: bytes | None = None,
) -> list[Model]:
    """Drive `count` cars, each another way, and encode what they say.

    Args:
        count: of models.
        plan: what is sampled, each signal in every row.
        rows: of a lap.
        rows_each: of a packet.
        seed: of drives and vehicles.
        drives: what the drivers do, in turn; None: town and country, as it comes.
        trained: a profile for this plan; None: a cold one.
    """
    profile = plan.profile(trained)
    seconds = rows * plan.period_ms / 1000.0
    models = []
    for number in range(count):
        rng = random.Random(f"{seed}/model/{number}")
        drive = drives[number % len(drives)] if drives else everyday_drive(rng, seconds)
        taken = sampled(plan, drive, rng, rows, start_m=number * START_SPACING_M)
        models.append(make_model(profile, taken, rows_each))
    return models


def decoded_rows(model: Model, boot: int, packets: Sequence[bytes]) -> list[Row]:
    """Decode packets of one boot as a gateway does; for tests."""
    decoder = Decoder(model.profile, boot)
    rows: list[Row] = []
    for packet in packets:
        decoded = decoder.decode(packet)
        decoder.commit(decoded)
        rows += decoded.rows
    return rows
