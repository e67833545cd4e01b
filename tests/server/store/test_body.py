"""The body codec of the hot log."""

from __future__ import annotations

import contextlib
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import BodyError
from server.readings import Reading, State
from server.store.body import MAX_READINGS, decode_body, encode_body

_int62 = st.integers(0, 2**62 - 1)
_readings = st.builds(
    Reading,
    st.integers(1, 2**31 - 1),
    _int62,
    st.floats(allow_nan=True, allow_infinity=True),
    _int62,
    st.sampled_from(State),
)


def exact(reading: Reading) -> tuple[int, int, bytes, int, State]:
    """A reading with its value's bits: NaN equals itself, -0.0 is not 0.0."""
    bits = b"nan" if math.isnan(reading.value) else struct.pack("<d", reading.value)
    return (reading.signal, reading.time_ns, bits, reading.received_ns, reading.state)


@given(st.lists(_readings, min_size=1, max_size=50))
def test_round_trip(readings: list[Reading]) -> None:
    """decode(encode(x)) is x, bit for bit."""
    decoded = decode_body(encode_body(readings))
    assert [exact(reading) for reading in decoded] == [exact(reading) for reading in readings]
    assert all(type(reading.state) is State for reading in decoded)


@given(st.binary(max_size=200))
def test_random_bytes_never_crash(body: bytes) -> None:
    """Any bytes give readings or a BodyError."""
    for damaged in (body, b"\x01" + body):
        with pytest.raises(BodyError):
            decode_body(damaged)


@given(st.data())
def test_a_damaged_body_is_noticed_or_harmless(data: st.DataObject) -> None:
    """One flipped byte gives readings or a BodyError, nothing else."""
    body = bytearray(encode_body([Reading(12, 10, 1.0, 20), Reading(13, 11, 2.0, 21)]))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(BodyError):
        decode_body(bytes(body))


def test_the_format_is_stable() -> None:
    """A body that an earlier version wrote is still read: version 1."""
    body = bytes.fromhex(STORED)
    assert decode_body(body) == [
        Reading(12, 1_700_000_000_000_000_000, 812.25, 1_700_000_000_005_000_000),
        Reading(13, 1_700_000_000_000_000_500, 50.0, 1_700_000_000_005_000_500, State.HELD),
    ]


STORED = (
    "0128b52ffd243399010096920c0dcf17979cfe362a00009200cd01f492ce004c4b40ce004c4b40c4"
    "1000000000006289400000000000004940c40200026b21e05f"
)


def test_bounds() -> None:
    """An empty batch, one too large, and an unknown version are refused."""
    with pytest.raises(BodyError, match="got 0"):
        encode_body([])
    with pytest.raises(BodyError, match=f"got {MAX_READINGS + 1}"):
        encode_body([Reading(1, 1, 1.0, 1)] * (MAX_READINGS + 1))
    with pytest.raises(BodyError, match="64 bits"):
        encode_body([Reading(1, 2**80, 1.0, 1)])
    with pytest.raises(BodyError, match="version 1, got 02"):
        decode_body(b"\x02")
    with pytest.raises(BodyError, match="got nothing"):
        decode_body(b"")
