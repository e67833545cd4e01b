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
from server.store.body import (
    MAX_READINGS,
    Column,
    decode_body,
    decode_places,
    encode_body,
    encode_columns,
    trim_body,
)

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


@st.composite
def _columns(draw: st.DrawFn) -> list[Column]:
    columns, place = [], 0
    for _ in range(draw(st.integers(1, 5))):
        size = draw(st.integers(1, 6))
        step = st.integers(0, 2**40)
        steps = draw(st.one_of(st.lists(step, min_size=1, max_size=1), _steps(step, size)))
        values = draw(st.binary(min_size=8 * size, max_size=8 * size))
        place += draw(st.integers(0, 3))
        signal, state = draw(st.integers(1, 3000)), draw(st.sampled_from(State))
        columns.append(Column(place, signal, draw(_int62), steps, values, int(state)))
        place += size
    return columns


def _steps(step: st.SearchStrategy[int], size: int) -> st.SearchStrategy[list[int]]:
    return st.lists(step, min_size=size - 1, max_size=size - 1)


@given(_columns(), _int62)
def test_columns_become_readings(columns: list[Column], received_ns: int) -> None:
    """Columns come out as readings with their places, instants and values, bit for bit."""
    found = decode_places(encode_columns(received_ns, columns))
    expected = []
    for column in columns:
        time_ns = column.first_time_ns
        for index in range(column.size):
            if index:
                steps = column.steps_ns
                time_ns += steps[0] if len(steps) == 1 else steps[index - 1]
            (value,) = struct.unpack_from("<d", column.values, 8 * index)
            reading = Reading(column.signal, time_ns, value, received_ns, State(column.state))
            expected.append((column.place + index, exact(reading)))
    assert [(place, exact(reading)) for place, reading in found] == expected


@given(_columns(), st.integers(0, 40), st.integers(1, 40))
def test_trimming_keeps_the_places_asked_for(columns: list[Column], first: int, size: int) -> None:
    """A trimmed body has the readings of those places, counted from the first of them."""
    body = encode_columns(5, columns)
    trimmed, readings = trim_body(body, first, size)
    kept = [
        (place - first, exact(reading))
        for place, reading in decode_places(body)
        if first <= place < first + size
    ]
    assert [(place, exact(reading)) for place, reading in decode_places(trimmed)] == kept
    assert [exact(reading) for reading in readings] == [reading for _, reading in kept]


@given(st.binary(max_size=200))
def test_random_bytes_never_crash(body: bytes) -> None:
    """Any bytes give readings or a BodyError."""
    for damaged in (body, b"\x01" + body, b"\x02" + body):
        with pytest.raises(BodyError):
            decode_body(damaged)


@given(st.data())
def test_a_damaged_body_is_noticed_or_harmless(data: st.DataObject) -> None:
    """One flipped byte gives readings or a BodyError, nothing else."""
    bodies = [
        encode_body([Reading(12, 10, 1.0, 20), Reading(13, 11, 2.0, 21)]),
        encode_columns(9, [Column(0, 12, 1, [1], bytes(24)), Column(3, 13, 5, [1, 2], bytes(24))]),
    ]
    body = bytearray(data.draw(st.sampled_from(bodies)))
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
    with pytest.raises(BodyError, match="version 1 or 2, got 03"):
        decode_body(b"\x03")
    with pytest.raises(BodyError, match=f"got {MAX_READINGS + 1}"):
        encode_columns(0, [Column(0, 1, 0, [1], bytes(8 * (MAX_READINGS + 1)))])
    with pytest.raises(BodyError, match="64 bits"):
        encode_columns(2**80, [])
    with pytest.raises(BodyError, match="got nothing"):
        decode_body(b"")
