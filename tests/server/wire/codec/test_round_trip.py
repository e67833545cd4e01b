"""Rows come back as they were, whatever they hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire.codec.decoder import Decoder, peek
from server.wire.codec.encoder import Encoder
from server.wire.codec.profile import Profile, SignalPlan
from tests.server.wire.codec.drives import BOOT, Row, decode_all, drive, packets_of, plan, rows_of

EXTREME = (1 << 40) - 1


@st.composite
def signals(draw: st.DrawFn) -> SignalPlan:
    """Any signal: divider and phase, limits, hold or not."""
    divider = draw(st.sampled_from([1, 1, 1, 2, 3, 7]))
    low = draw(st.integers(-1000, 1000))
    signal = SignalPlan(
        draw(st.integers(1, 3000)),
        divider=divider,
        phase=draw(st.integers(0, divider - 1)),
        minimum=low,
        maximum=low + draw(st.integers(0, 5000)),
    )
    signal.hold = draw(st.sampled_from([0, 1]))
    return signal


VALUES = st.one_of(
    st.none(), st.integers(0, 3), st.integers(-300, 300), st.integers(-EXTREME, EXTREME)
)


@given(st.lists(signals(), min_size=1, max_size=6), st.data())
def test_any_plan_and_any_rows_come_back(plans: list[SignalPlan], data: st.DataObject) -> None:
    """Dividers, phases, missing values, jumps, extremes and gaps between rows."""
    profile = Profile.cold(100, plans)
    encoder = Encoder(profile, BOOT, limit_bytes=data.draw(st.sampled_from([100, 231])))
    number = data.draw(st.integers(0, 5))
    given_rows: dict[int, Row] = {}
    packets: list[bytes | None] = []
    for _ in range(data.draw(st.integers(1, 25))):
        due = profile.due(number)
        row: Row = data.draw(st.lists(VALUES, min_size=len(due), max_size=len(due)))
        given_rows[number] = row
        packets.append(encoder.add(number, row))
        number += data.draw(st.sampled_from([1, 1, 1, 1, 1, 2, 50, 4_000_000]))
    packets.append(encoder.flush())
    assert decode_all(profile, [packet for packet in packets if packet]) == given_rows
    assert encoder.flush() is None


def test_a_trained_profile_gives_the_same_rows_in_far_fewer_bytes(trained: Profile) -> None:
    """Training pays, and what it had not seen comes back as well."""
    rows = drive(2000, seed=99)
    rows[700] = [EXTREME, -EXTREME, None, 0, 5]
    rows[701:710] = [[None] * 5 for _ in range(9)]
    packets = packets_of(trained, rows)
    assert decode_all(trained, packets) == dict(enumerate(rows))
    cold = packets_of(Profile.cold(100, plan(5, maximum=8000)), rows)
    assert sum(map(len, packets)) < 0.75 * sum(map(len, cold))


@pytest.mark.parametrize("limit", [64, 219, 231])
def test_no_packet_is_longer_than_its_limit(trained: Profile, limit: int) -> None:
    """The limit holds, and packets are nearly full."""
    packets = packets_of(trained, drive(3000, seed=3), limit_bytes=limit)
    assert max(map(len, packets)) <= limit
    assert min(map(len, packets[:-1])) > limit - 16


def test_numbers_go_on_and_peek_reads_them(trained: Profile) -> None:
    """Numbers count up from the first; a large one needs more bytes and nothing else."""
    packets = packets_of(trained, drive(2000), first_seq=4_000_000_000)
    assert [peek(packet) for packet in packets] == [
        (4_000_000_000 + index, "K") for index in range(len(packets))
    ]


def test_a_row_that_does_not_follow_closes_the_packet(trained: Profile) -> None:
    """After a gap, and after a step back, a new packet begins at the row's own number."""
    rows = drive(30)
    encoder = Encoder(trained, BOOT)
    numbers = [*range(10), *range(20, 30), *range(5)]
    packets = [encoder.add(number, row) for number, row in zip(numbers, rows, strict=False)]
    done = [packet for packet in [*packets, encoder.flush()] if packet]
    decoder = Decoder(trained, BOOT)
    assert [(d.first_row, len(d.rows)) for d in map(decoder.decode, done)] == [
        (0, 10),
        (20, 10),
        (0, 5),
    ]


def test_a_row_with_too_many_values_is_refused_in_words() -> None:
    """The message says how many were expected and how many came."""
    encoder = Encoder(Profile.cold(100, plan(2)), BOOT)
    with pytest.raises(ValueError, match="each signal that is due in it: 2; found 3"):
        encoder.add(0, [1, 2, 3])
    with pytest.raises(ValueError, match="at most 40 binary digits"):
        encoder.add(0, [1, 1 << 41])
    with pytest.raises(ValueError, match="limit_bytes: at least 32 expected, found 8"):
        Encoder(Profile.cold(100, plan(2)), BOOT, limit_bytes=8)


def test_a_row_of_noise_that_fits_no_packet_goes_plain_or_is_refused_in_words() -> None:
    """Where even one row is too long for the model, plain numbers may still fit."""
    rng = random.Random(5)
    profile = Profile.cold(100, plan(40, maximum=1))
    rows: list[Row] = [[rng.randrange(1 << 37) for _ in range(40)] for _ in range(3)]
    packets = packets_of(profile, rows, limit_bytes=250)
    assert len(packets) == 3
    assert decode_all(profile, packets) == dict(enumerate(rows))
    with pytest.raises(ValueError, match="a row of 40 readings does not fit into 200 bytes"):
        packets_of(profile, rows, limit_bytes=200)


def test_a_car_that_stands_for_hours_fills_packets_of_the_most_rows() -> None:
    """A packet ends at 65,535 readings even where it is not full."""
    profile = Profile.cold(100, plan(20))
    packets = packets_of(profile, [[7] * 20] * 3300)
    decoder = Decoder(profile, BOOT)
    assert [len(decoder.decode(packet).rows) for packet in packets] == [3276, 24]


def test_readings_as_predicted_are_told_from_the_others(trained: Profile) -> None:
    """A drive that stands still is suppressed but for its first row."""
    rows: list[Row] = [[20, 900, 30, 40, 450]] * 400
    decoder = Decoder(trained, BOOT)
    decoded = [decoder.decode(packet) for packet in packets_of(trained, rows)]
    assert len(decoded) == 1
    assert (decoded[0].transmitted, decoded[0].suppressed) == (5, 1995)


def test_steps_give_others_their_turn_and_then_the_same(trained: Profile) -> None:
    """The generator yields again and again and returns what `decode` returns."""
    packet = packets_of(trained, drive(1000))[0]
    decoder = Decoder(trained, BOOT)
    steps = decoder.steps(packet)
    turns = 0
    while True:
        try:
            next(steps)
            turns += 1
        except StopIteration as end:
            decoded = end.value
            break
    assert turns > 2
    assert rows_of([decoded]) == rows_of([decoder.decode(packet)])
