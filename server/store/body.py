"""The body of a hot-log row: a batch of readings as columns.

Byte 0 is the version. Version 1: a zstd frame (level 1, with checksum) of msgpack columns

    [signals, first_time_ns, times, received, values, states]

`times` are nanoseconds since the reading before (the first: since `first_time_ns`), `received`
nanoseconds after the reading's own time, `values` little-endian float64 bytes, `states` one byte
each. Values are kept bit for bit, -0.0 and NaN included.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec
import zstandard

from server.errors import BodyError
from server.readings import Reading, State

VERSION = 1
MAX_READINGS = 65_536
"""Readings in one body, at most; bounds what a damaged body can ask for."""
_MAX_PLAIN_BYTES = MAX_READINGS * 64
_STATES: tuple[State, ...] = tuple(State)


class _Columns(msgspec.Struct, array_like=True, gc=False):
    signals: list[int]
    first_time_ns: int
    times: list[int]
    received: list[int]
    values: bytes
    states: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Columns)
_compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
_decompressor = zstandard.ZstdDecompressor()


def encode_body(readings: Sequence[Reading]) -> bytes:
    """Give the body of 1 to MAX_READINGS readings.

    Raises:
        BodyError: none, too many, or a number outside of 64 bits.
    """
    if not 0 < len(readings) <= MAX_READINGS:
        raise BodyError(f"expected 1 to {MAX_READINGS} readings in a body, got {len(readings)}")
    times = [reading.time_ns for reading in readings]
    values = array("d", [reading.value for reading in readings])
    if sys.byteorder == "big":
        values.byteswap()
    columns = _Columns(
        [reading.signal for reading in readings],
        times[0],
        [0, *(later - sooner for sooner, later in pairwise(times))],
        [reading.received_ns - reading.time_ns for reading in readings],
        values.tobytes(),
        bytes([reading.state for reading in readings]),
    )
    try:
        plain = _encoder.encode(columns)
    except OverflowError as error:
        raise BodyError(f"expected numbers of 64 bits in a reading: {error}") from error
    return bytes((VERSION,)) + _compressor.compress(plain)


def decode_body(body: bytes) -> list[Reading]:
    """Give the readings of a body, equal to those that were encoded.

    Raises:
        BodyError: unknown version, damaged, or columns of different lengths.
    """
    if not body or body[0] != VERSION:
        raise BodyError(f"expected a body of version {VERSION}, got {body[:1].hex() or 'nothing'}")
    try:
        # The library allocates what the frame claims, whatever `max_output_size` says.
        claimed_bytes = zstandard.frame_content_size(body[1:])
        if claimed_bytes > _MAX_PLAIN_BYTES:
            raise BodyError(f"expected at most {_MAX_PLAIN_BYTES} bytes, got {claimed_bytes}")
        plain = _decompressor.decompress(body[1:], max_output_size=_MAX_PLAIN_BYTES)
        columns = _decoder.decode(plain)
        states = [_STATES[state] for state in columns.states]
    except (zstandard.ZstdError, msgspec.DecodeError, IndexError) as error:
        raise BodyError(f"expected a body of version {VERSION}: {error}") from error
    size = len(columns.signals)
    lengths = (len(columns.times), len(columns.received), len(columns.states))
    if lengths != (size, size, size) or len(columns.values) != 8 * size:
        raise BodyError(f"expected columns of {size} readings, got {lengths}")
    values = array("d", columns.values)
    if sys.byteorder == "big":
        values.byteswap()
    times = list(accumulate(columns.times, initial=columns.first_time_ns))[1:]
    return [
        Reading(signal, time_ns, value, time_ns + delay_ns, state)
        for signal, time_ns, value, delay_ns, state in zip(
            columns.signals, times, values, columns.received, states, strict=True
        )
    ]
