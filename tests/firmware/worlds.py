"""A fake board with its gateway, and what the gateway can make of what it got."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.wire.codec.decoder import Decoder
from server.wire.codec.packet import CONTINUED, Header
from server.wire.codec.profile import Profile
from tests.firmware.fake_board import FakeBoard, FakeGateway


def number_of(packet: bytes) -> tuple[int, int]:
    """Give a packet's number and the one that it continues from, -1 for none."""
    header = Header(packet)
    return header.seq, header.reference if header.kind == CONTINUED else -1


def board(sectors: int = 64, seed: int = 1) -> FakeBoard:
    """Give a board that has not started, with settings for Wi-Fi and a gateway of its own."""
    return FakeBoard(FakeGateway(number_of), sectors, seed)


@dataclass
class Boot:
    """What was decoded of one boot.

    Attributes:
        values: signal id -> raw integers in the order of rows.
        instants: signal id -> UTC of each, milliseconds; 0 when the time was not known.
        rows: row numbers.
    """

    values: dict[int, list[int]] = field(default_factory=dict)
    instants: dict[int, list[int]] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)


def decoded(gateway: FakeGateway) -> dict[int, Boot]:
    """Decode every packet that the gateway has, in the order of numbers."""
    boots: dict[int, Boot] = {}
    for number in dict.fromkeys(boot for boot, _ in gateway.packets):
        profile = Profile.from_bytes(gateway.hellos[number].profile)
        decoder = Decoder(profile, number)
        boot = boots[number] = Boot()
        for key in sorted(key for key in gateway.packets if key[0] == number):
            result = decoder.decode(gateway.packets[key])
            decoder.commit(result)
            for place, row in enumerate(result.rows):
                _add(boot, profile, result.first_row + place, row, gateway.times[key])
    return boots


def _add(boot: Boot, profile: Profile, number: int, row: list[int | None], time: object) -> None:
    boot.rows.append(number)
    base_ms = time.utc_ms  # type: ignore[attr-defined]
    base_row = time.row  # type: ignore[attr-defined]
    instant_ms = base_ms + (number - base_row) * profile.period_ms if base_ms else 0
    for index, value in zip(profile.due(number), row, strict=True):
        if value is not None:
            signal = profile.signals[index].id
            boot.values.setdefault(signal, []).append(value)
            boot.instants.setdefault(signal, []).append(instant_ms)


def drained(fake: FakeBoard) -> dict[int, Boot]:
    """Stop the logger, let it send all that it has, and decode it."""
    assert fake.logger is not None
    fake.logger.set_running(False)
    fake.run(90_000)
    assert fake.logger.counters().queue_packets == 0
    return decoded(fake.gateway)


def all_values(boots: dict[int, Boot], signal: int) -> list[int]:
    """Give the values of a signal over all boots, in the order in which these came."""
    return [value for boot in boots.values() for value in boot.values.get(signal, [])]
