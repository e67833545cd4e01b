"""The segment codec: what comes back, how small it is, what it refuses."""

from __future__ import annotations

import contextlib
import math
import random
import struct
from array import array
from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalogue import by_name
from server.errors import BodyError
from server.store.packing import pack, unpack
from server.store.rollup import (
    LONG_NS,
    SHORT_NS,
    decode_short,
    encode_short,
    is_dense,
    joined,
    may_be_dense,
    windows,
)
from server.store.scaling import Scaler, decode_values
from server.store.segment import (
    Column,
    Encoder,
    Readings,
    decode_column,
    decode_segment,
    encode_segment,
    places,
)

T0_NS = 1_760_000_400_000_000_000
MS = 1_000_000
RPM, THROTTLE, LAT = by_name("RPM").id, by_name("THROTTLE_POS").id, by_name("LAT").id

INSTANTS = st.integers(0, 2**62)
FLOATS = st.floats(width=64) | st.floats(width=32) | st.integers(-(2**60), 2**60).map(float)


def column(signal: int, readings: list[tuple[int, float, int]]) -> Column:
    """A column of (instant, value, state)."""
    return Column(
        signal,
        array("q", [time_ns for time_ns, _, _ in readings]),
        array("d", [value for _, value, _ in readings]),
        bytes([state for _, _, state in readings]),
    )


def back(stored: Column, steps: tuple[float | None, int] = (None, 1)) -> Column:
    """The column after it was in a segment."""
    (found,) = decode_segment(Encoder(lambda signal: steps).encode([stored]))
    return found


@given(st.lists(st.tuples(INSTANTS, FLOATS, st.integers(0, 3)), min_size=1, max_size=60))
def test_every_bit_comes_back(readings: list[tuple[int, float, int]]) -> None:
    """Instants, values (NaN, -0.0 and infinities too) and states, in the order of instants."""
    stored = column(RPM, readings)
    found = back(stored)
    order = sorted(range(len(readings)), key=stored.times_ns.__getitem__)
    assert list(found.times_ns) == [readings[place][0] for place in order]
    assert found.values.tobytes() == array("d", [readings[p][1] for p in order]).tobytes()
    assert list(found.states) == [readings[place][2] for place in order]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40))
def test_whole_numbers_come_back(numbers: list[int]) -> None:
    """Numbers of 64 bits, around 0 or not, are as they were."""
    packed = pack(numbers)
    assert list(unpack(packed, len(numbers))) == numbers


