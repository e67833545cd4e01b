"""CRC-16 (CCITT) without a table, and the content hash of profiles."""

import hashlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HASH_BYTES = 8


def crc16(data: "Iterable[int]", crc: int = 0xFFFF) -> int:
    """Go on with a CRC-16 over bytes."""
    for byte in data:
        mixed = (crc >> 8) ^ byte
        mixed ^= mixed >> 4
        crc = ((crc << 8) ^ (mixed << 12) ^ (mixed << 5) ^ mixed) & 0xFFFF
    return crc


def content_hash(data: bytes) -> bytes:
    """Give the first bytes of SHA-256."""
    return bytes(hashlib.sha256(data).digest()[:HASH_BYTES])


def seed(boot: int, profile_hash: bytes) -> int:
    """Give the start of every CRC of a boot with a profile."""
    start = bytes([boot & 255, boot >> 8 & 255, boot >> 16 & 255, boot >> 24 & 255])
    return crc16(profile_hash, crc16(start))
