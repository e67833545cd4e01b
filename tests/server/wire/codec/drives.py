"""Small drives, plans and packets for the tests of the codec."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from server.wire.codec.decoder import Decoded, Decoder
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile, SignalPlan

Row = list[int | None]
BOOT = 0xC0FFEE


def plan(count: int, **fields: int) -> list[SignalPlan]:
    """Give `count` signals that are all the same but for their id."""
    return [SignalPlan(index + 1, **fields) for index in range(count)]


def drive(rows: int, seed: int = 1) -> list[Row]:
    """A polled car: one of four signals is renewed in each row; the fifth follows the second."""
    rng = random.Random(seed)
    speed, pedal, temperature, out = 30.0, 40.0, 20, []
    row: Row = [20, 900, 30, 40, 450]
    for number in range(rows):
        pedal = min(200.0, max(0.0, pedal + rng.gauss(0, 8)))
        speed = min(180.0, max(0.0, speed + (pedal - speed) / 40))
        if rng.random() < 0.002:
            temperature += 1
        renewed: list[int] = [temperature, int(800 + 20 * speed), int(speed), int(pedal)]
        row = list(row)
        row[number % 4] = renewed[number % 4]
        row[4] = (row[1] or 0) // 2
        out.append(row)
    return out


def packets_of(profile: Profile, rows: Sequence[Row], **options: int) -> list[bytes]:
    """Encode rows from number 0."""
    encoder = Encoder(profile, BOOT, **options)
    packets = [encoder.add(number, row) for number, row in enumerate(rows)]
    return [packet for packet in [*packets, encoder.flush()] if packet is not None]


def rows_of(decoded: Iterable[Decoded]) -> dict[int, Row]:
    """Give the rows of packets by number."""
    return {
        packet.first_row + offset: row
        for packet in decoded
        for offset, row in enumerate(packet.rows)
    }


def decode_all(profile: Profile, packets: Iterable[bytes]) -> dict[int, Row]:
    """Decode packets that stand alone."""
    decoder = Decoder(profile, BOOT)
    return rows_of(decoder.decode(packet) for packet in packets)