@given(st.lists(INSTANTS, min_size=1, max_size=30), st.sampled_from([1, 1000, MS]))
def test_instants_are_kept_to_their_step(times: list[int], step_ns: int) -> None:
    """An instant comes back as the whole step that it is in."""
    found = back(column(RPM, [(time_ns, 1.0, 0) for time_ns in times]), (None, step_ns))
    assert list(found.times_ns) == [time_ns // step_ns * step_ns for time_ns in sorted(times)]


@pytest.mark.parametrize(
    ("step", "value_of"),
    [
        (0.25, lambda k: k * 0.25),
        (100 / 255, lambda k: k * 100 / 255),
        (100 / 255, lambda k: k * (100 / 255)),
        (100 / 128, lambda k: (k - 128) * 100 / 128),
        (0.01, lambda k: k / 100),
        (0.01, lambda k: k * 0.01),
        (0.001852, lambda k: k * 0.001852),
        (1e-5 / 60, lambda k: 52 + k / 1e5 / 60),
        (None, lambda k: float(f"{48 + k / 1e5:.7f}")),
        (1.0, lambda k: k * 0.5),
        (0.0000305, lambda k: k * 0.0000305),
    ],
)
def test_sensor_values_take_a_byte(step: float | None, value_of: object) -> None:
    """What came from whole numbers is stored as such, whatever formula made the value."""
    chance, number, values = random.Random(1), 100, array("d")
    for _ in range(3000):
        number += chance.randint(-3, 3)
        values.append(value_of(number))  # type: ignore[operator]
    stream = Scaler().encode(1, step, values, bytes(len(values)))
    assert decode_values(stream) == (values, bytes(len(values)))
    assert len(stream) < 0.5 * len(values)


def test_random_values_cost_what_they_are() -> None:
    """Noise is no more than its own bytes; of float32 half of them."""
    chance = random.Random(1)
    values = array("d", [chance.random() for _ in range(3000)])
    assert len(Scaler().encode(1, None, values, bytes(3000))) < 8.2 * 3000
    short = array("d", array("f", values))
    stream = Scaler().encode(1, None, short, bytes(3000))
    assert decode_values(stream)[0] == short
    assert len(stream) < 4.2 * 3000


def test_signals_that_are_read_together_share_their_times() -> None:
    """Twenty signals of the same jittered instants have one stream of times."""
    chance = random.Random(1)
    times = array("q", [T0_NS + (100 * n + chance.randint(0, 9)) * MS for n in range(6000)])
    columns = [
        Column(signal, times, array("d", [5.0]) * 6000, bytes(6000)) for signal in range(1, 21)
    ]
    segment = encode_segment(columns)
    assert segment.time_streams == [0] * 20
    assert len(segment.data) < 0.05 * segment.samples
    assert [found.times_ns for found in decode_segment(segment)] == [times] * 20


def test_one_signal_is_read_alone() -> None:
    """`places` says where the two streams of a signal are; the header has its figures."""
    columns = [
        column(RPM, [(T0_NS + n * MS, 800.0 + n, 0) for n in range(50)]),
        column(THROTTLE, [(T0_NS + n * MS, 10.0, n % 4) for n in range(40)]),
    ]
    segment = encode_segment(columns)
    place = places(segment.time_streams, segment.ends, 1)
    times = segment.data[place.times_at :][: place.times_size]
    values = segment.data[place.values_at :][: place.values_size]
    assert decode_column(times, values) == Readings(*columns[1][1:])
    assert (segment.t0_ns, segment.t1_ns, segment.samples) == (T0_NS, T0_NS + 49 * MS, 90)
    assert segment.counts == [50, 40]
    assert segment.counted == [50, 20]
    assert segment.sums == [800.0 * 50 + 49 * 25, 200.0]
    assert (segment.mins, segment.maxs) == ([800.0, 10.0], [849.0, 10.0])


def test_a_signal_without_what_counts_has_no_figures() -> None:
    """Lost and predicted values are in no statistics."""
    segment = encode_segment([column(RPM, [(T0_NS, math.nan, 3), (T0_NS + MS, 5.0, 2)])])
    assert (segment.counted, segment.mins, segment.sums) == ([0], [None], [None])


@given(st.binary(max_size=40), st.integers(0, 200), st.integers(0, 255))
def test_damage_is_told(noise: bytes, place: int, byte: int) -> None:
    """Damaged streams give BodyError, or readings of another kind; never anything else."""
    stored = column(RPM, [(T0_NS + n * n * MS, n / 4, n % 3) for n in range(40)])
    segment = encode_segment([stored])
    found = places(segment.time_streams, segment.ends, 0)
    times = bytearray(segment.data[: found.times_size])
    values = bytearray(segment.data[found.values_at :])
    times[place % len(times)] ^= byte
    values[place % len(values)] ^= byte
    for one, other in ((times, values), (noise, values), (times, noise)):
        with contextlib.suppress(BodyError):
            assert len(decode_column(bytes(one), bytes(other)).values) <= 1 << 22


def test_a_bomb_is_not_inflated() -> None:
    """A stream that claims more readings than a column has is refused, without the memory."""
    stored = column(RPM, [(T0_NS + n * n * MS, n / 4, 0) for n in range(40)])
    segment = encode_segment([stored])
    times = segment.data[: segment.ends[0]]
    assert times[:2] == b"\x96\x01"  # a msgpack array of six, version 1
    for count in (1 << 23, 1 << 60):
        bomb = times[:2] + b"\xcf" + struct.pack(">Q", count) + times[3:]
        with pytest.raises(BodyError, match="readings"):
            decode_column(bomb, segment.data[segment.ends[0] :])


def test_windows_count_what_was_measured() -> None:
    """Windows begin at whole multiples of their length, and join to longer ones."""
    chance = random.Random(2)
    readings = sorted(
        (
            T0_NS + chance.randrange(0, 900_000) * MS,
            chance.randrange(0, 4000) / 4,
            chance.choice("0001"),
        )
        for _ in range(3000)
    )
    counted = [(t, v) for t, v, s in readings if s == "0"]
    found = windows(
        Readings(
            array("q", [t for t, _, _ in readings]),
            array("d", [v for _, v, _ in readings]),
            bytes([0 if s == "0" else 2 for _, _, s in readings]),
        ),
        SHORT_NS,
    )
    for window in joined(found, LONG_NS):
        part = [(t, v) for t, v in counted if window.t_ns <= t < window.t_ns + LONG_NS]
        values = [v for _, v in part]
        assert (window.n, window.min, window.max) == (len(part), min(values), max(values))
        assert Fraction(window.sum) == sum(map(Fraction, values))
        assert (window.first_ns, window.last_ns) == (part[0][0], part[-1][0])
    assert sum(window.n for window in found) == len(counted)
    assert not is_dense(found)
    long = windows(
        Readings(
            array("q", [t for t, _, _ in readings]),
            array("d", [v for _, v, _ in readings]),
            bytes([0 if s == "0" else 2 for _, _, s in readings]),
        ),
        LONG_NS,
    )
    assert long == joined(found, LONG_NS)
    short = decode_short(encode_short(Scaler(), RPM, 0.25, found))
    assert list(short.times_ns) == [window.t_ns for window in found]
    assert list(short.counts) == [window.n for window in found]
    assert list(short.mins) == [window.min for window in found]
    assert list(short.maxs) == [window.max for window in found]
    assert list(short.means) == pytest.approx([w.sum / w.n for w in found], rel=1e-6)
    with pytest.raises(BodyError):
        decode_short(b"\x00")


def test_what_can_be_dense() -> None:
    """Short windows are made wherever they could be dense: a look at the instants tells."""
    chance = random.Random(5)
    seen = set()
    for _ in range(300):
        most_ns = chance.choice((100, 250, 310, 400, 1000)) * 2_000_000
        gaps = [chance.randrange(most_ns) for _ in range(chance.randrange(200))]
        times = array("q", accumulate(gaps))
        found = windows(Readings(times, array("d", times), bytes(len(times))), SHORT_NS)
        assert may_be_dense(times) or not is_dense(found)
        seen.add((may_be_dense(times), is_dense(found)))
    assert seen == {(True, True), (True, False), (False, False)}
