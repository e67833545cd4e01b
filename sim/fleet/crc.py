"""Packets of one boot number, made good for another.

A packet's check sum begins with a number that follows from boot and profile. A CRC is linear: two
beginnings that differ by `d` give sums that differ by what `d` alone becomes over as many zero
bytes. So one packet serves every vehicle, at two look-ups each.
"""

from __future__ import annotations

from functools import lru_cache

from server.wire.codec.checks import crc16, seed

Shift = tuple[tuple[int, ...], tuple[int, ...]]


@lru_cache(maxsize=4096)
def shift_over(length_bytes: int) -> Shift:
    """Return what a difference becomes over so many bytes: by its high byte, and by its low one."""
    basis = [crc16(bytes(length_bytes), 1 << bit) for bit in range(16)]
    low, high = [0] * 256, [0] * 256
    for value in range(1, 256):
        bit = value & -value
        place, rest = bit.bit_length() - 1, value ^ bit
        low[value] = low[rest] ^ basis[place]
        high[value] = high[rest] ^ basis[place + 8]
    return tuple(high), tuple(low)


def difference(boot: int, made_for_boot: int, profile_hash: bytes) -> int:
    """Return by what the beginnings of the check sums of two boots differ."""
    return seed(boot, profile_hash) ^ seed(made_for_boot, profile_hash)
