"""Whole numbers as few bytes: least width, bytes of equal weight together, zstd.

Numbers that scatter around 0 are moved so that 0 is the middle of the lowest byte: then the
higher bytes are nearly all the same, whatever the sign.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import repeat
from operator import add, sub

import msgspec
import zstandard

from server.errors import BodyError

LEVEL = 9
MISFITS = (
    msgspec.DecodeError,
    msgspec.ValidationError,
    OverflowError,
    IndexError,
    ValueError,
    ZeroDivisionError,
)
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_BIAS = {1: 1 << 7, 2: (1 << 15) + (1 << 7), 4: (1 << 31) + (1 << 7), 8: (1 << 63) + (1 << 7)}
_MOST_BYTES = 1 << 26

_compressor = zstandard.ZstdCompressor(
    compression_params=zstandard.ZstdCompressionParameters.from_level(
        LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=0
    )
)
_decompressor = zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)


class Packed(msgspec.Struct, array_like=True, gc=False):
    """Numbers; `plain`: `data` is not compressed."""

    width: int
    bias: int
    plain: bool
    data: bytes


def pack(numbers: Sequence[int]) -> Packed:
    """Pack numbers of 64 bits.

    Raises:
        OverflowError: they are no such numbers.
    """
    for width, code in _CODES.items():
        bias = _BIAS[width]
        try:
            return pack_bytes(array(code, map(add, numbers, repeat(bias))), bias)
        except OverflowError:  # the first that does not fit ends the attempt
            continue
    bias = -min(numbers)  # a wide range that is not around 0
    return pack_bytes(array("Q", map(add, numbers, repeat(bias))), bias)


def pack_bytes(numbers: array[int] | array[float], bias: int = 0) -> Packed:
    """Pack an array as it is."""
    width = numbers.itemsize
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    plain = numbers.tobytes()
    if width > 1:
        plain = b"".join([plain[place::width] for place in range(width)])
    data = _compressor.compress(plain)
    if len(data) < len(plain):
        return Packed(width, bias, False, data)
    return Packed(width, bias, True, plain)


def unpack(packed: Packed, count: int) -> Sequence[int]:
    """Give `count` numbers.

    Raises:
        BodyError: there are not so many.
    """
    plain = unpack_bytes(packed, count)
    numbers = array(_CODES[packed.width], plain)
    if sys.byteorder == "big":
        numbers.byteswap()
    if not packed.bias:
        return numbers
    return list(map(sub, numbers, repeat(packed.bias)))


def unpack_bytes(packed: Packed, count: int) -> bytes:
    """Give the bytes of `count` numbers, little endian.

    Raises:
        BodyError: there are not so many.
    """
    width = packed.width
    if width not in _CODES:
        raise BodyError(f"expected numbers of 1, 2, 4 or 8 bytes, got {width}")
    expected = width * count
    data = packed.data
    if not packed.plain:
        if expected > _MOST_BYTES:
            raise BodyError(f"expected at most {_MOST_BYTES} bytes, got {expected}")
        data = inflate(data, expected)
    if len(data) != expected:
        raise BodyError(f"expected {expected} bytes of numbers, got {len(data)}")
    if width == 1:
        return data
    whole = bytearray(expected)
    for place in range(width):
        whole[place::width] = data[place * count : (place + 1) * count]
    return bytes(whole)


def deflate(data: bytes) -> bytes:
    """Compress bytes."""
    return _compressor.compress(data)


def inflate(data: bytes, size: int) -> bytes:
    """Give the bytes, `size` at most.

    Raises:
        BodyError: damaged, or more of them.
    """
    try:
        return _decompressor.decompress(data, max_output_size=size)
    except zstandard.ZstdError as error:
        raise BodyError(f"expected {size} compressed bytes: {error}") from error
