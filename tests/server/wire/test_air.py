"""Messages between a vehicle and its base."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wire import air

Message = air.Data | air.Hello | air.ProfilePart | air.Acks
BYTES = st.binary(max_size=231)
U32 = st.integers(0, 2**32 - 1)
VINS = st.sampled_from(["", "WF0XXXGCDX1234567", "1FADP3L9XFL123456"])
MESSAGES = st.one_of(
    st.builds(air.Data, st.integers(0, 255), st.integers(0, 2**40), BYTES),
    st.builds(
        air.Hello,
        st.integers(1, 2**32 - 1),
        st.integers(0, 2**48 - 1),
        st.integers(0, 255),
        st.binary(min_size=8, max_size=8),
        VINS,
    ),
    st.integers(1, 255).flatmap(
        lambda count: st.builds(
            air.ProfilePart, st.integers(0, 255), st.integers(0, count - 1), st.just(count), BYTES
        )
    ),
    st.builds(
        air.Acks,
        st.lists(
            st.builds(air.Ack, U32, st.integers(0, 255), st.integers(0, 255), U32, U32),
            min_size=1,
            max_size=12,
        ),
    ),
)


@given(MESSAGES)
def test_what_is_written_is_read(
    message: Message,
) -> None:
    """Every message comes back as it was, field by field."""
    again = air.read(message.to_bytes())
    assert type(again) is type(message)
    assert again.to_bytes() == message.to_bytes()
    if isinstance(message, air.Acks):
        assert isinstance(again, air.Acks)
        assert [vars(entry) for entry in again.entries] == [
            vars(entry) for entry in message.entries
        ]
    else:
        assert vars(again) == vars(message)


@given(st.one_of(st.binary(max_size=255), st.binary(max_size=60).map(lambda rest: b"\x11" + rest)))
def test_any_bytes_are_a_message_or_an_air_error(payload: bytes) -> None:
    """Whatever a radio hands over ends in a message or an AirError, nothing else."""
    try:
        message = air.read(payload)
    except air.AirError:
        return
    assert isinstance(message, Message)


@given(MESSAGES, st.data())
def test_a_truncated_message_is_another_one_or_none(message: Message, data: st.DataObject) -> None:
    """A message that ends early never raises anything but AirError, and is never longer again."""
    payload = message.to_bytes()
    cut = payload[: data.draw(st.integers(0, len(payload)))]
    try:
        found = air.read(cut)
    except air.AirError:
        return
    assert len(found.to_bytes()) <= len(cut)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "0 bytes"),
        (b"\x11", "1 bytes"),
        (b"\x21\x00\x00", "version 1"),
        (b"\x1f\x00\x00", "known kind"),
        (b"\x12\x05" + bytes(4), "end"),
        (b"\x12\x05" + bytes(19), "boot of stream 5"),
        (b"\x12\x05\x06" + bytes(18), "boot of stream 5"),
        (b"\x12\x05\x05" + bytes(18) + b"short", "VIN"),
        (b"\x13\x05\x02\x02", "before 2"),
        (b"\x18\x00", "end"),
    ],
)
def test_what_is_wrong_is_said(payload: bytes, said: str) -> None:
    """An AirError says what was expected."""
    with pytest.raises(air.AirError, match=said):
        air.read(payload)


def test_a_vin_of_unprintable_letters_is_refused() -> None:
    """What would go into a log or a page is printable."""
    hello = air.Hello(5, 0, 3, bytes(8)).to_bytes()
    with pytest.raises(air.AirError, match="VIN"):
        air.read(hello + b"WF0XXXGCDX12345\x1b7")


@given(next=U32, seen=U32, seq=st.integers(0, 2**33))
def test_an_ack_knows_what_is_done_with(next: int, seen: int, seq: int) -> None:
    """Below `next`, or named by its bit; `next` itself never."""
    ack = air.Ack(1, 2, 0, next, seen)
    ahead = seq - next
    named = 1 <= ahead <= 32 and seen & 1 << (ahead - 1) != 0
    assert ack.has(seq) is (seq < next or named)


@given(st.binary(min_size=1, max_size=4000), st.integers(20, 231))
def test_parts_give_the_profile_again(profile: bytes, limit_bytes: int) -> None:
    """The parts of a profile fit into messages, and joined are the profile."""
    parts = air.parts(0x1234, profile, limit_bytes)
    assert all(len(part.to_bytes()) <= limit_bytes for part in parts)
    assert b"".join(part.part for part in parts) == profile
    assert [part.index for part in parts] == list(range(parts[0].count))
    assert {part.stream for part in parts} == {0x34}


def test_a_profile_of_too_many_parts_is_refused() -> None:
    """A part's number is one byte."""
    air.parts(1, bytes(255 * 10), 14)
    with pytest.raises(air.AirError, match="at most 2550 bytes"):
        air.parts(1, bytes(255 * 10 + 1), 14)


def test_a_data_message_costs_what_the_encoder_leaves_for_it() -> None:
    """With `back` below 128 the frame before a packet is DATA_BYTES long."""
    assert len(air.Data(1, air.MOST_BACK, b"").to_bytes()) == air.DATA_BYTES
    assert len(air.Data(1, air.MOST_BACK + 1, b"").to_bytes()) == air.DATA_BYTES + 1
