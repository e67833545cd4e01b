"""Bitmaps of what is supported (services 01, 02, 06, 09), built from what is there."""

from __future__ import annotations

from collections.abc import Collection

RANGE = 0x20
MAX_BITMAPS = 6  # in one request


def is_bitmap(number: int) -> bool:
    """Return whether `number` (PID, MID, infotype) asks for a bitmap: 00, 20, 40 … E0."""
    return number % RANGE == 0


def supported_bitmap(supported: Collection[int], base: int) -> bytes | None:
    """Return the four bytes that tell which of base+1 … base+32 are supported.

    The last bit points to the next bitmap and is set if anything above it is supported. None if the
    bitmap itself is not supported; bitmap 00 always is.
    """
    if base and not any(number > base for number in supported):
        return None
    bits = 0
    for number in supported:
        if base < number <= base + RANGE and not is_bitmap(number):
            bits |= 1 << (RANGE - (number - base))
    if any(number > base + RANGE for number in supported):
        bits |= 1
    return bits.to_bytes(4, "big")


def bitmap_answer(supported: Collection[int], numbers: bytes) -> bytes:
    """Return (number, bitmap) for each of up to six `numbers`; empty if one is no bitmap."""
    if not 1 <= len(numbers) <= MAX_BITMAPS or not all(map(is_bitmap, numbers)):
        return b""
    answer = b""
    for number in numbers:
        bits = supported_bitmap(supported, number)
        if bits is not None:
            answer += bytes((number,)) + bits
    return answer
