"""Settings of a u-blox receiver that change nothing here, but are kept and read back.

Defaults: u-blox M8 protocol specification (UBX-13003221), appendix.
"""

from __future__ import annotations

import struct

from sim.gnss.profiles import ReceiverProfile
from sim.gnss.sky import System
from sim.gnss.ubx_chip import UbxChip

ANT, NAV5, TP5, GNSS = 0x13, 0x24, 0x31, 0x3E

# Which bytes of CFG-NAV5 a bit of its mask lets through.
NAV5_FIELDS = {
    0: ((2, 3),),
    1: ((12, 13),),
    2: ((3, 12),),
    3: ((13, 14),),
    4: ((14, 16), (18, 20)),
    5: ((16, 18), (20, 22)),
    6: ((22, 23), (28, 30)),
    7: ((23, 24),),
    8: ((24, 26),),
    10: ((30, 31),),
}
ENABLED = 1
# (gnssId, reserved channels, most channels, signals, the system as modelled).
GNSS_BLOCKS = (
    (0, 8, 16, 1, System.GPS),
    (1, 1, 3, 1, None),
    (2, 4, 8, 1, System.GALILEO),
    (3, 8, 16, 1, System.BEIDOU),
    (5, 0, 3, 5, None),
    (6, 8, 14, 1, System.GLONASS),
)


class Settings:
    """Keeps what the host sets, by message id of class CFG; refuses what it does not know."""

    def __init__(self, profile: ReceiverProfile, chip: UbxChip) -> None:
        self._kept = {
            ANT: bytes.fromhex("1b008ba9"),
            NAV5: _nav5(),
            TP5: _tp5(),
            GNSS: _gnss(profile, chip),
        }

    def get(self, message_id: int, payload: bytes) -> bytes | None:
        """Return what a poll is answered with; None when `payload` is no poll that is known."""
        kept = self._kept.get(message_id)
        first_pulse = message_id == TP5 and payload == b"\0"
        return kept if not payload or first_pulse else None

    def set(self, message_id: int, payload: bytes) -> bool:
        """Keep a setting; False when it is unknown, of a wrong length, or cannot be modelled."""
        kept = self._kept.get(message_id)
        if kept is None or len(payload) != len(kept):
            return False
        if message_id == GNSS:
            return _enabled(payload) == _enabled(kept)  # the sky cannot be chosen by command
        self._kept[message_id] = _masked_nav5(kept, payload) if message_id == NAV5 else payload
        return True


def _masked_nav5(kept: bytes, payload: bytes) -> bytes:
    mask = int.from_bytes(payload[:2], "little")
    merged = bytearray(kept)
    for bit, ranges in NAV5_FIELDS.items():
        if mask >> bit & 1:
            for start, end in ranges:
                merged[start:end] = payload[start:end]
    return bytes(merged)


def _nav5() -> bytes:
    portable, automatic = 0, 3
    return struct.pack(
        "<HBBiIbBHHHHBBBB2xHB5x",
        0xFFFF, portable, automatic, 0, 10_000, 5, 0, 250, 250, 100, 350, 0, 60, 0, 0, 0, 0,
    )  # fmt: skip


def _tp5() -> bytes:
    pulse_us, flags = 100_000, 0xF7  # 1 Hz, 100 ms long, once locked; aligned to GPS time
    return struct.pack("<BB2xhhIIIIiI", 0, 1, 50, 0, 1_000_000, 1_000_000, 0, pulse_us, 0, flags)


def _gnss(profile: ReceiverProfile, chip: UbxChip) -> bytes:
    blocks = [
        struct.pack(
            "<BBBxI", gnss_id, least, most, signals << 16 | (system is None or system in systems)
        )
        for systems in (profile.systems,)
        for gnss_id, least, most, signals, system in GNSS_BLOCKS
    ]
    return struct.pack("<4B", 0, chip.channels, chip.channels, len(blocks)) + b"".join(blocks)


def _enabled(payload: bytes) -> set[tuple[int, int]]:
    """Return (gnssId, on) of the systems that the model has."""
    modelled = {block[0] for block in GNSS_BLOCKS if block[4] is not None}
    pairs = [(payload[at], payload[at + 4] & ENABLED) for at in range(4, len(payload) - 7, 8)]
    return {pair for pair in pairs if pair[0] in modelled}
